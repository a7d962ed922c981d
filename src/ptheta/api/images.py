"""The `sample` and `surprise` functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ptheta import tasks
from ptheta.api.choosing import Choosing
from ptheta.api.draw import How
from ptheta.api.grid import Grid, Output, examples, side_by_side, squarish
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.rows import Rows, is_table
from ptheta.api.sampling import Drawing, Sampling
from ptheta.api.sharing import shared_run
from ptheta.compute.streams import undisturbed
from ptheta.data.memory import Source
from ptheta.runs.folder import Run
from ptheta.specs import from_unit
from ptheta.tasks.sample import Wanted


@undisturbed()
def sample(
    run: str | Path | Run,
    n: int | None = None,
    *,
    labels: Sequence[str | int] = (),
    attributes: Sequence[float] | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    caption_file: str | Path | None = None,
    weights: str = "best",
    prior: str = "auto",
    same_noise: bool = False,
    between: int | None = None,
    missing: bool = False,
    reject: str | None = None,
    truncation: float | None = None,
    temperature: float | None = None,
    mean: bool = False,
    steps: int | None = None,
    guidance: float | None = None,
    data: Source | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    force: bool = False,
    scale: int | None = None,
    processes: int | None = None,
    device: str | None = None,
) -> Grid | Rows:
    """Sample images, or rows of a table, from a trained model.

    If `out` is a folder, a call that was interrupted resumes.

    Args:
        run: run folder, or a `Run`
        n: number of images or rows; default: 64, or one for each caption of `caption_file`
        labels: classes by name or index, cycled through; default: all classes
        attributes: one attribute vector; default: each attribute alone, in turn
        condition: texts by kind of condition, such as {"text": ["a red circle"]}, cycled through.
            By default a model conditional on images gets test inputs of the run's data
        caption_file: text file with one caption per line, instead of captions in `condition`
        weights, prior: as for `Run.model`
        same_noise: draw the images of all conditions from the same noise (conditional models)
        between: interpolate between two conditions in this many steps, with the same noise
        missing: for tables, leave empty the cells that are missing in a random training row
        reject: for a GAN, select samples with its calibrated discriminator: "drs" (rejection
            sampling) or "mh" (Metropolis-Hastings)
        truncation: for a GAN, draw codes from a normal truncated to [-truncation, truncation]
        temperature: divides the logits (autoregressive models) or scales the base noise (flows,
            VAEs)
        mean: for a probabilistic decoder, such as a VAE, show the mean of p(x | z); by default each
            element is sampled independently, as all metrics do
        steps: for a model that samples in steps, such as ddpm: network evaluations per sample
        guidance: for such a model, weight of the condition: 0 ignores it, 1 uses it as trained
        data: new location of the run's data, on which `reject` is calibrated
        seed: random seed
        out: place to write to. Images: an image file, an array (.npy, .npz) or a folder; rows: a
            table (.csv, .parquet), an array (.npy) or an image (.png)
        force: overwrite an existing file of rows
        scale: integer factor by which images are enlarged; default: small images to about 64 pixels
        processes: number of processes that share the work while `out` is written, in batches of
            256; by default one, or those that torchrun or srun has started, each of which calls
            this function
        device: "cpu", "cuda", "mps" or "auto" (see docs/distributed.md); by default that of the run
            as it was opened, the CPU. The samples of a seed depend on it

    Returns:
        `Grid` for images, `Rows` for a model of vectors.

    Raises:
        PthetaError: if the model cannot sample, does not take or know the condition, if there are
            fewer images than conditions, if `out` cannot be written, or the device is not available
    """
    check_numbers(n=n, between=between, seed=seed)
    output = None if is_table(out) else Output.at(out, scale)
    choosing = Choosing(reject, truncation, temperature, data, mean, steps, guidance)
    how = How(weights, prior, same_noise, between, choosing)
    wanted = Wanted(labels=labels or None, attributes=attributes)
    drawing = Drawing(n, how, seed, wanted, condition or None, caption_file)
    job = Sampling(drawing, output, (out, scale), force, missing)
    return shared_run(job, run, None, processes, device)


@on_device
def surprise(
    run: str | Path | Run,
    *,
    n: int = 8,
    data: Source | None = None,
    weights: str = "best",
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Map -log2 p of each pixel of test images given the earlier pixels.

    The grid shows each image next to its map, in which white is the most unexpected.

    Args:
        run: run folder, or a `Run`
        n: number of test images
        data: new location of the run's data, or other images
        weights: "best" or "last" weights of the run
        out, scale, device: as for `sample`
    """
    output = Output.at(out, scale)
    model, x, y = examples(Run.open(run, weights), n, data, output, 2)
    bits = tasks.surprise(model, x, y)
    most = bits.max().clamp_min(1e-9)  # all zero if every pixel was certain
    about = f"{bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits"
    return output.write(side_by_side(x, from_unit(bits / most)), about, squarish(len(x), 2))
