"""The `evaluate`, `evaluate_images` and `closest` functions."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from ptheta.api.export import Images
from ptheta.api.grid import Output
from ptheta.api.on_device import on_device
from ptheta.api.origin import ReadOptions, made_and_real, origin_of, some_images
from ptheta.api.sharing import shared, shared_run
from ptheta.compute import parts
from ptheta.compute.parts import Team
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.trained import DataMatch
from ptheta.errors import CannotWrite, PthetaError
from ptheta.extractors.base import Extractor
from ptheta.measures.results import Evaluation
from ptheta.metrics import evaluate as metrics
from ptheta.metrics.context import Context, follow
from ptheta.metrics.copies import NEIGHBOURS
from ptheta.runs.folder import Run
from ptheta.tasks.neighbours import nearest_pairs
from ptheta.training.group import CPU
from ptheta.training.processes import chosen_device

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
    """

    n: int
    extractor: str | Extractor | None
    seed: int


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
    processes: int | None = None,
    device: str | None = None,
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
        processes: number of processes that share the work (see docs/distributed.md); by default
            one, or those that torchrun or srun has started, each of which calls this function
        device: "cpu", "cuda", "mps" or "auto": where the model and features are computed; by
            default that of the run as it was opened, the CPU. Noise and rounding depend on it
        options: the fields of `EvaluateOptions`

    Raises:
        PthetaError: if the data cannot be read or does not fit the model; if the device is not
            available
        Unwritten: if evaluation.json cannot be written; it holds the evaluation
    """
    job = _Evaluating(data, _picture(closest), options)
    return shared_run(job, run, weights, processes, device)


@dataclass(frozen=True)
class _Evaluating:
    """An evaluation of a run, by one or several processes."""

    data: Source | None
    closest: Output | None
    options: EvaluateOptions

    def same(self) -> Mapping[str, object]:
        return _same(self.options)

    def lead(self, run: Run, team: Team | None) -> Evaluation:
        run.warn_if_unfinished()
        kept, unkept = _keeps(run)
        if not kept:
            warnings.warn(f"{run.called} {unkept}: no evaluation.json is written", stacklevel=5)
        found = run.look(self.data)
        if (text := run.remark(found, self.data)) is not None:
            warnings.warn(text, stacklevel=5)
        ctx = self._context(run, found)
        train = None if self.closest is None else run.check_own(found, self.data).train
        _agree(team, ctx)
        if self.closest is not None:
            assert train is not None
            _draw_closest(CopyCheck(ctx.samples[:NEIGHBOURS], train, found.test), self.closest)
        result = metrics.measured(ctx)
        if kept:
            _write(result, run.path / "evaluation.json")
        return _told(team, result)

    def follow(self, run: Run, team: Team) -> Evaluation:
        return _followed(team, self._context(run, run.look(self.data)))

    def _context(self, run: Run, found: DataMatch) -> Context:
        why = run.no_copies(found, self.data)
        return metrics.context(
            run.model(),
            found.test,
            None if why else found.train,
            no_copies=why,
            about=run.checkpoint() | {"model": run.plan.model},
            **self.options,
        )


def _write(result: Evaluation, file: Path) -> None:
    try:
        result.write(file)
    except CannotWrite as error:
        raise Unwritten(str(error), result) from None


def _same(options: Mapping[str, object]) -> dict[str, object]:
    """The options of processes that evaluate together; extractors are in the protocol."""
    return {name: value for name, value in options.items() if isinstance(value, str | int)}


def _agree(team: Team | None, ctx: Context) -> None:
    """Checks that all processes evaluate the same."""
    if team is not None:
        parts.agree(team, {name: of for name, of in ctx.protocol.items() if name != "time"})


def _told(team: Team | None, result: Evaluation) -> Evaluation:
    """Gives the others the result."""
    if team is not None:
        parts.dismiss(team)
        team.exchange(json.dumps(result.with_draws()).encode())
    return result


def _followed(team: Team, ctx: Context) -> Evaluation:
    """Takes part in the evaluation; returns the result."""
    _agree(team, ctx)
    follow(team, ctx)
    return Evaluation.from_json(json.loads(team.exchange(b"")[0]))


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
    processes: int | None = None,
    device: str | None = None,
    **options: Unpack[MeasureOptions],
) -> Evaluation:
    """Evaluate images of any origin against the test images of `data`.

    Args:
        images: images to evaluate: a folder, or any source
        data: source of the real images
        closest: as for `evaluate`
        size, channels, image_column: as in `ReadOptions`
        processes: as for `evaluate`
        device: where features are computed, as for `evaluate`
        options: the fields of `MeasureOptions`

    Raises:
        PthetaError: if either source cannot be read, if they differ in size or channels, for fewer
            than two images, or if the device is not available
    """
    where = CPU if device is None else chosen_device(device)
    reading = ReadOptions(size=size, channels=channels, image_column=image_column)
    job = _OfImages(images, data, reading, _picture(closest), where, options)
    return shared(job, processes, where)


@dataclass(frozen=True)
class _OfImages:
    """An evaluation of images, by one or several processes."""

    images: Source
    data: Source
    reading: ReadOptions
    closest: Output | None
    device: torch.device
    options: MeasureOptions

    def same(self) -> Mapping[str, object]:
        return _same({**self.reading, **self.options})

    def lead(self, team: Team | None) -> Evaluation:
        made, test, train = made_and_real(self.images, self.data, **self.reading)
        if self.closest is not None:
            check = CopyCheck(some_images(made, NEIGHBOURS, 0), train, test)
            _draw_closest(check, self.closest)
        ctx = self._context(made, test, train)
        _agree(team, ctx)
        return _told(team, metrics.measured(ctx))

    def follow(self, team: Team) -> Evaluation:
        return _followed(
            team, self._context(*made_and_real(self.images, self.data, **self.reading))
        )

    def _context(self, made: Tensor, test: Dataset, train: Dataset) -> Context:
        size = self.reading.get("size")
        about = {} if size is None else {"resized_to": f"{size}x{size}, Lanczos, antialiased"}
        return metrics.images_context(
            made, test, train, about=about, device=self.device, **self.options
        )


@on_device
def closest(
    source: Source | Run,
    data: Source | None = None,
    *,
    of: Literal["train", "test"] = "train",
    n: int = NEIGHBOURS,
    pairs: int = PAIRS,
    seed: int = 0,
    device: str | None = None,
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
        device: as for `ptheta.sample`
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
