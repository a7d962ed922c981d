"""The context type of custom autograd functions, which torch does not declare."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Saved(Protocol):
    """Carries tensors from the forward to the backward pass. A function that carries more says so
    in a protocol of its own."""

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]: ...

    def save_for_backward(self, *tensors: Tensor) -> None: ...
