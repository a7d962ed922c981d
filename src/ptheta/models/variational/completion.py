"""What is unknown of an example, drawn by a VAE given the rest: importance resampling of codes.

The target is p(z | known), in proportion to p(z) p(known | z); a code is drawn from q(z | x) of the
example as far as it is known, and weighted by the ratio of the two (Mattei & Frellsen 2019,
arXiv:1812.02633, section 3; Rubin 1987). What the encoder was never without in training, it is
given by a chain of draws: first pseudo-Gibbs (Rezende et al. 2014, arXiv:1401.4082, appendix F),
then Metropolis within Gibbs, which leaves p(unknown, z | known) as it is whatever the encoder has
learned (Mattei & Frellsen 2018, arXiv:1802.04826, section 3). One candidate is where the chain
stands: the longer, the nearer to p(unknown | known). Several are drawn from where as many chains
stand, and their weights are right however short these were: the more, the nearer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Condition, repeated
from ptheta.compute import streams
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.latents import Normal
from ptheta.specs import DataSpec, VectorSpec

if TYPE_CHECKING:
    from ptheta.models.variational.base import Variational

# of pseudo-Gibbs, which brings a chain near; of Metropolis within Gibbs, of all candidates together
FREE, STEPS = 5, 15
MIXED = 32  # proposals that a code is weighed under
FAR = 10.0  # standard deviations of a number: no guess lies beyond


class Codes(NamedTuple):
    """Candidates for each example, (K B, ...), all first ones first.

    p: p(x | z) of each; log_weights: (K, B) nats
    """

    p: ElementDistribution
    log_weights: Tensor


def codes(
    model: Variational, x: Tensor, known: Tensor, condition: Condition | None, candidates: int
) -> Codes:
    """Candidates for examples x (B, ...), of which `known` (bool, as x) says what is known."""
    once = [1] * (x.ndim - 1)
    xs, kept = x.repeat(candidates, *once), known.repeat(candidates, *once)
    every = None if condition is None else repeated(condition, candidates)
    seen, state = _chain(model, xs, kept, every, STEPS // candidates)
    if candidates == 1 and state is not None:
        return Codes(model.likelihood(state, every), state.new_zeros(1, len(x)))
    q = model.posterior(seen, every)
    z = q.sample()
    p, log_q = model.likelihood(z, every), q.log_prob(z)
    if state is not None:
        log_q = _of_any(q, z, candidates)
    log_w = _Given(model, xs, kept, every).log_joint(z, p) - log_q
    return Codes(p, log_w.unflatten(0, (candidates, len(x))))


def _of_any(q: Normal, z: Tensor, candidates: int) -> Tensor:
    """log of the mean density of codes z (K B, L) under the proposals of up to `MIXED` candidates
    of the same example, which differ as their chains do: (K B,) nats. It varies less than that
    under the own one (deterministic mixture: Elvira et al. 2019, arXiv:1511.03095)."""
    n, found = len(z) // candidates, []
    for start in range(0, candidates, MIXED):
        rows = slice(start * n, min(start + MIXED, candidates) * n)
        some, total = z[rows], z.new_full((len(z[rows]),), -math.inf)
        each = zip(q.mean[rows].split(n), q.log_var[rows].split(n), strict=True)
        for mean, log_var in each:
            density = Normal(mean, log_var).expand(len(some)).log_prob(some)
            total = torch.logaddexp(total, density)
        found.append(total - math.log(len(some) // n))
    return torch.cat(found)


class _Given(NamedTuple):
    """Examples x (B, ...), of which `there` (bool, as x) counts; whatever stands in a gap, it does
    not."""

    model: Variational
    x: Tensor
    there: Tensor
    condition: Condition | None

    def log_joint(self, z: Tensor, p: ElementDistribution) -> Tensor:
        """log p(x, z), (B,) nats. p: p(x | z)"""
        each = p.log_prob(torch.where(self.there, self.x, 0)) * self.there
        prior = self.model.prior(self.condition).expand(len(z))
        return each.flatten(1).sum(1) + prior.log_prob(z)

    def accepted(self, z: Tensor, p: ElementDistribution, q: Normal) -> Tensor:
        """A step of the chain z, of which p(z | x) is stationary: a draw of q, or z again."""
        new = q.sample()
        of_new = self.log_joint(new, self.model.likelihood(new, self.condition)) - q.log_prob(new)
        gain = of_new - self.log_joint(z, p) + q.log_prob(z)
        taken = streams.uniform(len(z), device=z.device).log() < gain
        return torch.where(taken[:, None], new, z)


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


def _chain(
    model: Variational, x: Tensor, known: Tensor, condition: Condition | None, steps: int
) -> tuple[Tensor, Tensor | None]:
    """x with what is unknown as the encoder may be given it: missing where training lacked it as
    well, else drawn; and the code by which it was drawn, none where nothing was. steps: of
    Metropolis"""
    lacked = _lacked(model.spec, x)
    there, gone = known | ~lacked, ~known & lacked
    if bool((known | lacked).all()):
        return _with_gaps(x, gone), None

    def filled(p: ElementDistribution) -> Tensor:
        guess = _near(model.spec, p.sample()).to(x)
        return _with_gaps(torch.where(known, x, guess), gone)

    z = model.prior(condition).expand(len(x)).sample()
    p = model.likelihood(z, condition)
    for step in range(FREE + steps):
        seen = filled(p)
        q, given = model.posterior(seen, condition), _Given(model, seen, there, condition)
        z = q.sample() if step < FREE else given.accepted(z, p, q)
        p = model.likelihood(z, condition)
    return filled(p), z


def _with_gaps(x: Tensor, gone: Tensor) -> Tensor:
    """x with NaN for what is gone; images have no gaps."""
    return x.masked_fill(gone, math.nan) if x.is_floating_point() else x


def _near(spec: DataSpec, x: Tensor) -> Tensor:
    """Examples brought back to where data lies: a chain of a model that knows little runs off."""
    return spec.unscaled(spec.scaled(x).clamp(-FAR, FAR))


def _lacked(spec: DataSpec, x: Tensor) -> Tensor:
    """Which elements examples of training lacked: bool, to broadcast with x."""
    if not isinstance(spec, VectorSpec):
        return torch.zeros_like(x[:1], dtype=torch.bool)
    return torch.tensor([[column.missing for column in spec.columns]], device=x.device)
