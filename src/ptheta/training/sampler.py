"""The order of the data: a function of seed and step, so there is nothing to save."""

from __future__ import annotations

import numpy as np

from ptheta.errors import PthetaError


class BatchSampler:
    """Step -> the positions of its batch; every epoch is a new permutation, its tail dropped.

    n: images; batch_size: images in a step over all processes; rank of size: this process's share.
    The batches do not depend on how many processes share them.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, size: int = 1) -> None:
        """Raises PthetaError for data that is no batch, and a batch that cannot be shared."""
        if n < 2:
            raise PthetaError(f"{n} image is too few to train on: give at least two")
        if batch_size % size:
            raise PthetaError(
                f"batch_size = {batch_size} does not divide among {size} processes: "
                f"use a multiple of {size}"
            )
        self.n, self.seed, self.rank, self.size = n, seed, rank, size
        self.batch_size = min(batch_size, n)
        if self.batch_size % size:
            raise PthetaError(
                f"the {n} images are one batch, which does not divide among {size} processes: give "
                f"--batch-size {max(size, n - n % size)}, or fewer processes"
            )
        self.per_epoch = n // self.batch_size
        self._epoch, self._permutation = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> np.ndarray:
        """Positions for this process in step `step` (1, 2, ...)."""
        return self.batch(step)[self.rank :: self.size]

    def batch(self, step: int) -> np.ndarray:
        """Positions of the whole batch of step `step`."""
        epoch, place = divmod(step - 1, self.per_epoch)
        if epoch != self._epoch:
            self._permutation = np.random.default_rng([self.seed, epoch]).permutation(self.n)
            self._epoch = epoch
        return self._permutation[place * self.batch_size : (place + 1) * self.batch_size]
