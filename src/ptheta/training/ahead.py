"""Batches that are read before their step, for data that are decoded or fetched as they are
needed."""

from __future__ import annotations

from ptheta.batch import Batch
from ptheta.data.dataset import Dataset
from ptheta.training.sampler import Sampler

DECODED = 2  # batches that are decoded ahead
FETCHED = 64  # steps ahead for which the files are fetched


class Ahead:
    """The batches of a process. Nothing but their time of reading depends on what is read ahead."""

    def __init__(self, data: Dataset, sampler: Sampler) -> None:
        self.data, self.sampler = data, sampler
        self.decoded = self.fetched = 0  # the last step for which it was begun

    def take(self, step: int) -> Batch:
        """The batch of a step (1, 2, ...)."""
        if self.data.order is None:
            return self.data.batch(self.sampler.indices(step))
        for later in range(max(step, self.decoded + 1), step + DECODED + 1):
            self.data.expect(self.sampler.indices(later))
        self.decoded = max(self.decoded, step + DECODED)
        batch = self.data.batch(self.sampler.indices(step))
        for later in range(max(step, self.fetched) + 1, step + FETCHED + 1):
            self.data.approach(self.sampler.indices(later))
        self.fetched = max(self.fetched, step + FETCHED)
        return batch
