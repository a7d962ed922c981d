"""The distribution of a restricted Boltzmann machine, and the path to it from one without weights.

    E(v, h) = V(v) - h . (c + s(v) W),    p(v, h) = exp(-E(v, h)) / Z

Units h are 0 or 1. Binary v: V(v) = -b . v, s(v) = v. Gaussian v: V(v) = sum_i (v_i - b_i)^2 / 2
sigma_i^2, s(v) = v / sigma. The sum over h is in closed form, and with it the free energy

    F(v) = V(v) - sum_j log(1 + exp(c_j + (s(v) W)_j)),    p(v) = exp(-F(v)) / Z.

At inverse temperature beta the energy is (1 - beta) V_0(v) + beta E(v, h), V_0 being V with other
biases b_0: those of the base rates of the data (Salakhutdinov & Murray 2008). At 0 the units are
independent and Z is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ptheta.compute import streams

Beta: TypeAlias = float | Tensor  # of each row (n, 1), where it is a tensor
AT_ONCE = 2**22  # numbers of a block of states that are summed over
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Visible(ABC):
    """What the visible units are. bias, base: b and b_0, (D,)"""

    bias: Tensor
    base: Tensor

    def at(self, beta: Beta) -> Tensor:
        """b at this temperature."""
        return self.base + beta * (self.bias - self.base)

    @abstractmethod
    def scaled(self, v: Tensor) -> Tensor:
        """s(v)"""

    @abstractmethod
    def energy(self, v: Tensor) -> Tensor:
        """V(v): (n, D) -> (n,)"""

    @abstractmethod
    def slope(self, v: Tensor) -> Tensor:
        """V(v) - V_0(v), (n,) float64."""

    @abstractmethod
    def draw(self, field: Tensor | float, beta: Beta, n: int) -> Tensor:
        """v ~ p(v | h). field: beta W h, (n, D)"""

    @abstractmethod
    def log_sum(self, field: Tensor, bias: Tensor) -> Tensor:
        """log of the sum or integral over v of exp(-V(v) + field . s(v)), of V with this bias:
        (n, D) -> (n,), float64."""


@dataclass(frozen=True)
class Binary(Visible):
    """0 or 1."""

    def scaled(self, v: Tensor) -> Tensor:
        return v

    def energy(self, v: Tensor) -> Tensor:
        return -(v @ self.bias)

    def slope(self, v: Tensor) -> Tensor:
        return -(v @ (self.bias - self.base)).double()

    def draw(self, field: Tensor | float, beta: Beta, n: int) -> Tensor:
        logits = (self.at(beta) + field).expand(n, len(self.bias))
        return bernoulli(logits.sigmoid())

    def log_sum(self, field: Tensor, bias: Tensor) -> Tensor:
        return softplus(bias + field).sum(1, dtype=torch.float64)


@dataclass(frozen=True)
class Normal(Visible):
    """Real numbers. sd: sigma, (D,)"""

    sd: Tensor

    def scaled(self, v: Tensor) -> Tensor:
        return v / self.sd

    def energy(self, v: Tensor) -> Tensor:
        return 0.5 * ((v - self.bias) / self.sd).square().sum(1)

    def slope(self, v: Tensor) -> Tensor:
        middle = 0.5 * (self.bias + self.base)
        each = (middle - v) * (self.bias - self.base) / self.sd.square()
        return each.sum(1, dtype=torch.float64)

    def draw(self, field: Tensor | float, beta: Beta, n: int) -> Tensor:
        mean = (self.at(beta) + field * self.sd).expand(n, len(self.sd))
        return mean + self.sd * streams.normal(n, len(self.sd), device=self.sd.device)

    def log_sum(self, field: Tensor, bias: Tensor) -> Tensor:
        each = self.sd.log() + 0.5 * LOG_2PI + field * (bias / self.sd) + 0.5 * field.square()
        return each.sum(1, dtype=torch.float64)


def bernoulli(p: Tensor) -> Tensor:
    """1 with probability p (n, ...), else 0."""
    drawn: Tensor = streams.uniform(*p.shape, device=p.device, dtype=p.dtype).lt_(p)
    return drawn


@dataclass(frozen=True)
class Boltzmann:
    """weight: W, (D, H); hidden_bias: c, (H,)"""

    visible: Visible
    weight: Tensor
    hidden_bias: Tensor

    @property
    def sides(self) -> tuple[int, int]:
        """(D, H)"""
        d, h = self.weight.shape
        return d, h

    # -- energies

    def field(self, v: Tensor) -> Tensor:
        """c + s(v) W: (n, H)"""
        return torch.addmm(self.hidden_bias, self.visible.scaled(v), self.weight)

    def free_energy(self, v: Tensor, field: Tensor | None = None) -> Tensor:
        """F(v): (n, D) -> (n,), float64. field: `field(v)`, if known"""
        field = self.field(v) if field is None else field
        return self.visible.energy(v) - softplus(field).sum(1, dtype=torch.float64)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h): (n,)"""
        return self.visible.energy(v) - (h * self.field(v)).sum(1)

    def free_energy_at(self, v: Tensor, beta: Beta) -> Tensor:
        """-log of the unnormalised p_beta(v): (n,) float64."""
        weighted = softplus(beta * self.field(v)).sum(1, dtype=torch.float64)
        share = beta.flatten() if isinstance(beta, Tensor) else beta
        own = self.visible.energy(v).double()
        return own - (1 - share) * self.visible.slope(v) - weighted

    def rise(self, v: Tensor, field: Tensor, start: float, end: float) -> Tensor:
        """log p_end(v) - log p_start(v), unnormalised, of two inverse temperatures: (n,) float64.

        Of beta from a up to b, log(1 + e^bx) - log(1 + e^ax) = (b - a) max(x, 0)
        + log(1 + sigmoid(-a|x|) (e^-(b-a)|x| - 1)), which loses no digits where b is near a, and
        is finite for every x.
        """
        low, width = min(start, end), abs(end - start)
        size = field.abs()
        within = torch.expm1(-width * size).mul_((-low * size).sigmoid_()).log1p_()
        hidden = within.sum(1, dtype=torch.float64)
        hidden += width * field.clamp_min(0).sum(1, dtype=torch.float64)
        return (hidden if end >= start else -hidden) - (end - start) * self.visible.slope(v)

    # -- the chain

    def sweep(self, v: Tensor, beta: Beta = 1.0, field: Tensor | None = None) -> Tensor:
        """One Gibbs step v -> h -> v, which leaves p_beta as it is. field: `field(v)`, if known"""
        field = self.field(v) if field is None else field
        h = bernoulli((beta * field).sigmoid_())
        return self.visible.draw(beta * (h @ self.weight.T), beta, len(v))

    def base(self, n: int) -> Tensor:
        """n draws where beta = 0."""
        return self.visible.draw(0.0, 0.0, n)

    # -- what normalises it

    def log_base(self) -> float:
        """log Z where beta = 0: 2^H times that of independent units."""
        free = torch.zeros_like(self.visible.base)[None]
        alone: float = self.visible.log_sum(free, self.visible.base).item()
        return alone + self.sides[1] * math.log(2)

    def log_sum(self) -> float:
        """log Z, by the sum over all states of the smaller side: of the hidden units, or of the
        visible ones where these are binary and fewer."""
        d, h = self.sides
        by_visible = isinstance(self.visible, Binary) and d < h
        total = torch.full((), -math.inf, dtype=torch.float64)
        for states in all_states(d if by_visible else h, self.weight, max(d, h)):
            if by_visible:
                log_p = -self.free_energy(states)
            else:
                field = states @ self.weight.T
                given = self.visible.log_sum(field, self.visible.bias)
                log_p = given + (states @ self.hidden_bias).double()
            total = torch.logaddexp(total, log_p.logsumexp(0).cpu())
        return total.item()


def all_states(n: int, like: Tensor, width: int = 1) -> Iterator[Tensor]:
    """The 2^n states of n binary units, in blocks (m, n). width: values computed per state"""
    size, places = max(1, AT_ONCE // max(n, width)), torch.arange(n, device=like.device)
    for start in range(0, 2**n, size):
        numbers = torch.arange(start, min(2**n, start + size), device=like.device)
        yield (numbers[:, None] >> places & 1).to(like.dtype)
