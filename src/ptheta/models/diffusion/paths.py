"""Paths from an example to noise, how far along them a network is asked, and what it predicts.

    x_s = alpha_s x + sigma_s e,    e ~ N(0, I),    s from 0 (the example) to 1 (noise)

A network may predict the noise e, the example x, or v = a_s x + b_s e; given x_s each of them tells
the others. Of diffusion v = alpha e - sigma x (Salimans & Ho 2022, arXiv:2202.00512), of flow
matching v = dx_s / d(1 - s), the velocity (Lipman et al. 2023, arXiv:2210.02747).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.config import Entry, OneOf
from ptheta.errors import PthetaError

LEAST = 1e-5  # of alpha and sigma where one divides by them
LARGEST_BETA = 0.999  # of the cosine schedule, near pure noise


class Coefficients(NamedTuple):
    """Of each example, (B, 1, ...). alpha, sigma: of x and e in x_s; a, b: of x and e in v"""

    alpha: Tensor
    sigma: Tensor
    a: Tensor
    b: Tensor

    def v(self, x: Tensor, noise: Tensor) -> Tensor:
        """v of an example and its noise."""
        return self.a * x + self.b * noise

    def noised(self, x: Tensor, noise: Tensor) -> Tensor:
        """x_s"""
        return self.alpha * x + self.sigma * noise

    def noise(self, x_s: Tensor, x: Tensor) -> Tensor:
        """e, given x_s and x."""
        return (x_s - self.alpha * x) / self.sigma.clamp_min(LEAST)

    @property
    def determinant(self) -> Tensor:
        """Of (x, e) -> (x_s, v), but for its sign."""
        return self.a * self.sigma - self.b * self.alpha


class Path(Protocol):
    """grid(n, start): s of n + 1 points from `start` to the example, falling, float64
    at(s, like): the coefficients at times (B,), for numbers like `like` (B, ...)
    drawn(u): the times that uniform numbers in [0, 1) stand for
    allowed(n): n itself; raises PthetaError for more steps than there are
    """

    def grid(self, steps: int, start: float = 1.0) -> Tensor: ...

    def at(self, s: Tensor, like: Tensor) -> Coefficients: ...

    def drawn(self, u: Tensor) -> Tensor: ...

    def allowed(self, steps: int) -> int: ...


def shaped(numbers: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, ...), of the type and on the device of like (B, ...)."""
    return numbers.to(like.dtype).to(like.device).view(-1, *[1] * (like.ndim - 1))


# -- the path of diffusion


@dataclass(frozen=True)
class Schedule(Entry):
    """kept: steps T -> the share alpha_bar of the example's variance that is left after t = 0 to T
    steps, float64 (T + 1,)"""

    kept: Callable[[int], Tensor]


def linear(steps: int) -> Tensor:
    """beta from 1e-4 to 0.02 over 1000 steps (arXiv:2006.11239); over fewer as much more."""
    beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
    return _kept(beta.clamp(max=LARGEST_BETA))


