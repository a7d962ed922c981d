"""Segmentation scores of label maps (Long et al., arXiv:1411.4038, section 5), from counts.

With n_ij pixels of label i that are predicted as j, t_i = sum_j n_ij, and K labels that occur in
the true label maps,

    pixel accuracy   sum_i n_ii / sum_i t_i
    class accuracy   1/K sum_i n_ii / t_i
    mean IoU         1/K sum_i n_ii / (t_i + sum_j n_ji - n_ii)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups

AT_ONCE = 2**22  # pixels per block


class Scores(NamedTuple):
    """Scores of one or several confusion matrices, in 0..1, float64 (...)."""

    pixel: Tensor
    classes: Tensor
    iou: Tensor


def confusion(found: Tensor, wanted: Tensor, labels: int) -> Tensor:
    """The confusion matrix n_ij of pixels: int64 (K, K), true label first.

    found, wanted: predicted and true labels, int64 (..., H, W), 0..K-1. Raises PthetaError if they
    differ in shape.
    """
    return confusions(found[None], wanted[None], labels, torch.zeros(1, dtype=torch.long), 1)[0]


def confusions(found: Tensor, wanted: Tensor, labels: int, part: Tensor, parts: int) -> Tensor:
    """`confusion` for each subset of the maps: int64 (parts, K, K).

    found, wanted: int64 (N, ...); part: int64 (N,), the subset of each map
    """
    if found.shape != wanted.shape:
        raise PthetaError(
            f"label maps {tuple(found.shape)} and {tuple(wanted.shape)}: want as many of one size"
        )
    counts = torch.zeros(parts * labels * labels, dtype=torch.int64)
    each = max(1, AT_ONCE // max(1, found[:1].numel()))
    for f, w, p in zip(found.split(each), wanted.split(each), part.split(each), strict=True):
        cell = (p.view(-1, *(1,) * (f.ndim - 1)) * labels + w) * labels + f
        counts += torch.bincount(cell.flatten(), minlength=len(counts))
    return counts.view(parts, labels, labels)


def scores(counts: Tensor) -> Scores:
    """Scores of counts n_ij (..., K, K), true label first."""
    n = counts.double()
    right, total, given = n.diagonal(dim1=-2, dim2=-1), n.sum(-1), n.sum(-2)
    occurs = total > 0
    of_class = right / total.clamp(min=1)
    overlap = right / (total + given - right).clamp(min=1)
    count = occurs.sum(-1).clamp(min=1)
    return Scores(
        right.sum(-1) / total.sum(-1).clamp(min=1),
        (of_class * occurs).sum(-1) / count,
        (overlap * occurs).sum(-1) / count,
    )


def grouped_scores(
    found: Tensor, wanted: Tensor, labels: int, groups: Groups
) -> tuple[Scores, Scores]:
    """Scores of all maps, (), and leave-one-group-out scores, (groups.count,).

    found, wanted: int64 (N, H, W)
    """
    every = confusions(found, wanted, labels, groups.of, max(1, groups.count))
    whole = every.sum(0)
    return scores(whole), scores((whole - every)[: groups.count])
