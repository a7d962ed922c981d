"""How tensors lie in memory."""

from __future__ import annotations

import ctypes

import torch
from torch import nn


class PlaneByPlane(nn.Module):
    """A network that is quicker on the CPU with its maps one after the other: of transposed
    convolutions, or of norms of each map by itself."""


def channels_last(model: nn.Module) -> nn.Module:
    """The model with its convolutions laid out pixel by pixel: about a quarter faster on the CPU,
    where measured (see docs/benchmarks.md), and the layout that GPUs prefer. On the CPU what is
    `PlaneByPlane` keeps its own."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in model.modules():
        if isinstance(part, PlaneByPlane) and next(part.parameters()).device.type == "cpu":
            part.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model


def keep_large_blocks() -> None:
    """Tells glibc to reuse the memory of large tensors in place of giving it back each time.

    By default a tensor over 32 MB is mapped afresh and its pages are zeroed by the kernel, which
    takes longer than, say, a ReLU over it. Does nothing where the C library is another one.
    """
    max_maps, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(max_maps, 0)
    mallopt(trim_above, 2**31 - 1)
