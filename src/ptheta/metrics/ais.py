"""Annealed importance sampling of log p(x) for any decoder (Neal 2001; Wu et al. 2017,
arXiv:1611.04273): a stochastic lower bound that does not depend on the quality of q(z | x)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, repeated
from ptheta.capabilities import HasJoint, HasPosterior, device_of
from ptheta.compute.parts import Found
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError, unknown
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context, together
from ptheta.metrics.likelihood import of_batches
from ptheta.tasks.needs import require
from ptheta.terminal.progress import watched

CHAINS, STEPS, LEAPFROG = 16, 500, 5  # settings of the metric
BATCH = 50  # images annealed at a time
WIDTH = 0.1  # initial size of a leapfrog step
ACCEPTED = 0.65  # target acceptance rate of the step size adaptation
LogDensity = Callable[[Tensor], Tensor]  # (n, L) -> (n,)


def temperatures(n: int) -> Tensor:
    """Inverse temperatures 0 = b_0 < ... < b_n = 1, dense at both ends (sigmoidal, as Wu et
    al.)."""
    b = torch.sigmoid(torch.linspace(-4, 4, n + 1, dtype=torch.double))
    return (b - b[0]) / (b[-1] - b[0])


class _Point(NamedTuple):
    """Codes z (n, L) with the log-densities there, (n,) each: of both ends of the bridge and of the
    current intermediate density, and the gradient of the latter (n, L)."""

    z: Tensor
    start: Tensor
    target: Tensor
    between: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class _Bridge:
    """The geometric bridge of densities start^(1-b) target^b."""

    start: LogDensity
    target: LogDensity

    def at(self, z: Tensor, b: float) -> _Point:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            start, target = self.start(z), self.target(z)
            between = (1 - b) * start + b * target
            (gradient,) = torch.autograd.grad(between.sum(), z)
        return _Point(z.detach(), start.detach(), target.detach(), between.detach(), gradient)

    def move(
        self, z: Tensor, b: float, size: Tensor, leapfrog: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One Hamiltonian Monte Carlo move under density b, with step size `size` (n, 1): the
        codes, both end densities there, and whether each proposal was accepted."""
        momentum = torch.randn_like(z)
        old = self.at(z, b)
        energy = 0.5 * momentum.square().sum(1) - old.between
        new, p = old, momentum + 0.5 * size * old.gradient
        for i in range(leapfrog):
            new = self.at(new.z + size * p, b)
            p = p + (size if i < leapfrog - 1 else 0.5 * size) * new.gradient
        change = energy - (0.5 * p.square().sum(1) - new.between)
        take = torch.rand_like(change).log() < change  # False for NaN
        z = torch.where(take[:, None], new.z, z)
        start, target = (
            torch.where(take, after, before)
            for after, before in ((new.start, old.start), (new.target, old.target))
        )
        return z, start, target, take


