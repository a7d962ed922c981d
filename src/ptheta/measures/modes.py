"""Mode coverage: which components of a Gaussian mixture samples reach, and how many samples are
near one.

As defined by VEEGAN (arXiv:1705.07761, section 4.1) and PacGAN (arXiv:1712.04086, section 4.1): a
sample belongs to its nearest mode, in standard deviations of that mode, and is good within three of
them; a mode is found if it has a good sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.points import check_points
from ptheta.measures.results import Draws

GOOD = 3.0  # maximum standard deviations of a good sample


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture. means: (K, D); deviations: (K,) or (K, D), standard deviations of the
    modes;
    weights: (K,), None for equal ones"""

    means: Tensor
    deviations: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        k = len(self.means)
        shapes = [(k,), (k, *self.means.shape[1:])]
        if self.means.ndim != 2 or tuple(self.deviations.shape) not in shapes:
            raise PthetaError(
                f"means {tuple(self.means.shape)} and deviations {tuple(self.deviations.shape)}: "
                "want (K, D), and (K,) or (K, D)"
            )
        if not bool((self.deviations > 0).all()):
            raise PthetaError("standard deviations must be above 0: give one for each mode")
        w = self.weights
        if w is not None and (w.shape != (k,) or not bool((w > 0).all())):
            raise PthetaError(f"weights {w.tolist()}: give one above 0 for each of the {k} modes")

    @property
    def shares(self) -> Tensor:
        """The weights, which sum to one: float64 (K,)."""
        w = torch.ones(len(self.means)) if self.weights is None else self.weights
        return w.double() / w.double().sum()


@dataclass(frozen=True)
class Reached:
    """Assignment of samples to modes. mode: int64 (N,), the nearest mode; good: bool (N,), whether
    the sample is near it; of: the mixture"""

    mode: Tensor
    good: Tensor
    of: Mixture

    @property
    def counts(self) -> Tensor:
        """Good samples of each mode: int64 (K,)."""
        return torch.bincount(self.mode[self.good], minlength=len(self.of.means))

    @property
    def missing(self) -> list[int]:
        """The modes without a good sample."""
        return (self.counts == 0).nonzero()[:, 0].tolist()

    @property
    def found(self) -> int:
        """Number of modes with a good sample."""
        return int((self.counts > 0).sum())


def reached(x: Tensor, mixture: Mixture) -> Reached:
    """Assign samples (N, D) to modes. Raises PthetaError for NaN and for another dimension."""
    x = check_points(x, "samples")
    means, deviations = mixture.means.double(), mixture.deviations.double()
    if x.shape[1] != means.shape[1]:
        raise PthetaError(
            f"samples have {x.shape[1]} dimensions and modes {means.shape[1]}: give equal ones"
        )
    if deviations.ndim == 1:
        deviations = deviations[:, None].expand_as(means)
    near, mode = torch.cat([_nearest(part, means, deviations) for part in x.split(4096)], 1)
    return Reached(mode.long(), near < GOOD, mixture)


def _nearest(x: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    """The distance to the nearest mode in its standard deviations, and its index: (2, B)."""
    d = ((x[:, None] - means) / deviations).square().sum(2).sqrt()
    return torch.stack([d.amin(1), d.argmin(1).double()])


def mode_divergence(of: Reached) -> tuple[float, Draws | None]:
    """KL(q || w) of the mode frequencies q among good samples from the weights w of the mixture,
    nats, and its draws; None for too few samples.

    PacGAN's "reverse KL". 0 if the frequencies equal the weights; log K for samples of a single
    mode with equal weights. The chance level for N samples of the mixture is about (K - 1) / 2N.
    Raises PthetaError if no sample is good.
    """
    if not of.good.any():
        raise PthetaError("no sample is near a mode, so modes have no shares: see the good samples")
    k, shares = len(of.of.means), of.of.shares
    hot = torch.nn.functional.one_hot(of.mode, k).double() * of.good[:, None]
    groups = Groups(len(hot), "fake")
    value = _divergence(hot.mean(0), shares).item()
    without = groups.means(hot)
    if not groups.count or not without.sum(1).all():
        return value, None
    return value, draws(_divergence(without, shares))


def _divergence(counts: Tensor, shares: Tensor) -> Tensor:
    """KL of normalised counts (..., K) from shares (K,)."""
    q = counts / counts.sum(-1, keepdim=True)
    return (torch.xlogy(q, q) - torch.xlogy(q, shares)).sum(-1)
