"""The `evaluate`, `evaluate_images` and `closest` functions."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from ptheta.api.export import Images
from ptheta.api.grid import Output
from ptheta.api.origin import ReadOptions, made_and_real, origin_of, some_images
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import CannotWrite, PthetaError
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation
from ptheta.metrics import evaluate as metrics
from ptheta.metrics.conditions import draw
from ptheta.metrics.context import Context
from ptheta.metrics.copies import NEIGHBOURS
from ptheta.runs.folder import Run
from ptheta.tasks.neighbours import nearest_pairs

PAIRS = 10  # number of samples shown with their nearest real image
REAL: tuple[Literal["train", "test"], ...] = (
    "train",
    "test",
)  # splits that samples may be copies of


class Unwritten(CannotWrite):
    """Raised if an evaluation could not be written; it is available as `evaluation`."""

    def __init__(self, message: str, evaluation: Evaluation) -> None:
        super().__init__(message)
        self.evaluation = evaluation


class MeasureOptions(TypedDict, total=False):
    """How samples are evaluated.

    Attributes:
        n: number of images drawn from a run; maximum number of given images (default: all)
        extractor: feature extractor, a name or an object; default: chosen by the data
        processes: number of worker processes for feature extraction
    """

    n: int
    extractor: str | Extractor | None
    seed: int
    processes: int


class EvaluateOptions(MeasureOptions, total=False):
    """How a run is evaluated.

    Attributes:
        is_k: importance samples for a likelihood bound
        ais_images: test images whose log p(x) is also estimated by annealed importance sampling
    """

    is_k: int
    ais_images: int


@undisturbed()
def evaluate(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    closest: str | Path | None = None,
    weights: str = "best",
    **options: Unpack[EvaluateOptions],
) -> Evaluation:
    """Evaluate a run on the test split of its data and write evaluation.json into its folder.

    No file is written for the example runs shipped with the package.

    Args:
        run: run folder, or a `Run`
        data: new location of the run's data, or other images. Training images are removed from the
            test images; without the run's own data, no copy metrics are computed
        closest: image to write: the samples nearest to a training image, above those images, and
            the same for test images
        weights: "best" or "last" weights of the run
        options: the fields of `EvaluateOptions`

    Raises:
        PthetaError: if the data cannot be read or does not fit the model
        Unwritten: if evaluation.json cannot be written; it holds the evaluation
    """
    place, opened = _picture(closest), Run.open(run, weights)
    opened.warn_if_unfinished()
    kept, unkept = _keeps(opened)
    if not kept:
        warnings.warn(f"{opened.called} {unkept}: no evaluation.json is written", stacklevel=3)
    found = opened.look(data)
    if (text := opened.remark(found, data)) is not None:
        warnings.warn(text, stacklevel=3)
    model, samples, why = opened.model(), None, opened.no_copies(found, data)
    if place is not None:
        train = opened.check_own(found, data).train
        assert train is not None
        n, seed = options.get("n", Context.n), options.get("seed", Context.seed)
        samples = draw(model, found.test, n, seed)
        _draw_closest(CopyCheck(samples[:NEIGHBOURS], train, found.test), place)
    result = metrics.evaluate(
        model,
        found.test,
        None if why else found.train,
        samples=samples,
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


def _keeps(run: Run) -> tuple[bool, str]:
    """Whether results are stored in the run folder, and why not."""
    if run.shipped is not None:
        return False, "is read-only"
    return os.access(run.path, os.W_OK), "cannot be written"


@undisturbed()
def evaluate_images(
    images: Source,
    data: Source,
    *,
    closest: str | Path | None = None,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
    **options: Unpack[MeasureOptions],
) -> Evaluation:
    """Evaluate images of any origin against the test images of `data`.

    Args:
        images: images to evaluate: a folder, or any source
        data: source of the real images
        closest: as for `evaluate`
        size, channels, image_column: as in `ReadOptions`
        options: the fields of `MeasureOptions`

    Raises:
        PthetaError: if either source cannot be read, if they differ in size or channels, or for
            fewer than two images
    """
    place = _picture(closest)
    made, test, train = made_and_real(
        images, data, size=size, channels=channels, image_column=image_column
    )
    if place is not None:
        _draw_closest(CopyCheck(some_images(made, NEIGHBOURS, 0), train, test), place)
    about = {} if size is None else {"resized_to": f"{size}x{size}, Lanczos, antialiased"}
    return metrics.evaluate_images(made, test, train, about=about, **options)


@undisturbed()
def closest(
    source: Source | Run,
    data: Source | None = None,
    *,
    of: Literal["train", "test"] = "train",
    n: int = NEIGHBOURS,
    pairs: int = PAIRS,
    seed: int = 0,
    **reading: Unpack[ReadOptions],
) -> tuple[Tensor, Tensor]:
    """Find the samples with the smallest pixel distance to a real image.

    Args:
        source: run, or images of any origin
        data: new location of the run's data; for images of any origin, the real images
        of: real images to compare with, "train" or "test"
        n: number of samples
        pairs: number of pairs to return
        seed: random seed
        reading: the fields of `ReadOptions`, for images of any origin

    Returns:
        The samples and their nearest real images, each uint8 (pairs, C, H, W), nearest first.

    Raises:
        PthetaError: if the run's training images are not available
    """
    if of not in REAL:
        raise PthetaError(f"of = {of!r}: choose 'train' or 'test'")
    origin = origin_of(source, data, **reading)
    return CopyCheck(origin.draw(n, seed), origin.train, origin.test).nearest(of, pairs)


class CopyCheck(NamedTuple):
    """Samples, image batch, and the real images that they may copy."""

    samples: Tensor
    train: Dataset
    test: Dataset

    def nearest(self, of: Literal["train", "test"], pairs: int) -> tuple[Tensor, Tensor]:
        """The samples nearest to a real image, and those images."""
        real = self.train if of == "train" else self.test
        samples, images = nearest_pairs(self.samples, real, pairs).unbind(1)
        return samples, images


def _picture(out: str | Path | None) -> Output | None:
    return None if out is None else Output.at(out, None)


def _draw_closest(check: CopyCheck, place: Output) -> None:
    """Draws a row of samples above their nearest training images, then the same for test images."""
    rows = [row for of in REAL for row in check.nearest(of, PAIRS)]
    about = "samples with their nearest training images below; then the same for test images"
    place.write(Images.of(torch.cat(rows)), about, len(rows[0]))
