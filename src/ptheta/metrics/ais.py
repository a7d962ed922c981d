"""Annealed importance sampling of log p(x) for any decoder (Neal 2001; Wu et al. 2017,
arXiv:1611.04273): a stochastic lower bound that does not depend on how good q(z | x) is."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, repeated
from ptheta.capabilities import HasJoint, HasPosterior, device_of
from ptheta.errors import PthetaError, unknown
from ptheta.terminal.progress import watched

STARTS = ("auto", "prior", "posterior")
LogDensity = Callable[[Tensor], Tensor]


def temperatures(n: int) -> Tensor:
    """0 = b_0 < ... < b_n = 1, dense at both ends (a logistic curve, as Wu et al.)."""
    b = torch.sigmoid(torch.linspace(-4, 4, n + 1, dtype=torch.double))
    return (b - b[0]) / (b[-1] - b[0])


def annealed_log_mean(
    start: LogDensity,
    target: LogDensity,
    z: Tensor,
    groups: int,
    *,
    steps: int = 500,
    leapfrog: int = 5,
    width: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """log of the integral of exp(target) for each of `groups` rows of a batch: (groups,) nats.

    start: log of a normalised density; target: log of an unnormalised one; (k groups, L) -> (k
    groups,), row i belonging to group i modulo `groups`
    z: (k groups, L) drawn from `start`: k chains for each group
    steps: intermediate densities start^(1-b) target^b; leapfrog: of one Hamiltonian move at each;
    width: of a leapfrog step at the start, then adapted to an acceptance of 0.65 for each group

    The mean over chains of exp(result) is unbiased for a fixed width; its log is a lower bound in
    expectation. Returns it and the acceptance rate of each group over the last half.
    """
    b = temperatures(steps).tolist()
    chains = len(z) // groups
    z = z.detach()
    log_w = torch.zeros(len(z), dtype=torch.double, device=z.device)
    size = torch.full((groups,), width, device=z.device)
    accepted = torch.zeros(groups, device=z.device)

    def gradient(z: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log start, log target, their mixture and its gradient in z."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            f0, f1 = start(z), target(z)
            mixed = (1 - beta) * f0 + beta * f1
            (g,) = torch.autograd.grad(mixed.sum(), z)
        return f0.detach(), f1.detach(), mixed.detach(), g

    with torch.no_grad():
        f0, f1 = start(z), target(z)
    for t in watched(range(1, steps + 1), "temperatures"):
        log_w += (b[t] - b[t - 1]) * (f1 - f0).double()
        if t == steps:
            break
        e = size.repeat(chains)[:, None]
        momentum = torch.randn_like(z)
        f0, f1, mixed, g = gradient(z, b[t])
        energy = 0.5 * momentum.square().sum(1) - mixed
        new, p = z, momentum + 0.5 * e * g
        for i in range(leapfrog):
            new = new + e * p
            new_f0, new_f1, new_mixed, g = gradient(new, b[t])
            p = p + (e if i < leapfrog - 1 else 0.5 * e) * g
        change = energy - (0.5 * p.square().sum(1) - new_mixed)
        take = torch.rand_like(change).log() < change  # false for NaN
        z = torch.where(take[:, None], new, z)
        f0, f1 = torch.where(take, new_f0, f0), torch.where(take, new_f1, f1)
        rate = take.float().view(chains, groups).mean(0)
        size = (size * torch.where(rate > 0.65, 1.02, 0.98)).clamp(1e-4, 1.0)
        if t > steps // 2:
            accepted += rate
    rate = accepted / max(1, steps - 1 - steps // 2)
    return log_w.view(chains, groups).logsumexp(0) - math.log(chains), rate


@torch.no_grad()
def ais(
    model: nn.Module,
    x: Tensor,
    condition: Condition | None = None,
    *,
    chains: int = 16,
    steps: int = 500,
    leapfrog: int = 5,
    start: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Estimates of log p(x), (B,) nats, and the acceptance rate of each image.

    x: image batch; condition: for a conditional model
    chains, steps, leapfrog: as in `annealed_log_mean`, chains for each image
    start: "prior" (any decoder), "posterior" (a shorter way), or auto: posterior where there is one
    Raises PthetaError where the model has no p(z) and p(x | z), for another start or one that the
    model does not have, and for counts below 1.
    """
    if not isinstance(model, HasJoint):
        raise PthetaError("annealed importance sampling needs p(z) and p(x | z): this has none")
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    if start == "posterior" and not isinstance(model, HasPosterior):
        raise PthetaError("start = posterior: this model has none; choose prior or auto")
    for name, value in (("chains", chains), ("steps", steps), ("leapfrog", leapfrog)):
        if value < 1:
            raise PthetaError(f"{name} = {value}: want at least 1")
    x = x.to(device_of(model))
    many = x.repeat(chains, 1, 1, 1)
    y = None if condition is None else condition.to(x.device)
    ys = None if y is None else repeated(y, chains)

    def joint(z: Tensor) -> Tensor:
        return model.log_prior(z, ys) + model.log_likelihood(many, z, ys)

    if isinstance(model, HasPosterior) and start != "prior":
        q = model.posterior(x, y).detach().repeat(chains)
        first: LogDensity = q.log_prob
        z = q.sample()
    else:
        z = model.sample_latent(len(many), ys)

        def first(z: Tensor) -> Tensor:
            return model.log_prior(z, ys)

    frozen = [p for p in model.parameters() if p.requires_grad]
    for p in frozen:  # gradients in z alone
        p.requires_grad_(False)
    try:
        return annealed_log_mean(first, joint, z, len(x), steps=steps, leapfrog=leapfrog)
    finally:
        for p in frozen:
            p.requires_grad_(True)
