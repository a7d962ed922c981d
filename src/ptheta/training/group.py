"""The group of processes of a training, from the view of one process.

The model is not wrapped: each process computes its part of the batch, and the engine averages the
moving player's gradients (see docs/distributed.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, distributed
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from ptheta.specs import full

CPU = torch.device("cpu")


class _Sum(Function):
    """Sum of a tensor over the processes; its backward pass sums the gradients."""

    apply: ClassVar[Callable[[Tensor], Tensor]]

    @staticmethod
    def forward(ctx: FunctionCtx, here: Tensor) -> Tensor:
        everywhere = here.clone()
        distributed.all_reduce(everywhere)
        return everywhere

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> Tensor:
        return summed(grads[0])


def summed(here: Tensor) -> Tensor:
    """The sum of a tensor over the processes, differentiable."""
    return _Sum.apply(here)


@dataclass(frozen=True)
class Group:
    """One process of a training: by default the only one, on the CPU.

    device: device of the computation
    rank: 0, 1, ..., of `size` processes
    half: autocast dtype, or None for float32 throughout
    local: number of them on this machine
    """

    device: torch.device = CPU
    rank: int = 0
    size: int = 1
    half: torch.dtype | None = None
    local: int = 1

    @property
    def on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def autocast(self) -> AbstractContextManager[object]:
        """The precision of the forward pass."""
        if self.half is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.half)

    def gather(self, here: Tensor) -> Tensor:
        """Rows of this process's examples (B, ...) -> those of the whole batch, differentiable.

        Row i of process r is row i * size + r, as `ptheta.compute.streams` has it.
        """
        here = full(here).contiguous()
        others = torch.zeros_like(here)
        rows = [here if rank == self.rank else others for rank in range(self.size)]
        return summed(torch.stack(rows, 1).flatten(0, 1))

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Averages each tensor over the processes in place, in one communication."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            t.copy_(part.view_as(t))

    def greatest(self, *numbers: float) -> list[float]:
        """The maximum of each number over the processes."""
        if self.size == 1:
            return list(numbers)
        all_of_them = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(all_of_them, op=distributed.ReduceOp.MAX)
        return all_of_them.tolist()

    def each(self, number: float) -> list[float]:
        """The number of every process, in order of rank."""
        if self.size == 1:
            return [number]
        numbers = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        numbers[self.rank] = number
        distributed.all_reduce(numbers)
        return numbers.tolist()

    def everywhere(self, here: bool) -> bool:
        """Whether something holds in every process."""
        return not self.greatest(float(not here))[0]

    def barrier(self) -> None:
        """Waits for every process."""
        self.greatest(0.0)
