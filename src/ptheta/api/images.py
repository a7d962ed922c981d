"""Verbs that give images: samples, and maps of surprise."""

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

N = 64  # images that are drawn where nobody says how many


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
    """n images, or n rows of a table, drawn from a trained model; images into a folder: a stopped
    call is gone on with.

    n: by default 64, or one for each caption of a file
    labels: classes by name or number, in turn; attributes: the one vector that a model of
        attributes is given; default: all labels, or each attribute alone, in turn; and test inputs
        of the run's data, of a model that is given images
    condition: texts by kind of condition, such as {"text": ["a red circle"]}, in turn
    caption_file: a text file of captions, one to a line, in their place
    weights, prior: as for `Run.model`
    same_noise: of a conditional model, draw the images of every condition from the same noise
    between: of two conditions, draw what lies between them in so many steps, from the same noise
    missing: of a table, rows lack the cells that training rows, drawn at random, lack
    reject: of a GAN, choose samples by its calibrated discriminator: "drs" (rejection) or "mh"
        (Metropolis-Hastings); data: where the run's data lies now, by which it is calibrated
    truncation: of a GAN, draw codes within [-truncation, truncation]
    temperature: of autoregressive models, logits over it; of flows and VAEs, base noise times it
    mean: of a decoder that is a distribution (of VAEs and the like), show the mean of p(x | z) of
        each code; by default its elements are drawn, each on its own, as every metric takes them
    steps, guidance: of models that draw in steps, such as ddpm: passes of the network for a sample,
        and the weight of the condition (0 leaves it out, 1 takes it as it was learned)
    out: a place to write them as well: a picture, an array (.npy, .npz) or a folder; rows: a table
        (.csv, .parquet), an array (.npy) or a picture (.png)
    force: whether a file of rows that is there is overwritten
    scale: pixels of a picture for one of an image
    Raises PthetaError where the model cannot sample, takes no such condition, or does not know it,
    for fewer images than conditions, and where `out` cannot be written.
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
    about = how.choosing.told(_drawn(images, n), images.chosen, images.shows, means)
    return output.write(images, about)


def _of_images(run: Run, output: Output | None, out: str | Path | None, missing: bool) -> Output:
    """Where images are written. Raises PthetaError for what goes with tables alone."""
    if missing:
        raise PthetaError(f"--missing is of tables, and {run.path} learned images: leave it out")
    if output is None:
        raise PthetaError(
            f"--out {out}: a table holds rows of numbers, and {run.path} is a model of images: "
            "give a picture, an array or a folder"
        )
    return output


def _drawn(images: Images, asked: int) -> str:
    """What was drawn, and why it is not all that was asked for."""
    about = f"{images.n:,} image{'s' * (images.n > 1)}"
    if images.n == asked:
        return about
    return (
        f"{about} of the {asked:,} that were asked for, {images.batch} in each of "
        f"{images.n // images.batch} rows: more would not fill a row of each condition"
    )


def _of_file(
    run: Run, n: int | None, place: str | Path, condition: Mapping[str, Sequence[str]] | None
) -> tuple[int, Mapping[str, Sequence[str]]]:
    """How many images are drawn, and what they are asked for, where captions are in a file.

    Raises PthetaError for captions beside it, and for fewer images than captions.
    """
    if condition and Text.kind in condition:
        raise PthetaError(f"--caption and {FLAG}: give one of them")
    captions = captions_in(place, run.condition)
    if n is not None and n < len(captions):
        raise PthetaError(
            f"{n} images of the {len(captions):,} captions of {place}: ask for one of each at least"
        )
    return len(captions) if n is None else n, {**(condition or {}), Text.kind: captions}


@undisturbed()
def surprise(
    run: str | Path | Run,
    *,
    n: int = 8,
    data: Source | None = None,
    out: str | Path | None = None,
    scale: int | None = None,
) -> Grid:
    """How unexpected each pixel of test images is, given the earlier ones: image, and its map, in
    which white is the most unexpected.

    n: how many; data: where the run's data lies now, or other images; out, scale: as for `sample`
    """
    output = Output.at(out, scale)
    model, x, y = examples(Run.open(run), n, data, output, 2)
    bits = tasks.surprise(model, x, y)
    most = bits.max().clamp_min(1e-9)  # all is 0 where everything was certain
    about = f"{bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits"
    return output.write(side_by_side(x, from_unit(bits / most)), about, squarish(len(x), 2))
