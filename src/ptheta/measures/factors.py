"""The mutual information gap: disentanglement of a code with respect to known factors."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 20  # bins of each dimension (Locatello et al. 2019, arXiv:1811.12359)


def binned(codes: Tensor, bins: int = BINS) -> Tensor:
    """The bin of each value, for equal-width bins from the minimum to the maximum of a dimension:
    (N, L) -> int64 (N, L). A constant dimension has one bin."""
    codes = codes.double()
    low, high = codes.amin(0), codes.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    return ((codes - low) / width * bins).long().clamp(max=bins - 1)


def mutual_information(bins: Tensor, values: Tensor) -> Tensor:
    """I(z_j; v_k) of the empirical distribution: int64 (N, L), (N, K) -> (L, K), nats."""
    each = [torch.nn.functional.one_hot(column).double() for column in values.T]
    factor = torch.repeat_interleave(torch.tensor([one.shape[1] for one in each]))
    factors = torch.cat(each, 1)
    found = torch.zeros(bins.shape[1], len(each), dtype=torch.float64)
    for j, column in enumerate(bins.T):
        code = torch.nn.functional.one_hot(column).double()
        joint = code.T @ factors / len(bins)
        product = joint[:, factor == 0].sum(1)[:, None] * joint.sum(0)
        terms = torch.xlogy(joint, joint / product.clamp(min=1e-300)).sum(0)
        found[j].index_add_(0, factor, terms)
    return found


def entropies(values: Tensor) -> Tensor:
    """H(v_k) of the empirical distribution: int64 (N, K) -> (K,) nats."""
    found = []
    for column in values.T:
        p = column.bincount().double() / len(column)
        found.append(-torch.xlogy(p, p).sum())
    return torch.stack(found)


def information_gaps(codes: Tensor, values: Tensor) -> Tensor:
    """For each factor the difference of the two largest I(z_j; v_k) over j, divided by H(v_k):
    (K,), from 0 to 1. codes: (N, L); values: int64 (N, K) from 0, at least two values per factor

    Chen et al. 2018, eq. 6 (arXiv:1802.04942), with binned codes. For a code of one dimension it is
    I(z; v_k) / H(v_k).
    """
    found = mutual_information(binned(codes), values).sort(0, descending=True).values
    second = found[1] if len(found) > 1 else torch.zeros_like(found[0])
    return (found[0] - second) / entropies(values)


def mutual_information_gap(codes: Tensor, values: Tensor) -> float:
    """The mean of `information_gaps` over the factors."""
    return information_gaps(codes, values).mean().item()
