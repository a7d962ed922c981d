"""The `sample` and `surprise` functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ptheta import tasks
from ptheta.api.caption_file import FLAG, captions_in
from ptheta.api.choosing import FROM_CODES, Choosing
from ptheta.api.draw import How, samples
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output, examples, side_by_side, squarish
from ptheta.api.limits import check_numbers
from ptheta.api.rows import Rows, is_table, sample_rows
from ptheta.compute.streams import undisturbed
from ptheta.conditions import Text
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec, from_unit
from ptheta.tasks.sample import Wanted

N = 64  # default number of samples


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

    Returns:
        `Grid` for images, `Rows` for a model of vectors.

    Raises:
        PthetaError: if the model cannot sample, does not take or know the condition, if there are
            fewer images than conditions, or if `out` cannot be written
    """
    check_numbers(n=n, between=between, seed=seed)
    output = None if is_table(out) else Output.at(out, scale)
    opened = Run.open(run)
    if caption_file is not None:
        n, condition = _of_file(opened, n, caption_file, condition)
    n = N if n is None else n
    wanted = Wanted(labels=labels or None, attributes=attributes, condition=condition or None)
    choosing = Choosing(reject, truncation, temperature, data, mean, steps, guidance)
    how = How(weights, prior, same_noise, between, choosing)
    if isinstance(opened.spec, VectorSpec):
        return sample_rows(
            *(opened, n, how, seed), place=(out, scale), force=force, missing=missing, **wanted
        )
    output = _of_images(opened, output, out, missing)
    output.check(n, opened.spec)
    images = samples(opened, n, how, seed=seed, **wanted)
    means = "--mean shows means" if images.shows == FROM_CODES else ""
    about = how.choosing.describe(_drawn(images, n), images.chosen, images.shows, means)
    return output.write(images, about)


def _of_images(run: Run, output: Output | None, out: str | Path | None, missing: bool) -> Output:
    """Destination of images. Raises PthetaError for options that apply only to tables."""
    if missing:
        raise PthetaError(
            f"--missing applies only to tables, and {run.path} is a model of images: leave it out"
        )
    if output is None:
        raise PthetaError(
            f"--out {out}: a table cannot hold images: give an image file, an array or a folder"
        )
    return output


def _drawn(images: Images, asked: int) -> str:
    """Describes what was drawn, and why it is fewer than requested."""
    about = f"{images.n:,} image{'s' * (images.n > 1)}"
    if images.n == asked:
        return about
    return (
        f"{about} of the requested {asked:,}, {images.batch} in each of "
        f"{images.n // images.batch} rows: the rest would not fill a row for each condition"
    )


def _of_file(
    run: Run, n: int | None, place: str | Path, condition: Mapping[str, Sequence[str]] | None
) -> tuple[int, Mapping[str, Sequence[str]]]:
    """The number of images and their conditions, with captions from a file.

    Raises PthetaError if captions are also given directly, or for fewer images than captions.
    """
    if condition and Text.kind in condition:
        raise PthetaError(f"--caption and {FLAG}: give one of them")
    captions = captions_in(place, run.condition)
    if n is not None and n < len(captions):
        raise PthetaError(
            f"-n {n}: the {len(captions):,} captions of {place} need at least "
            f"{len(captions):,} images"
        )
    return len(captions) if n is None else n, {**(condition or {}), Text.kind: captions}


@undisturbed()
def surprise(
    run: str | Path | Run,
    *,
    n: int = 8,
    data: Source | None = None,
    weights: str = "best",
    out: str | Path | None = None,
    scale: int | None = None,
) -> Grid:
    """Map -log2 p of each pixel of test images given the earlier pixels.

    The grid shows each image next to its map, in which white is the most unexpected.

    Args:
        run: run folder, or a `Run`
        n: number of test images
        data: new location of the run's data, or other images
        weights: "best" or "last" weights of the run
        out, scale: as for `sample`
    """
    output = Output.at(out, scale)
    model, x, y = examples(Run.open(run, weights), n, data, output, 2)
    bits = tasks.surprise(model, x, y)
    most = bits.max().clamp_min(1e-9)  # all zero if every pixel was certain
    about = f"{bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits"
    return output.write(side_by_side(x, from_unit(bits / most)), about, squarish(len(x), 2))
