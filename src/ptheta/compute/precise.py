"""Arithmetic that autocast must leave in full: differences of large numbers, inverses and sums."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def precise(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside: what is computed is as wide as what it is computed from."""
    return torch.autocast(device.type, enabled=False)


def wide(x: Tensor) -> Tensor:
    """In float32 at least, whatever it was computed in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
