"""Extraction of features in batches, by one or several processes."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.compute import parts
from ptheta.compute.layout import keep_large_blocks
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.training.helpers import helped

IN_MEMORY = 2**28  # maximum bytes of features in memory
NAME = "features"


@dataclass(frozen=True)
class Features:
    """Extracted features. features: float32 (N, d); logits: float32 (N, K) or None."""

    features: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: Tensor) -> Features:
        """Select some of the images, by int64 indices or a bool mask (N,)."""
        return Features(self.features[rows], None if self.logits is None else self.logits[rows])


def extract(
    source: Tensor | Dataset, extractor: Extractor, batch_size: int = 500, processes: int = 1
) -> Features:
    """The features of an image batch or a data set. At most `batch_size` images are in memory at a
    time; features beyond `IN_MEMORY` bytes are in a memory-mapped file.

    processes: number of processes that share the batches. The result does not depend on it: batches
        are the same, and nothing is summed across batches.
    Raises PthetaError for fewer than two images and for features that are not finite.
    """
    n = len(source)
    if n < 2:
        raise PthetaError(f"{n} image is too few for a distance or a score: give at least two")
    keep_large_blocks()
    work = _Work(source, extractor, batch_size)
    several = min(processes, len(work.numbers))
    called = parts.called(NAME) if several > 1 else nullcontext()
    with helped(several, _follow, (work,)), called:
        found = work.done()
    if not all(part.isfinite().all() for part in found.features.split(batch_size)):
        raise PthetaError(f"the {extractor.name} features hold NaN or infinity: check the images")
    return found


@dataclass(frozen=True)
class _Work:
    """An extraction in batches of `size` images."""

    source: Tensor | Dataset
    extractor: Extractor
    size: int

    @property
    def numbers(self) -> range:
        """Of the batches."""
        return range(-(-len(self.source) // self.size))

    def done(self) -> Features:
        n, into = len(self.source), None
        found = parts.each(self._batch, self.numbers, f"{self.extractor.name} features")
        for number, part in zip(self.numbers, found, strict=True):
            h, logits = part["features"], part.get("logits")
            into = _room_for(h, logits, n) if into is None else into
            some = slice(number * self.size, number * self.size + len(h))
            into.features[some] = h
            if into.logits is not None and logits is not None:
                into.logits[some] = logits
        assert into is not None  # there are at least two images
        return into

    def _batch(self, number: int) -> dict[str, Tensor]:
        start = number * self.size
        some = slice(start, min(start + self.size, len(self.source)))
        with torch.no_grad():
            x = self.source[some] if isinstance(self.source, Tensor) else self.source.batch(some).x
            h, logits = self.extractor(x)
        found = {"features": h.float().cpu()}
        return found if logits is None else found | {"logits": logits.float().cpu()}


def _follow(team: parts.Team, work: _Work) -> None:
    parts.follow(team, {NAME: work.done})


def _room_for(h: Tensor, logits: Tensor | None, n: int) -> Features:
    """Output buffers for n images, with the dimensions of the features of the first batch."""
    return Features(_room(n, h.shape[1]), None if logits is None else _room(n, logits.shape[1]))


def _room(n: int, d: int) -> Tensor:
    """An empty float32 (n, d): in memory if it is small, else in an unnamed memory-mapped file."""
    if 4 * n * d <= IN_MEMORY:
        return torch.empty(n, d)
    with tempfile.NamedTemporaryFile() as file:  # the mapping remains valid without the name
        return torch.from_file(file.name, shared=True, size=n * d).view(n, d)
