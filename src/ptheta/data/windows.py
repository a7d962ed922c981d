"""The order of training on shards: a function of seed and epoch, in which few shards are open.

In each epoch the shards are permuted, and each `window` of them in this order is shuffled as a
whole. Every example comes exactly once an epoch, on any number of processes, and the order can be
entered at any position: nothing but the position must be remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

KEPT = 3  # windows whose order is kept: the present one, the next, and that of the read-ahead


@dataclass(frozen=True)
class Windows:
    """How training likes to read a data set.

    starts: the first stored row of each shard, ascending, int64 (S,)
    window: number of shards that are shuffled together
    identity: another for other shards; a run remembers it
    """

    starts: np.ndarray
    window: int
    identity: str = ""

    def of(self, rows: np.ndarray | None, total: int, seed: Sequence[int]) -> WindowOrder:
        """The order of some examples.

        rows: the stored row of each position, int64 (N,); None if they are 0, 1, ..., total - 1
        seed: what the order depends on, besides the epoch
        """
        if rows is None or (len(rows) and bool((rows[1:] > rows[:-1]).all())):
            by, ordered = None, rows
        else:
            by = np.argsort(rows, kind="stable")
            ordered = rows[by]
        bounds = np.append(self.starts[1:], np.iinfo(np.int64).max)
        if ordered is None:
            ends = np.minimum(bounds, total)
        else:
            ends = np.searchsorted(ordered, bounds)
        return WindowOrder(np.diff(ends, prepend=0), self.window, tuple(seed), by)


class WindowOrder:
    """An endless sequence of passes over n examples.

    sizes: examples of each shard, int64 (S,); by: position of each example in the order of the
        shards, None if that is the order of positions
    """

    def __init__(
        self, sizes: np.ndarray, window: int, seed: tuple[int, ...], by: np.ndarray | None = None
    ) -> None:
        self.sizes, self.window, self.seed, self.by = sizes, window, seed, by
        self.n = int(sizes.sum())
        self.firsts = np.cumsum(sizes) - sizes
        self._kept: dict[tuple[int, int], np.ndarray] = {}
        self._epoch, self._shards, self._ends = -1, sizes, sizes

    def take(self, start: int, stop: int) -> np.ndarray:
        """The positions at `start` to `stop` - 1, counted from 0 over all epochs: int64."""
        parts = []
        while start < stop:
            epoch, place = divmod(start, self.n)
            first, order = self._at(epoch, place)
            part = order[place - first : place - first + stop - start]
            parts.append(part)
            start += len(part)
        found = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return found if self.by is None else self.by[found]

    def _at(self, epoch: int, place: int) -> tuple[int, np.ndarray]:
        """(first place, order) of the window in which a place of an epoch lies."""
        if epoch != self._epoch:
            shards = np.random.default_rng([*self.seed, epoch]).permutation(len(self.sizes))
            self._shards, self._epoch = shards, epoch
            self._ends = np.cumsum(np.add.reduceat(self.sizes[shards], self._edges()))
        number = int(np.searchsorted(self._ends, place, side="right"))
        first = int(self._ends[number - 1]) if number else 0
        return first, self._window(epoch, number)

    def _edges(self) -> np.ndarray:
        return np.arange(0, len(self.sizes), self.window)

    def _window(self, epoch: int, number: int) -> np.ndarray:
        """The examples of a window, shuffled: int64."""
        key = epoch, number
        if key not in self._kept:
            shards = self._shards[number * self.window : (number + 1) * self.window]
            every = np.concatenate(
                [np.arange(self.firsts[k], self.firsts[k] + self.sizes[k]) for k in shards]
            )
            rng = np.random.default_rng([*self.seed, epoch, 1 + number])
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = rng.permutation(every)
        return self._kept[key]