def cosine(steps: int) -> Tensor:
    """alpha_bar about cos^2 (Nichol & Dhariwal 2021, arXiv:2102.09672, section 3.2)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = ((t + 0.008) / 1.008 * (math.pi / 2)).cos().square()
    return _kept((1 - f[1:] / f[:-1]).clamp(max=LARGEST_BETA))


def _kept(beta: Tensor) -> Tensor:
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


SCHEDULES: dict[str, Schedule] = {
    "linear": Schedule(linear, about="beta rises linearly (2006.11239)"),
    "cosine": Schedule(cosine, about="the signal falls as a squared cosine (2102.09672)"),
}
ScheduleName: TypeAlias = Annotated[str, OneOf(SCHEDULES)]


class Diffused:
    """Variance-preserving, in T steps: s = t / T, alpha^2 = alpha_bar_t, sigma^2 = 1 - alpha_bar_t.

    kept: alpha_bar of t = 0 to T, float64
    """

    def __init__(self, schedule: str, steps: int) -> None:
        with torch.device("cpu"):
            self.steps, self.kept = steps, SCHEDULES[schedule].kept(steps)

    def allowed(self, steps: int) -> int:
        if steps > self.steps:
            raise PthetaError(
                f"--steps {steps:,}: this model learned a chain of {self.steps:,} steps; want as "
                "many at most"
            )
        return steps

    def index(self, s: Tensor) -> Tensor:
        """t of times: int64."""
        return (s * self.steps).round().long()

    def kept_at(self, t: Tensor) -> Tensor:
        """alpha_bar of steps t, float64; on the CPU where the device has no such numbers."""
        t = t.cpu() if t.device.type == "mps" else t
        return on(self.kept, t.device)[t]

    def grid(self, steps: int, start: float = 1.0) -> Tensor:
        first = max(1, round(start * self.steps))
        n = min(steps, first)
        t = torch.linspace(first, 0, n + 1, dtype=torch.float64, device="cpu").round()
        return t / self.steps

    def at(self, s: Tensor, like: Tensor) -> Coefficients:
        kept = self.kept_at(self.index(s))
        alpha, sigma = shaped(kept.sqrt(), like), shaped((1 - kept).sqrt(), like)
        return Coefficients(alpha, sigma, -sigma, alpha)

    def drawn(self, u: Tensor) -> Tensor:
        """t = 1, ..., T, each as likely."""
        return ((u * self.steps).floor() + 1).clamp(max=self.steps) / self.steps


# -- what is predicted


@dataclass(frozen=True)
class Prediction(Entry):
    """target: (x, e, coefficients) -> what is predicted
    x: (output, x_s, coefficients) -> the example
    weight: of a squared error of the example, so that it is one of what is predicted
    is_v: whether v is predicted; first, last: the times between which it tells a velocity
    """

    target: Callable[[Tensor, Tensor, Coefficients], Tensor]
    x: Callable[[Tensor, Tensor, Coefficients], Tensor]
    weight: Callable[[Coefficients], Tensor]
    is_v: bool = False
    first: float = 1.0
    last: float = 0.0


def _of_noise(out: Tensor, x_s: Tensor, c: Coefficients) -> Tensor:
    return (x_s - c.sigma * out) / c.alpha.clamp_min(LEAST)


def _of_v(out: Tensor, x_s: Tensor, c: Coefficients) -> Tensor:
    return (c.sigma * out - c.b * x_s) / c.determinant


PREDICTIONS: dict[str, Prediction] = {
    "noise": Prediction(
        lambda x, e, c: e,
        _of_noise,
        lambda c: (c.alpha / c.sigma.clamp_min(LEAST)).square(),
        first=1 - 1e-2,
        about="e, the noise that was added",
    ),
    "x": Prediction(
        lambda x, e, c: x,
        lambda out, x_s, c: out,
        lambda c: torch.ones_like(c.alpha),
        last=1e-3,
        about="the example",
    ),
    "v": Prediction(
        lambda x, e, c: c.v(x, e),
        _of_v,
        lambda c: (c.determinant / c.sigma.clamp_min(LEAST)).square(),
        is_v=True,
        about="between both; of flow-matching the velocity",
    ),
}
PredictionName: TypeAlias = Annotated[str, OneOf(PREDICTIONS)]


# -- the path of flow matching


class Straight:
    """A line at constant speed, alpha = 1 - s and sigma = s + (1 - s) least (arXiv:2210.02747,
    section 4.1, example II; its time is t = 1 - s).

    least: sigma at the example; last, first: of s where the network is asked, which is not where
        what it predicts tells no velocity
    """

    def __init__(self, least: float, prediction: str) -> None:
        self.least, entry = least, PREDICTIONS[prediction]
        self.first, self.last = entry.first, entry.last

    def grid(self, steps: int, start: float = 1.0) -> Tensor:
        first = min(start, self.first)
        return torch.linspace(first, self.last, steps + 1, dtype=torch.float64, device="cpu")

    def at(self, s: Tensor, like: Tensor) -> Coefficients:
        s = shaped(s, like)
        one = torch.ones_like(s)
        return Coefficients(1 - s, s + (1 - s) * self.least, one, self.least - one)

    def drawn(self, u: Tensor) -> Tensor:
        return u

    def allowed(self, steps: int) -> int:
        return steps
