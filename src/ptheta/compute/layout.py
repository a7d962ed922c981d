"""Memory layout of tensors."""

from __future__ import annotations

import ctypes

import torch
from torch import nn


class PlaneByPlane(nn.Module):
    """A network that is faster on the CPU in contiguous layout (NCHW): with transposed
    convolutions, or with norms per channel."""


def channels_last(model: nn.Module) -> nn.Module:
    """The model with its convolutions in channels-last layout: about a quarter faster on the CPU
    where measured (see docs/benchmarks.md), and preferred by GPUs. On the CPU, modules that are
    `PlaneByPlane` stay contiguous."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in model.modules():
        if isinstance(part, PlaneByPlane) and next(part.parameters()).device.type == "cpu":
            part.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model


def keep_large_blocks() -> None:
    """Make glibc reuse the memory of large tensors instead of returning it to the system.

    By default a tensor over 32 MB is mapped anew and its pages are zeroed by the kernel, which
    takes longer than, for example, a ReLU over it. Does nothing with another C library.
    """
    max_maps, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(max_maps, 0)
    mallopt(trim_above, 2**31 - 1)
