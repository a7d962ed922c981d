"""How well images and captions find each other in a batch: pure functions of what networks make of
them, one value per example."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ptheta.compute.precise import precise, wide


def contrastive(a: Tensor, b: Tensor, scale: Tensor | float, same: Tensor | None = None) -> Tensor:
    """The symmetric contrastive loss, in nats: (B,). With s_ij = scale * a_i . b_j,

        (log sum_j exp s_ij + log sum_j exp s_ji) / 2 - s_ii

    over all j except other examples with the same caption, which are correct matches as well
    (van den Oord et al. 2018, arXiv:1807.03748; Radford et al. 2021, arXiv:2103.00020). It is log B
    if the embeddings are not informative.

    Args:
        a: image embeddings, (B, W), of unit length
        b: embeddings of their captions, (B, W), of unit length
        scale: the inverse of a temperature
        same: bool (B, B), whether two examples have the same caption
    """
    with precise(a.device):
        s = scale * wide(a) @ wide(b).T
    right = s.diagonal()
    if same is not None:
        others = same & ~torch.eye(len(a), dtype=torch.bool, device=a.device)
        s = s.masked_fill(others, -math.inf)
    return (s.logsumexp(1) + s.logsumexp(0)) / 2 - right


def same_rows(rows: Tensor) -> Tensor:
    """Whether two of the rows (B, T) are equal: bool (B, B)."""
    return (rows[:, None] == rows[None]).all(2)


def words_told(logits: Tensor, present: Tensor) -> Tensor:
    """-log p(the words of a caption), each word of a vocabulary there or not, independently, in
    nats: (B,) (Joulin et al. 2016, arXiv:1511.02251, with a logistic loss of each word).

    Args:
        logits: for each word being there, (B, V)
        present: 1 where it is, else 0, (B, V)
    """
    return binary_cross_entropy_with_logits(logits, present, reduction="none").sum(1)
