"""What is unknown of an example, drawn by a VAE given the rest: importance resampling of codes.

The target is p(z | known), in proportion to p(z) p(known | z); a code is drawn from q(z | x) of the
example as far as it is known, and weighted by the ratio of the two (Mattei & Frellsen 2019,
arXiv:1812.02633, section 3; Rubin 1987). What the encoder was never without in training, it is
given by a chain of pseudo-Gibbs draws (Rezende et al. 2014, arXiv:1401.4082, appendix F). Whatever
the chain gave, the weights are right: with many candidates draws tend to p(unknown | known).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Condition, repeated
from ptheta.compute import streams
from ptheta.distributions.base import ElementDistribution
from ptheta.specs import DataSpec, VectorSpec

if TYPE_CHECKING:
    from ptheta.models.variational.vae import VAE

ROUNDS = 10  # of pseudo-Gibbs
FAR = 10.0  # standard deviations of a number: no guess lies beyond


class Codes(NamedTuple):
    """Candidates for each example, (K B, ...), all first ones first.

    p: p(x | z) of each; log_weights: (K, B) nats
    """

    p: ElementDistribution
    log_weights: Tensor


def codes(
    model: VAE, x: Tensor, known: Tensor, condition: Condition | None, candidates: int
) -> Codes:
    """Candidates for examples x (B, ...), of which `known` (bool, as x) says what is known."""
    once = [1] * (x.ndim - 1)
    xs, kept = x.repeat(candidates, *once), known.repeat(candidates, *once)
    every = None if condition is None else repeated(condition, candidates)
    q = model.posterior(_seen(model, xs, kept, every), every)
    z = q.sample()
    p, prior = model.likelihood(z, every), model.prior(every).expand(len(z))
    # a gap counts for nothing, whatever stands in it
    agree = (p.log_prob(torch.where(kept, xs, 0)) * kept).flatten(1).sum(1)
    log_w = agree + prior.log_prob(z) - q.log_prob(z)
    return Codes(p, log_w.unflatten(0, (candidates, len(x))))


def drawn(found: Codes, like: Tensor) -> Tensor:
    """One example of each, (B, ...): of a code that is drawn by its weight. like: of their shape"""
    k, n = found.log_weights.shape
    every = found.p.sample().view(k, n, *like.shape[1:])
    chosen = streams.categorical(found.log_weights.t())
    return every[chosen, torch.arange(n, device=chosen.device)]


def mean(found: Codes, spec: DataSpec) -> Tensor:
    """The mean of each, (B, ...), by the self-normalised weights; of words the most probable."""
    k, n = found.log_weights.shape
    seen = found.p.scaled_mean(spec)
    weights = found.log_weights.softmax(0).to(seen)
    return spec.unscaled(torch.einsum("kb...,kb->b...", seen.view(k, n, *seen.shape[1:]), weights))


def _seen(model: VAE, x: Tensor, known: Tensor, condition: Condition | None) -> Tensor:
    """x with what is unknown as the encoder may be given it: missing where training lacked it as
    well, else drawn."""
    lacked = _lacked(model.spec, x)
    filled = known | lacked
    if bool(filled.all()):
        return torch.where(known, x, math.nan)
    z = model.prior(condition).expand(len(x)).sample()
    for _ in range(ROUNDS):
        guess = _near(model.spec, model.likelihood(z, condition).sample()).to(x)
        seen = torch.where(known, x, guess)
        seen = seen.masked_fill(~known & lacked, math.nan) if lacked.any() else seen
        z = model.posterior(seen, condition).sample()
    return seen


def _near(spec: DataSpec, x: Tensor) -> Tensor:
    """Examples brought back to where data lies: a chain of a model that knows little runs off."""
    return spec.unscaled(spec.scaled(x).clamp(-FAR, FAR))


def _lacked(spec: DataSpec, x: Tensor) -> Tensor:
    """Which elements examples of training lacked: bool, to broadcast with x."""
    if not isinstance(spec, VectorSpec):
        return torch.zeros_like(x[:1], dtype=torch.bool)
    return torch.tensor([[column.missing for column in spec.columns]], device=x.device)
