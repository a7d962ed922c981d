"""Some of labelled examples, each class in its share."""

from __future__ import annotations

import torch
from torch import Tensor


def spread_over(y: Tensor, n: int, seed: int) -> Tensor:
    """Positions of n of the examples with labels y (N,), each class in its share, in an order of
    the seed: int64 (n,). Of as many as there are, each once."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=generator)
    order = order[torch.argsort(y[order], stable=True)]
    at = ((torch.arange(n, dtype=torch.float64) + 0.5) * len(y) / n).long().clamp(max=len(y) - 1)
    return order[at][torch.randperm(n, generator=generator)]
