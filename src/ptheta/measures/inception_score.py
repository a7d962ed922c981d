"""Inception-style score, from the logits of any classifier (Salimans et al. 2016, 1606.03498)."""

from __future__ import annotations

import math

import torch
from scipy.stats import binom
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

MISSING = 0.1  # relative to the frequency in real images: a class with less is missing


def class_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp E KL(p(y | x) || p(y)): its mean over the splits, and the standard error of that mean
    (0 for one split).

    logits: (N, K). 1 if the classifier gives the same prediction for all images, K if each class is
    equally frequent and predicted with certainty.
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


def score_draws(logits: Tensor, groups: Groups, splits: int = 10) -> Draws | None:
    """The leave-one-group-out scores, with the same splits; None for too few images.

    log score = H(mean of p) - mean of H(p), each a function of means over the images of a split.
    """
    if not groups.count:
        return None
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    terms = torch.cat([p, -(p * log_p).sum(1, keepdim=True), torch.ones(len(p), 1).double()], 1)
    scores = []
    parts = zip(terms.tensor_split(splits), groups.member.tensor_split(splits), strict=True)
    for part, member in parts:
        left = part.sum(0) - member.T @ part
        if not left[:, -1].all():
            return None
        left = left / left[:, -1:]
        marginal, conditional = left[:, :-2], left[:, -2]
        scores.append((-torch.xlogy(marginal, marginal).sum(1) - conditional).exp())
    return draws(torch.stack(scores).mean(0))


def effective_classes(logits: Tensor) -> tuple[float, Tensor]:
    """exp of the entropy of the predicted classes, and their counts (K,).

    K if every class is equally frequent, 1 if all images are of one class.
    """
    counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1])
    p = counts.double() / counts.sum()
    return math.exp(-torch.xlogy(p, p).sum().item()), counts


def classes_draws(logits: Tensor, groups: Groups) -> Draws | None:
    """Leave-one-group-out effective numbers of classes; None for too few images."""
    if not groups.count:
        return None
    p = groups.means(_one_hot(logits))
    return draws((-torch.xlogy(p, p).sum(1)).exp())


def class_balance(fake: Tensor, real: Tensor) -> float:
    """Total variation between the predicted classes of fakes and of real images, from logits
    (N, K) and (M, K): 0 for equal frequencies, 1 if no class is shared."""
    return _variation(_one_hot(fake).mean(0), _one_hot(real).mean(0)).item()


def balance_draws(fake: Tensor, real: Tensor, fakes: Groups, reals: Groups) -> Draws | None:
    """Leave-one-group-out total variations; None for too few images."""
    if not fakes.count or not reals.count:
        return None
    a, b = _one_hot(fake), _one_hot(real)
    of_a, of_b = fakes.means(a), reals.means(b)
    return draws(
        _variation(of_a, b.mean(0)),
        _variation(a.mean(0), of_b),
        _variation(of_a[:, None], of_b[None]),
    )


def _variation(p: Tensor, q: Tensor) -> Tensor:
    return (p - q).abs().sum(-1) / 2


def missing_classes(fake: Tensor, real: Tensor) -> list[int]:
    """The classes missing among fakes, from logits (N, K) and (M, K).

    A class is missing if it is less than a tenth as frequent as among the real images, and
    significantly so (binomial test, 5 % for all classes together).
    """
    counts = torch.bincount(fake.argmax(1), minlength=fake.shape[1])
    shares = torch.bincount(real.argmax(1), minlength=real.shape[1]).double() / len(real)
    n, level = len(fake), 0.05 / fake.shape[1]
    return [
        y
        for y, (count, share) in enumerate(zip(counts.tolist(), shares.tolist(), strict=True))
        if count < MISSING * share * n and binom.cdf(count, n, share) < level
    ]


def _one_hot(logits: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).double()
