"""Sources of samples to compare with real images: a run, or images of any origin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.data.decode import LARGEST_NATURAL
from ptheta.data.memory import Source
from ptheta.data.names import called
from ptheta.data.request import DataSettings, Request
from ptheta.data.sources import Opening, open_image_set, settings_for
from ptheta.data.values import Kind
from ptheta.errors import PthetaError
from ptheta.metrics.conditions import draw
from ptheta.runs.folder import Run, is_run
from ptheta.specs import columns_of


class ReadOptions(TypedDict, total=False):
    """Common preprocessing of given and real images (antialiased, cropped).

    size: side in pixels; channels: 1 or 3; default: unchanged, and then they must agree
    image_column: image column of a source with columns
    """

    size: int | None
    channels: int | None
    image_column: str | None


class Weights(NamedTuple):
    """Weights and prior of a run, as for `Run.model`."""

    weights: str = "best"
    prior: str = "auto"


USUAL = Weights()


class Origin(NamedTuple):
    """A source of samples: a run, or images of any origin.

    draw: draws n samples by a seed; train, test: real examples; remarks: lines on them
    """

    draw: Callable[[int, int], Tensor]
    train: Dataset
    test: Dataset
    remarks: tuple[str, ...] = ()


def origin_of(
    source: Source | Run,
    data: Source | None,
    which: Weights = USUAL,
    **reading: Unpack[ReadOptions],
) -> Origin:
    """A run with its data, or images of any origin with the real images of `data`.

    Raises PthetaError if the run's training images are not available.
    """
    if not isinstance(source, Run) and not is_run(source) and data is not None:
        made, test, train = made_and_real(source, data, **reading)
        return Origin(lambda n, seed: some_images(made, n, seed), train, test)
    if not isinstance(source, str | Path | Run):
        raise PthetaError("images of any origin are compared with real ones: give data")
    if given := [f"--{n.replace('_', '-')}" for n, value in reading.items() if value is not None]:
        raise PthetaError(
            f"{' and '.join(given)}: only for IMAGES of any origin, and {source} is a run: leave "
            "it out"
        )
    run = Run.open(source)
    found = run.own(data)
    assert found.train is not None
    remark = run.remark(found, data)
    model = run.model(*which)
    remarks = () if remark is None else (remark,)
    return Origin(
        lambda n, seed: draw(model, found.test, n, seed), found.train, found.test, remarks
    )


def some_images(images: Tensor, n: int, seed: int) -> Tensor:
    """A random subset of n images, since they may be sorted by class."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]]


def made_and_real(
    images: Source,
    data: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    image_column: str | None = None,
) -> tuple[Tensor, Dataset, Dataset]:
    """Images of any origin, and the real ones (test, train), of the same size and channels; or
    table rows with the same columns."""
    settings = DataSettings(size=size, channels=channels, image_column=image_column)
    theirs, ours = (settings_for(source, settings) for source in (images, data))
    if image_column is not None and not theirs.of_tables and not ours.of_tables:
        raise PthetaError(
            f"--image-column {image_column}: neither {called(images)} nor {called(data)} has "
            "columns; leave it out"
        )
    opening = Opening(data, Request(settings=ours))
    train, test = (opening.split(split) for split in ("train", "test"))
    # white is 255 for 8-bit images from any program
    known: dict[Kind, float] = {k: v for k, v in test.whites.items() if k != "8-bit"}
    columns = columns_of(test.spec)
    made = open_image_set(images, theirs, known=known, columns=columns)
    for source, resized in ((data, test.resized), (images, made.resized)):
        if size is None and resized:
            raise PthetaError(
                f"{called(source)} has images of several sizes or of more than {LARGEST_NATURAL} "
                "pixels: give the size to evaluate at, such as --size 64"
            )
    if made.images.shape[1:] != test.spec.shape:
        size_of = "x".join(map(str, made.images.shape[1:]))
        raise PthetaError(
            f"{called(images)} has images of {size_of} (channels, height, width), {called(data)} "
            f"of {'x'.join(map(str, test.spec.shape))}: give --size and --channels to convert "
            "both"
        )
    return made.images, test, train
