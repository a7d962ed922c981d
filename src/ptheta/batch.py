"""A batch: what a loss sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Batch:
    """What a loss sees: an image batch and its condition.

    x: uint8 (B, C, H, W)
    y: the condition: int64 (B,) class labels, or float (B, A) attributes, or None
    logs: scalars to write beside the losses, detached by the trainer
    """

    x: Tensor
    y: Tensor | None = None
    logs: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        y = "" if self.y is None else f", y: {_kind(self.y)}"
        logs = f", {len(self.logs)} logged" if self.logs else ""
        return f"Batch(x: {_kind(self.x)}{y}{logs})"

    def to(self, device: torch.device) -> Batch:
        """The same images and conditions on a device; nothing is logged there yet."""
        y = None if self.y is None else self.y.to(device, non_blocking=True)
        return Batch(self.x.to(device, non_blocking=True), y)


def _kind(x: Tensor) -> str:
    """The type and shape of a tensor, and where it lies if that is not the CPU."""
    where = "" if x.device.type == "cpu" else f" on {x.device}"
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}{where}"
