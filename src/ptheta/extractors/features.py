"""Extraction of features in batches, by one or several processes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.compute.layout import keep_large_blocks
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.terminal.progress import watched
from ptheta.training.ranks import spread

IN_MEMORY = 2**28  # maximum bytes of features in memory


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
    time; features beyond `IN_MEMORY` bytes are in a memory-mapped file (in shared memory for
    several processes).

    processes: number of worker processes. The result does not depend on it: batches are the same,
        and nothing is summed across batches.
    Raises PthetaError for fewer than two images and for features that are not finite.
    """
    n = len(source)
    if n < 2:
        raise PthetaError(f"{n} image is too few for a distance or a score: give at least two")
    if processes < 1:
        raise PthetaError(f"processes = {processes}: give at least one")
    keep_large_blocks()
    rest = range(batch_size, n, batch_size)
    several = processes > 1 and bool(rest)
    first = Features(*_batch(source, extractor, 0, batch_size))
    work = _Work(_room_for(first, n, several), source, extractor, batch_size)
    work.put(0, first.features, first.logits)
    if several:
        spread(_share, (work, rest, processes, torch.get_num_threads()), processes)
    else:
        work.fill(rest)
    found = work.into
    if not all(part.isfinite().all() for part in found.features.split(batch_size)):
        raise PthetaError(f"the {extractor.name} features hold NaN or infinity: check the images")
    return found


def _batch(
    source: Tensor | Dataset, extractor: Extractor, start: int, size: int
) -> tuple[Tensor, Tensor | None]:
    part = slice(start, min(start + size, len(source)))
    with torch.no_grad():
        return extractor(source[part] if isinstance(source, Tensor) else source.batch(part).x)


@dataclass(frozen=True)
class _Work:
    """An extraction in batches of `size` images, with the output buffers."""

    into: Features
    source: Tensor | Dataset
    extractor: Extractor
    size: int

    def fill(self, starts: Sequence[int]) -> None:
        for start in watched(starts, f"{self.extractor.name} features"):
            self.put(start, *_batch(self.source, self.extractor, start, self.size))

    def put(self, start: int, h: Tensor, logits: Tensor | None) -> None:
        self.into.features[start : start + len(h)] = h.float()
        if self.into.logits is not None and logits is not None:
            self.into.logits[start : start + len(h)] = logits.float()


def _share(rank: int, work: _Work, starts: Sequence[int], processes: int, threads: int) -> None:
    """Extract the batches of one process: every `processes`-th."""
    keep_large_blocks()
    torch.set_num_threads(
        threads
    )  # as many as a single process has, so that sums are bit-identical
    work.fill(starts[rank::processes])


def _room_for(first: Features, n: int, shared: bool) -> Features:
    """Output buffers for n images, with the dimensions of the features of the first batch."""
    logits = None if first.logits is None else _room(n, first.logits.shape[1], shared)
    return Features(_room(n, first.features.shape[1], shared), logits)


def _room(n: int, d: int, shared: bool) -> Tensor:
    """An empty float32 (n, d): in memory if it is small or shared, else in an unnamed memory-mapped
    file, which other processes cannot open."""
    if shared:
        room = torch.empty(n, d)
        room.share_memory_()
        return room
    if 4 * n * d <= IN_MEMORY:
        return torch.empty(n, d)
    with tempfile.NamedTemporaryFile() as file:  # the mapping remains valid without the name
        return torch.from_file(file.name, shared=True, size=n * d).view(n, d)
