"""Inception-style score, from the logits of any classifier (Salimans et al. 2016, 1606.03498)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ptheta.errors import PthetaError


def class_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(y | x) || p(y)): its mean over the splits, and the standard error of that mean
    (0 for one split).

    logits: (N, K). 1 where all images look alike to the classifier, K where each class comes
    equally often and without doubt.
    """
    n = len(logits)
    if n < 2 * splits:
        raise PthetaError(f"{n} images are too few for {splits} splits: give {2 * splits} or more")
    log_p = logits.double().log_softmax(1)
    scores = []
    for part in log_p.tensor_split(splits):
        log_marginal = part.logsumexp(0) - math.log(len(part))
        scores.append((part.exp() * (part - log_marginal)).sum(1).mean().exp())
    values = torch.stack(scores)
    error = (values.std() / splits**0.5).item() if splits > 1 else 0.0
    return values.mean().item(), error


def effective_classes(logits: Tensor) -> tuple[float, Tensor]:
    """exp of the entropy of the predicted classes, and their counts (K,).

    K where every class comes equally often, 1 where all images are of one class.
    """
    counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1])
    p = counts.double() / counts.sum()
    return math.exp(-torch.xlogy(p, p).sum().item()), counts
