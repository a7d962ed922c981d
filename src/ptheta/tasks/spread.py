"""Stratified subsets of labelled examples."""

from __future__ import annotations

import torch
from torch import Tensor


def spread_over(y: Tensor, n: int, seed: int) -> Tensor:
    """Indices of a stratified random subset of n examples with labels y (N,), in random order:
    int64 (n,). For n = N each index occurs once."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(y), generator=generator)
    order = order[torch.argsort(y[order], stable=True)]
    at = ((torch.arange(n, dtype=torch.float64) + 0.5) * len(y) / n).long().clamp(max=len(y) - 1)
    return order[at][torch.randperm(n, generator=generator)]
