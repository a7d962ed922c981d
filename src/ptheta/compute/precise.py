"""Full-precision arithmetic under autocast, for differences of large numbers, inverses and sums."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def precise(device: torch.device) -> AbstractContextManager[object]:
    """Context without autocast: results have the precision of the inputs."""
    return torch.autocast(device.type, enabled=False)


def wide(x: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
