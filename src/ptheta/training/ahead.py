"""Batches that are read before their step: for data that are decoded or fetched as they are needed,
and for GPUs, to which a batch is copied while the step before it is computed."""

from __future__ import annotations

from typing import Protocol

import torch

from ptheta.batch import Batch
from ptheta.data.dataset import Dataset
from ptheta.training.sampler import Sampler

DECODED = 2  # batches that are decoded ahead
FETCHED = 64  # steps ahead for which the files are fetched


class Carrier(Protocol):
    """Moves batches to a device.

    device: the device
    early: whether it pays to begin before the step of the batch
    """

    device: torch.device
    early: bool

    def begin(self, batch: Batch) -> Batch:
        """Begin to move a batch. Nothing may use the result before `end`."""
        ...

    def end(self, begun: Batch) -> Batch:
        """The batch on the device, for the computations that follow."""
        ...


class Direct:
    """Moves a batch when it is needed."""

    early = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def begin(self, batch: Batch) -> Batch:
        return batch.to(self.device)

    def end(self, begun: Batch) -> Batch:
        return begun


class SideStream:
    """Copies batches to a GPU on a stream of its own, beside the kernels of a step.

    They are copied from pinned memory, so that the host does not wait for the copies; torch keeps
    the pinned memory until its copy is done.
    """

    early = True

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, torch.cuda.Stream(device)

    def begin(self, batch: Batch) -> Batch:
        with torch.cuda.stream(self.stream):
            return batch.each(torch.Tensor.pin_memory).to(self.device)

    def end(self, begun: Batch) -> Batch:
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        for tensor in begun.tensors():
            tensor.record_stream(current)  # its memory is not reused before the step has read it
        return begun


def carrier(device: torch.device) -> Carrier:
    """How batches move to a device."""
    return SideStream(device) if device.type == "cuda" else Direct(device)


class Ahead:
    """The batches of a process. Nothing but their time of reading depends on what is read ahead.

    last: the last step of the run; None if it is not known
    """

    def __init__(
        self, data: Dataset, sampler: Sampler, carrier: Carrier, last: int | None = None
    ) -> None:
        self.data, self.sampler, self.carrier, self.last = data, sampler, carrier, last
        self.decoded = self.fetched = 0  # the last step for which it was begun
        self.begun: tuple[int, Batch] | None = None  # a batch that is on its way, with its step

    def take(self, step: int) -> Batch:
        """The batch of a step (1, 2, ...), on the device."""
        begun, self.begun = self.begun, None
        if begun is None or begun[0] != step:
            begun = step, self._carried(step)
        return self.carrier.end(begun[1])

    def begin(self, step: int) -> None:
        """Begin to move the batch of a later step, where that pays and changes no noise."""
        beyond = self.last is not None and step > self.last
        if self.carrier.early and not self.data.draws and not beyond:
            self.begun = step, self._carried(step)

    def _carried(self, step: int) -> Batch:
        """The batch of a step on its way. Values are checked here for other devices, where a model
        does not check them (`ptheta.specs.trust`)."""
        batch = self._read(step)
        if self.carrier.device.type != "cpu":
            self.data.spec.check(batch.x)
        return self.carrier.begin(batch)

    def _read(self, step: int) -> Batch:
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