def annealed_log_mean(
    start: LogDensity,
    target: LogDensity,
    z: Tensor,
    groups: int,
    *,
    steps: int = 500,
    leapfrog: int = 5,
) -> tuple[Tensor, Tensor]:
    """log of the integral of exp(target) for each of `groups` rows of a batch: (groups,) nats.

    start: log of a normalised density; target: log of an unnormalised one; (k groups, L) -> (k
    groups,), row i belonging to group i modulo `groups`
    z: (k groups, L) drawn from `start`: k chains for each group
    steps: intermediate densities start^(1-b) target^b; leapfrog: steps of the Hamiltonian move at
    each, whose step size is adapted to an acceptance rate of 0.65 for each group

    The mean over chains of exp(result) is unbiased for a fixed step size; its log is a lower bound
    in expectation. Returns it and the acceptance rate of each group over the last half.
    """
    b = temperatures(steps).tolist()
    bridge, chains, z = _Bridge(start, target), len(z) // groups, z.detach()
    log_w = torch.zeros(len(z), dtype=torch.double, device=z.device)
    width = torch.full((groups,), WIDTH, device=z.device)
    accepted = torch.zeros(groups, device=z.device)
    with torch.no_grad():
        at_start, at_target = start(z), target(z)
    for t in watched(range(1, steps + 1), "temperatures"):
        log_w += (b[t] - b[t - 1]) * (at_target - at_start).double()
        if t == steps:
            break
        size = width.repeat(chains)[:, None]
        z, at_start, at_target, take = bridge.move(z, b[t], size, leapfrog)
        rate = take.float().view(chains, groups).mean(0)
        width = (width * torch.where(rate > ACCEPTED, 1.02, 0.98)).clamp(1e-4, 1.0)
        if t > steps // 2:
            accepted += rate
    rate = accepted / max(1, steps - 1 - steps // 2)
    return log_w.view(chains, groups).logsumexp(0) - math.log(chains), rate


class _Start(NamedTuple):
    """A normalised density of codes, and samples of it, one per chain and image."""

    log_prob: LogDensity
    z: Tensor


def _from_prior(model: nn.Module, x: Tensor, condition: Condition | None, chains: int) -> _Start:
    codes, given = require(model, HasJoint, "start from its prior"), condition
    if given is not None:
        given = repeated(given, chains)
    return _Start(lambda z: codes.log_prior(z, given), codes.sample_latent(chains * len(x), given))


def _from_posterior(
    model: nn.Module, x: Tensor, condition: Condition | None, chains: int
) -> _Start:
    cure = "choose start = prior or auto"
    encoder = require(model, HasPosterior, "start from its posterior", cure)
    q = encoder.posterior(x, condition).detach().expand(chains * len(x))
    return _Start(q.log_prob, q.sample())


def _nearest_start(model: nn.Module, x: Tensor, condition: Condition | None, chains: int) -> _Start:
    """The posterior if there is one, which is closer to the target; else the prior."""
    start = _from_posterior if isinstance(model, HasPosterior) else _from_prior
    return start(model, x, condition, chains)


STARTS: Mapping[str, Callable[[nn.Module, Tensor, Condition | None, int], _Start]] = {
    "auto": _nearest_start,
    "prior": _from_prior,
    "posterior": _from_posterior,
}


@torch.no_grad()
def ais(
    model: nn.Module,
    x: Tensor,
    condition: Condition | None = None,
    *,
    chains: int = CHAINS,
    steps: int = STEPS,
    leapfrog: int = LEAPFROG,
    start: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Estimates of log p(x), (B,) nats, and the acceptance rate of each image.

    x: image batch; condition: for a conditional model
    chains, steps, leapfrog: as in `annealed_log_mean`; chains per image
    start: "prior" (any decoder), "posterior" (closer to the target), or "auto": the posterior if
        the model has one
    Raises PthetaError if the model has no p(z) and p(x | z), for an unknown or unavailable start,
    and for counts below 1.
    """
    codes = require(model, HasJoint, "be annealed")
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    for name, value in (("chains", chains), ("steps", steps), ("leapfrog", leapfrog)):
        if value < 1:
            raise PthetaError(f"{name} = {value}: want at least 1")
    x = x.to(device_of(model))
    y = None if condition is None else condition.to(x.device)
    many = x.repeat(chains, *[1] * (x.ndim - 1))
    ys = None if y is None else repeated(y, chains)
    first, z = STARTS[start](model, x, y, chains)

    def joint(z: Tensor) -> Tensor:
        return codes.log_prior(z, ys) + codes.log_likelihood(many, z, ys)

    with _in_codes_alone(model):
        return annealed_log_mean(first, joint, z, len(x), steps=steps, leapfrog=leapfrog)


@contextmanager
def _in_codes_alone(model: nn.Module) -> Iterator[None]:
    """Context in which gradients are taken with respect to codes only, not weights."""
    frozen = [p for p in model.parameters() if p.requires_grad]
    for p in frozen:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in frozen:
            p.requires_grad_(True)


@together
def _annealed(ctx: Context) -> dict[str, Tensor]:
    """-log p of the first test images and the acceptance rate of each: (N,)."""
    model = ctx.the_model

    def annealed(x: Tensor, y: Condition | None) -> Found:
        log_p, rate = ais(model, x, y, chains=CHAINS, steps=STEPS, leapfrog=LEAPFROG)
        return {"nats": -log_p, "rate": rate}

    some = in_turn(ctx.test).subset(slice(0, ctx.ais_images))
    return of_batches(annealed, model, some, BATCH, ctx.seed, "annealing")


def nll_ais(ctx: Context) -> Estimate:
    """-log p of the first test images, nats/image."""
    found = _annealed(ctx)
    nats = found["nats"]
    about = {
        "how": f"AIS, {CHAINS} chains, {STEPS} temperatures, {LEAPFROG} leapfrog steps",
        "images": len(nats),
        "acceptance": round(found["rate"].mean().item(), 3),
    }
    return mean_estimate(nats, Groups(len(nats), "real"), about, relation="<=")
