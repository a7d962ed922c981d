"""Verbs that measure one run, or images of any origin."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import torch

from ptheta import tasks
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.data.decode import LARGEST_NATURAL
from ptheta.data.memory import Source
from ptheta.data.names import called
from ptheta.data.request import DataSettings, Request
from ptheta.data.sources import open_image_set, open_split, settings_for
from ptheta.data.values import Kind
from ptheta.errors import CannotWrite, PthetaError
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation
from ptheta.metrics import evaluate as metrics
from ptheta.metrics.copies import closest as nearest_pairs
from ptheta.runs.folder import Run, is_run

REAL: tuple[Literal["train", "test"], ...] = ("train", "test")  # what samples may be copies of


class Unwritten(CannotWrite):
    """What was measured could not be written; it is in `evaluation`."""

    def __init__(self, message: str, evaluation: Evaluation) -> None:
        super().__init__(message)
        self.evaluation = evaluation


class Brought(TypedDict, total=False):
    """What images of any origin and real ones are both brought to (antialiased, cropped).

    size: side in pixels; channels: 1 or 3; default: as they are, and then they must agree
    image_column: of either that has columns
    """

    size: int | None
    channels: int | None
    image_column: str | None


class Measured(TypedDict, total=False):
    """How samples are measured.

    n: images drawn of a run; of others, at most so many (default all)
    extractor: of the features, a name or an object; default: by what the data is
    processes: that share the extraction of features
    """

    n: int
    extractor: str | Extractor | None
    seed: int
    processes: int


class Evaluated(Measured, total=False):
    """How a run is measured.

    is_k: importance samples of a likelihood bound
    ais_images: test images whose log p(x) is also estimated by annealed importance sampling
    """

    is_k: int
    ais_images: int


@undisturbed()
def evaluate(
    run: str | Path | Run, data: Source | None = None, **options: Unpack[Evaluated]
) -> Evaluation:
    """Evaluates a run on its data's test split (or another source) and writes evaluation.json.

    data: where the run's data lies now, or other images. What the run was trained on is left out
        of the test images, and where the data is not the run's no number says whether it copies
    options: those of `Evaluated`
    Raises Unwritten, which holds the evaluation, where its file cannot be written.
    """
    opened = Run.open(run)
    opened.warn_if_unfinished()
    kept = os.access(opened.path, os.W_OK)
    if not kept:
        warnings.warn(f"{opened.path} cannot be written: no evaluation.json is kept", stacklevel=3)
    found = opened.look(data)
    if (text := opened.remark(found, data)) is not None:
        warnings.warn(text, stacklevel=3)
    why = opened.no_copies(found, data)
    result = metrics.evaluate(
        opened.model(),
        found.test,
        None if why else found.train,
        no_copies=why,
        about=opened.checkpoint() | {"model": opened.plan.model},
        **options,
    )
    if kept:
        try:
            result.write(opened.path / "evaluation.json")
        except CannotWrite as error:
            raise Unwritten(str(error), result) from None
    return result


@undisturbed()
def evaluate_images(
    images: Source,
    data: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
    **options: Unpack[Measured],
) -> Evaluation:
    """Measures the images of a folder (or of any source), made by whatever program, against the
    test images of `data`.

    size, channels, image_column: as `Brought` has them; options: those of `Measured`
    Raises PthetaError where either cannot be read, where they differ in size or channels, and for
    fewer than two images.
    """
    made, test, train = made_and_real(
        images, data, size=size, channels=channels, image_column=image_column
    )
    about = {} if size is None else {"resized_to": f"{size}x{size}, Lanczos, antialiased"}
    return metrics.evaluate_images(made, test, train, about=about, **options)


@undisturbed()
def closest(
    source: Source | Run,
    data: Source | None = None,
    *,
    of: Literal["train", "test"] = "train",
    n: int = 500,
    pairs: int = 10,
    seed: int = 0,
    **brought: Unpack[Brought],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of n samples those that are nearest to a real image in pixels, and those images: two image
    batches, uint8 (pairs, C, H, W), nearest first.

    source: a run, or images of any origin, which `data` then has the real images for
    data: of a run: where its data lies now
    of: which real images, "train" or "test"
    brought: those of `Brought`, for images of any origin
    Raises PthetaError where the images that a run was trained on are not there.
    """
    if of not in REAL:
        raise PthetaError(f"of = {of!r}: choose 'train' or 'test'")
    if isinstance(source, Run) or (
        isinstance(source, str | Path) and (data is None or is_run(source))
    ):
        run = Run.open(source)
        found = run.own(data)
        real = found.train if of == "train" else found.test
        assert real is not None
        return nearest_pairs(tasks.sample(run.model(), n, seed=seed), real, pairs)
    if data is None:
        raise PthetaError("images of any origin need real ones beside them: give data")
    made, test, train = made_and_real(source, data, **brought)
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(seed))
    return nearest_pairs(made[order[:n]], train if of == "train" else test, pairs)


@undisturbed()
def closest_rows(
    source: Source | Run,
    data: Source | None = None,
    *,
    out: str | Path | None = None,
    scale: int | None = None,
    **brought: Unpack[Brought],
) -> Grid:
    """`closest` as pictures: a row of samples, and below each the training image that it is nearest
    to; then the same for the test images."""
    output = Output.at(out, scale)
    rows: list[torch.Tensor] = []
    for of in REAL:
        rows += closest(source, data, of=of, **brought)
    about = "samples, and below each the nearest training image; then the nearest test image"
    return output.put(Images.of(torch.cat(rows)), about, len(rows[0]))


def made_and_real(
    images: Source,
    data: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
) -> tuple[torch.Tensor, Dataset, Dataset]:
    """Images of any origin, and the real ones (test, train), all of one size and colour."""
    settings = DataSettings(size=size, channels=channels, image_column=image_column)
    theirs, ours = (settings_for(source, settings) for source in (images, data))
    if image_column is not None and not theirs.of_tables and not ours.of_tables:
        raise PthetaError(
            f"--image-column {image_column}: neither {called(images)} nor {called(data)} has "
            "columns; leave it out"
        )
    test, train = (open_split(data, Request(split, ours)) for split in ("test", "train"))
    # 8-bit pictures have one white each, of whatever program they are
    known: dict[Kind, float] = {k: v for k, v in test.whites.items() if k != "8-bit"}
    made = open_image_set(images, theirs, known=known)
    for source, resized in ((data, test.resized), (images, made.resized)):
        if size is None and resized:
            raise PthetaError(
                f"{called(source)} holds images of several sizes or of more than "
                f"{LARGEST_NATURAL} pixels: say by --size which to measure at, such as --size 64"
            )
    if made.images.shape[1:] != test.spec.shape:
        size_of = "x".join(map(str, made.images.shape[1:]))
        raise PthetaError(
            f"{called(images)} holds images of {size_of} (channels, height, width), "
            f"{called(data)} of {'x'.join(map(str, test.spec.shape))}: give --size and "
            "--channels to bring both to"
        )
    return made.images, test, train
