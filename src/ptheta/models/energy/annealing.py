"""log Z of a restricted Boltzmann machine by annealed importance sampling, from both sides.

Forward (Neal 2001; Salakhutdinov & Murray 2008): chains go from independent units, of which Z is
known, to the machine, and the mean of their weights is Z / Z_0 in expectation, so that its log is
a lower bound of log Z on average. Backward (Burda et al. 2015, arXiv:1412.8566; Grosse et al. 2015,
arXiv:1511.02543): the same steps the other way round, from samples of the machine. The mean of
these weights is Z_0 / Z, and what follows is an upper bound on average, as far as the samples are
of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ptheta.compute.parts import Found, each
from ptheta.distributions.partition import LogPartition
from ptheta.models.energy.boltzmann import Boltzmann
from ptheta.terminal.progress import watched

ENUMERABLE = 20  # units that are summed over
AT_ONCE = 50  # chains together
UP, DOWN = "up", "down"
# Salakhutdinov & Murray 2008: of 14,500 inverse temperatures 500, 4,000, 10,000 are in these
PARTS = ((0.5, 500 / 14_500), (0.9, 4_500 / 14_500), (1.0, 1.0))


def inverse_temperatures(n: int) -> list[float]:
    """0 = beta_0 < ... < beta_n = 1, uniform in each of the parts of the paper."""
    ends, shares = zip((0.0, 0.0), *PARTS, strict=True)
    found = []
    for k in range(n + 1):
        share = k / n
        i = next(i for i in range(1, len(shares)) if share <= shares[i])
        within = (share - shares[i - 1]) / (shares[i] - shares[i - 1])
        found.append(ends[i - 1] + within * (ends[i] - ends[i - 1]))
    return found


def anneal(machine: Boltzmann, betas: Sequence[float], v: Tensor, way: str) -> Tensor:
    """log of the importance weight of each chain, (n,) float64, whose mean is Z of the last inverse
    temperature over that of the first. v: n states drawn where the first is; way: in a word"""
    log_w = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    for k in watched(range(1, len(betas)), f"temperatures, {way}"):
        field = machine.field(v)
        log_w += machine.rise(v, field, betas[k - 1], betas[k])
        v = machine.sweep(v, betas[k], field)
    return log_w


def log_mean(log_w: Tensor) -> tuple[float, float]:
    """log of the mean of exp(log_w), and its standard error by the delta method: that of the mean
    over the mean."""
    n = len(log_w)
    value = log_w.logsumexp(0).item() - math.log(n)
    relative = (log_w - value).exp()
    return value, (relative.std() / n**0.5).item() if n > 1 else math.inf


def enumerable(machine: Boltzmann, binary: bool) -> bool:
    """Whether log Z can be summed up: over hidden units, or over binary visible ones."""
    d, h = machine.sides
    return h <= ENUMERABLE or (binary and d <= ENUMERABLE)


def both_sides(machine: Boltzmann, temperatures: int, chains: int, model: Tensor) -> LogPartition:
    """model: states that are taken for samples of the machine, (n, D)

    Processes share the chains: see `ptheta.compute.parts`.
    """
    betas, start = inverse_temperatures(temperatures), machine.log_base()
    seed = int(torch.randint(2**62, ()))
    starts = [(UP, i) for i in range(0, chains, AT_ONCE)]
    starts += [(DOWN, i) for i in range(0, len(model), AT_ONCE)]

    def weights(number: int) -> Found:
        way, i = starts[number]
        if way == UP:
            return {UP: anneal(machine, betas, machine.base(min(AT_ONCE, chains - i)), UP)}
        return {DOWN: anneal(machine, betas[::-1], model[i : i + AT_ONCE], DOWN)}

    found = list(each(weights, range(len(starts)), "log Z", seed))
    (up, up_error), (down, down_error) = (
        log_mean(torch.cat([part[way] for part in found if way in part])) for way in (UP, DOWN)
    )
    how = f"AIS and reverse AIS, {chains} chains, {temperatures:,} temperatures"
    return LogPartition(start + up, start - down, (up_error, down_error), how)
