"""Negative samples of Boltzmann machines, for the second term of the gradient,

    d/dtheta mean of -log p(v) = mean over data of dF(v)/dtheta - mean over p of dF(v)/dtheta.

- Contrastive divergence (Hinton 2002): k Gibbs steps from the data. Biased, converges quickly.
- Persistent (Tieleman 2008): chains that continue across steps, while the weights change slowly.
- Tempered (Desjardins et al. 2010; Cho et al. 2010): each persistent chain has replicas at higher
  temperatures, on the path to independent units (`boltzmann`), and neighbours swap states by the
  Metropolis rule, so that a chain can leave a mode.

Persistent chains are independent of the batch: every process updates all of them identically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry
from ptheta.models.energy.boltzmann import Boltzmann


@dataclass(frozen=True)
class Chains:
    """states: (temperatures, n, D), the coldest first; betas: of each, (temperatures,)"""

    states: Tensor
    betas: Tensor

    @property
    def cold(self) -> Tensor:
        """Those of the machine itself: (n, D)."""
        return self.states[0]


@dataclass(frozen=True)
class Negative(Entry):
    """draw(machine, data (B, D), chains, k, step) -> negative examples (n, D), and the chains
    afterwards

    persistent: whether chains go on; tempered: whether there are hotter ones
    """

    draw: Callable[[Boltzmann, Tensor, Chains, int, int], tuple[Tensor, Chains]]
    persistent: bool = True
    tempered: bool = False


def from_data(
    machine: Boltzmann, data: Tensor, chains: Chains, k: int, step: int
) -> tuple[Tensor, Chains]:
    v = data
    for _ in range(k):
        v = machine.sweep(v)
    return v, chains


def persistent(
    machine: Boltzmann, data: Tensor, chains: Chains, k: int, step: int
) -> tuple[Tensor, Chains]:
    with streams.alone():
        v = chains.cold
        for _ in range(k):
            v = machine.sweep(v)
    return v, Chains(v[None], chains.betas)


def tempered(
    machine: Boltzmann, data: Tensor, chains: Chains, k: int, step: int
) -> tuple[Tensor, Chains]:
    """k times a Gibbs step of all chains and swaps, of even and odd pairs in turn."""
    n = chains.states.shape[1]
    each = chains.betas.repeat_interleave(n)[:, None]
    with streams.alone():
        states = chains.states
        for i in range(k):
            states = machine.sweep(states.flatten(0, 1), each).view_as(states)
            states = swapped(machine, Chains(states, chains.betas), (step * k + i) % 2)
    return states[0], Chains(states, chains.betas)


def swap_log_odds(machine: Boltzmann, chains: Chains) -> Tensor:
    """log of the odds, at most 1, by which chains t and t + 1 swap: (temperatures - 1, n).

    [p_t(v_t+1) p_t+1(v_t)] / [p_t(v_t) p_t+1(v_t+1)]: the product of all p_t stays as it is.
    """
    many, n, _ = chains.states.shape
    flat = chains.states.flatten(0, 1)

    def at(betas: Tensor) -> Tensor:
        return machine.free_energy_at(flat, betas.repeat_interleave(n)[:, None]).view(many, n)

    b = chains.betas
    own, colder, hotter = at(b), at(b.roll(1)), at(b.roll(-1))
    return own[:-1] + own[1:] - colder[1:] - hotter[:-1]


def swapped(machine: Boltzmann, chains: Chains, first: int) -> Tensor:
    """The states after swaps of chains t and t + 1 for t = first, first + 2, ..."""
    states, odds = chains.states.clone(), swap_log_odds(machine, chains)
    u = streams.uniform(odds.shape[1], odds.shape[0], device=odds.device, dtype=odds.dtype).T
    take = u.log() < odds
    take[1 - first :: 2] = False
    below, above = states[:-1].clone(), states[1:].clone()
    states[:-1] = torch.where(take[..., None], above, states[:-1])
    states[1:] = torch.where(take[..., None], below, states[1:])
    return states


NEGATIVES: dict[str, Negative] = {
    "cd": Negative(from_data, persistent=False, about="Gibbs steps from the data (Hinton 2002)"),
    "pcd": Negative(
        persistent, about="persistent chains (Tieleman 2008)", reads=frozenset({"chains"})
    ),
    "tempered": Negative(
        tempered,
        tempered=True,
        about="persistent chains with parallel tempering (Desjardins 2010)",
        reads=frozenset({"chains", "tempering", "ladder", "hottest"}),
    ),
}


@dataclass(frozen=True)
class Ladder(Entry):
    """betas: so many, the least of them -> from 1 down, (n,)"""

    betas: Callable[[int, float], Tensor]


def linear(n: int, least: float) -> Tensor:
    return torch.linspace(1.0, least, n)


def geometric(n: int, least: float) -> Tensor:
    return max(least, 1e-3) ** torch.linspace(0.0, 1.0, n)


def harmonic(n: int, least: float) -> Tensor:
    return 1 / torch.linspace(1.0, 1 / max(least, 1e-3), n)


LADDERS: dict[str, Ladder] = {
    "linear": Ladder(linear, about="linear in beta"),
    "geometric": Ladder(geometric, about="geometric in beta"),
    "harmonic": Ladder(harmonic, about="linear in 1 / beta"),
}
