"""Constants on the device where they are used.

A copy from ordinary memory to a GPU makes the host wait for all that the GPU has to do. A constant
is therefore copied once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Place = tuple[torch.device, torch.dtype]
_copies: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def on(constant: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor that never changes, on a device and in a type: by default in its own."""
    dtype = dtype or constant.dtype
    if device.type == "cpu" or constant.device == device:
        return constant.to(device, dtype)
    copies: dict[Place, Tensor] = _copies.setdefault(constant, {})
    if (device, dtype) not in copies:
        with torch.inference_mode(False):  # it may be used in training later
            copies[device, dtype] = constant.to(device, dtype)
    return copies[device, dtype]
