"""Arithmetic that autocast must leave in full: differences of large numbers, inverses and sums."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from ptheta.specs import full

__all__ = ["full", "precise"]


def precise(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside: what is computed is as wide as what it is computed from."""
    return torch.autocast(device.type, enabled=False)
