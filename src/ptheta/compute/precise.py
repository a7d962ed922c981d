"""Arithmetic that autocast must leave in full: differences of large numbers, inverses and sums."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def precise(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside: what is computed is as wide as what it is computed from."""
    return torch.autocast(device.type, enabled=False)


def full(x: Tensor) -> Tensor:
    """What was computed in half, or a mask, as float32; float64 stays what it is."""
    return x if x.dtype == torch.float64 else x.float()
