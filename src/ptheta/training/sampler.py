"""Batch samplers: the order of the data is a function of seed and step, so no state is saved."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import nn

from ptheta.data.dataset import Dataset
from ptheta.data.windows import WindowOrder, Windows
from ptheta.errors import PthetaError
from ptheta.models.base import balanced
from ptheta.training.group import Group


class Sampler(ABC):
    """Maps a step to the indices of its batch, shared among processes.

    The batches do not depend on the number of processes.

    batch_size: images in a step over all processes; per_epoch: steps in a pass over the data
    rank of size: this process's share
    """

    def __init__(self, batch_size: int, per_epoch: int, rank: int, size: int) -> None:
        self.batch_size, self.per_epoch = batch_size, per_epoch
        self.rank, self.size = rank, size

    def indices(self, step: int) -> np.ndarray:
        """Indices for this process in step `step` (1, 2, ...)."""
        return self.batch(step)[self.rank :: self.size]

    @abstractmethod
    def batch(self, step: int) -> np.ndarray:
        """Indices of the whole batch of step `step`."""
        ...


def check_share(batch_size: int, size: int) -> None:
    """Raises PthetaError for a batch that cannot be shared equally by so many processes."""
    if batch_size % size:
        near = max(size, round(batch_size / size) * size)
        raise PthetaError(
            f"batch_size = {batch_size} does not divide among {size} processes: "
            f"use a multiple of {size}, such as --batch-size {near}"
        )


class BatchSampler(Sampler):
    """Every epoch is a new permutation of n images; the last incomplete batch is dropped.

    batch_size: images in a step over all processes; rank of size: this process's share.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, size: int = 1) -> None:
        """Raises PthetaError for too few data, and a batch that cannot be shared equally."""
        if n < 2:
            raise PthetaError(f"{n} image is too few to train on: give at least two")
        check_share(batch_size, size)
        batch_size = min(batch_size, n)
        if batch_size % size:
            raise PthetaError(
                f"the {n} images are one batch, which does not divide among {size} processes: give "
                f"--batch-size {max(size, n - n % size)}, or fewer processes"
            )
        super().__init__(batch_size, n // batch_size, rank, size)
        self.n, self.seed = n, seed
        self._epoch, self._permutation = -1, np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> np.ndarray:
        epoch, place = divmod(step - 1, self.per_epoch)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._epoch = epoch
        return self._permutation[place * self.batch_size : (place + 1) * self.batch_size]


class WindowSampler(BatchSampler):
    """Passes over shards, in the order of `ptheta.data.windows`, without gaps between them.

    Every image comes exactly once in a pass, the last of one and the first of the next in the same
    batch if need be: none is dropped. `per_epoch` is rounded up.
    """

    def __init__(
        self, order: WindowOrder, batch_size: int, seed: int, rank: int = 0, size: int = 1
    ) -> None:
        super().__init__(order.n, batch_size, seed, rank, size)
        self.order = order
        self.per_epoch = math.ceil(order.n / self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        return self.order.take((step - 1) * self.batch_size, step * self.batch_size)


class _Taken(Protocol):
    """An endless sequence of passes over some positions."""

    def take(self, start: int, stop: int) -> np.ndarray: ...


@dataclass(frozen=True)
class _InShards:
    """The images of one domain in shards. positions: indices in the data, (n,)"""

    positions: np.ndarray
    order: WindowOrder

    def take(self, start: int, stop: int) -> np.ndarray:
        found: np.ndarray = self.positions[self.order.take(start, stop)]
        return found


class _Domain:
    """The images of one domain, as an endless sequence of permutations.

    positions: indices of its images in the data, (n,); number: index of the domain. The order is a
    function of seed, number and epoch only.
    """

    def __init__(self, positions: np.ndarray, seed: int, number: int) -> None:
        self.positions, self.seed, self.number = positions, seed, number
        self._epoch, self._order = -1, positions

    def _permuted(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, self.number, epoch])
            self._order, self._epoch = rng.permutation(self.positions), epoch
        return self._order

    def take(self, start: int, stop: int) -> np.ndarray:
        """The elements from `start` to `stop` - 1, counted from 0 over all epochs."""
        n = len(self.positions)
        parts = [
            self._permuted(epoch)[max(start - epoch * n, 0) : stop - epoch * n]
            for epoch in range(start // n, -(-stop // n))
        ]
        return np.concatenate(parts)


class BalancedSampler(Sampler):
    """Batches with equally many images of each domain, one domain after the other.

    Each domain has its own permutations, so smaller ones repeat more often; an epoch is one of the
    largest domain. The share of each process is balanced as well.

    labels: the domain of each image, int64 (N,); names: of the domains
    batch_size: images in a step over all domains and processes; rank of size: as of `BatchSampler`
    rows, order: the stored row of each image, int64 (N,), and how these are read, if not at random
    """

    def __init__(
        self,
        labels: np.ndarray,
        names: Sequence[str],
        batch_size: int,
        seed: int,
        rank: int = 0,
        size: int = 1,
        rows: np.ndarray | None = None,
        order: Windows | None = None,
    ) -> None:
        """Raises PthetaError for an empty domain, and a batch that cannot be shared equally."""
        counts = np.bincount(labels, minlength=len(names))
        for name, count in zip(names, counts, strict=True):
            if not count:
                raise PthetaError(
                    f"the domain {name!r} has no training images: add some, or leave it out"
                )
        largest = int(counts.max())
        self.each = min(_each(batch_size, len(names), size), largest)
        if self.each % size:
            raise PthetaError(
                f"the {largest} images of the largest domain are one batch, which does not divide "
                f"among {size} processes: give --batch-size "
                f"{len(names) * max(size, largest - largest % size)}, or fewer processes"
            )
        super().__init__(len(names) * self.each, math.ceil(largest / self.each), rank, size)
        places = [np.flatnonzero(labels == k) for k, _ in enumerate(names)]
        self.domains: list[_Taken] = [
            _Domain(positions, seed, k)
            if order is None or rows is None
            else _InShards(positions, order.of(rows[positions], len(positions), (seed, k)))
            for k, positions in enumerate(places)
        ]

    def batch(self, step: int) -> np.ndarray:
        stop = step * self.each
        return np.concatenate([domain.take(stop - self.each, stop) for domain in self.domains])


def _each(batch_size: int, domains: int, processes: int) -> int:
    """Images of each domain in a batch. Raises PthetaError, with valid batch sizes, if domains or
    shares would be unequal."""
    unit = domains * processes
    over = batch_size % unit
    if over:
        below, above = batch_size - over, batch_size - over + unit
        among = f"{domains} domains" + (f" on {processes} processes" if processes > 1 else "")
        raise PthetaError(
            f"batch_size = {batch_size} does not divide equally among {among}: give --batch-size "
            f"{f'{below} or {above}' if below else above}"
        )
    return batch_size // domains


def sampler_for(
    model: nn.Module, data: Dataset, batch_size: int, seed: int, group: Group
) -> Sampler:
    """The sampler for a model: balanced over domains if the model needs it, and in the order that
    the data are read in.

    Raises PthetaError if the data has no domains, or the batch size is not possible."""
    rows = None if data.index is None else data.rows(slice(None))
    if not balanced(type(model)):
        if data.order is not None:
            passes = data.order.of(rows, len(data), (seed,))
            return WindowSampler(passes, batch_size, seed, group.rank, group.size)
        return BatchSampler(len(data), batch_size, seed, group.rank, group.size)
    if data.labels is None:
        raise PthetaError(
            f"{type(model).__name__} is trained on domains, and {data.name} has no labels for "
            "them: put the images of each domain into a separate folder"
        )
    rows = data.rows(slice(None))
    return BalancedSampler(
        *(data.labels[rows], data.classes, batch_size, seed, group.rank, group.size),
        rows=rows,
        order=data.order,
    )
