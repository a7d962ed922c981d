"""Full-precision arithmetic: without autocast, for differences of large numbers, inverses and sums;
and without TF32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def precise(device: torch.device) -> AbstractContextManager[object]:
    """Context without autocast: results have the precision of the inputs."""
    return torch.autocast(device.type, enabled=False)


def without_tf32(device: torch.device) -> AbstractContextManager[object]:
    """Context in which cuDNN's convolutions on this device are in float32, not in TF32 of 10 bits
    as torch has them by default, and are reproducible."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


def wide(x: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
