"""Kernel density estimation, or Parzen windows (Rosenblatt 1956; Parzen 1962): one component around
each of the training examples that it keeps.

    p(v) = 1/N sum_j k(v; c_j, h)

Nothing is learned but the width h, by the likelihood of each centre under the others (Duin 1976),
or by a rule. It remembers its examples: a sample is one of them with noise. Numbers are those of
`ptheta.models.numbers`, so that the density of dequantised levels is a bound of their probability;
the kernel of 2 levels has the probability itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Choice, Count, Entry, OneOf, option
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.models.base import LastPass, Model, refuse_missing, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.mixtures.components import COMPONENTS
from ptheta.models.mixtures.covariance import wide
from ptheta.models.mixtures.seeding import some
from ptheta.models.numbers import numbers_of
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full

AT_ONCE = 2**23  # pairs of an example and a centre that are in memory
JUDGES = 500  # centres, at most, under whose likelihood the width is chosen
NARROWEST = 1e-30  # a width that can be given: float32 has it
GRID = 16  # widths that are tried, twice: the second time between the neighbours of the best


class Window(Choice, Protocol):
    """A kernel. Its width h is in units of `scale` (D,), and lies within `widths`."""

    @property
    def exact(self) -> bool: ...

    @property
    def widths(self) -> tuple[float, float]: ...

    def odd(self, spec: DataSpec) -> str | None:
        """Why such examples have no such kernel: the end of a sentence, or None."""
        ...

    def distances(self, v: Tensor, centres: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """All that a kernel depends on beside its width: a distance of each pair (B, N), over the
        numbers that are there; and how many these are, (B, 1)."""
        ...

    def log_kernel(self, distance: Tensor, there: Tensor, h: Tensor) -> Tensor:
        """log k, without the volume of `scale`: (B, N) nats."""
        ...

    def drawn(self, centres: Tensor, scale: Tensor, h: Tensor) -> Tensor:
        """One draw around each centre (n, D)."""
        ...


@dataclass(frozen=True, kw_only=True)
class GaussianWindow(Entry):
    """N(v; c, h^2 scale^2)."""

    exact: bool = False
    widths: tuple[float, float] = (1e-3, 3.0)

    def odd(self, spec: DataSpec) -> str | None:
        return None

    def distances(self, v: Tensor, centres: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        gone = v.isnan()
        there, middle = (~gone).to(v), centres.mean(0)
        u, c = ((v - middle) / scale).masked_fill(gone, 0.0), (centres - middle) / scale
        own = u.square().sum(1, keepdim=True)
        others = there @ c.square().T if bool(gone.any()) else c.square().sum(1)
        return (own + others - 2 * u @ c.T).clamp_min(0.0), there.sum(1, keepdim=True)

    def log_kernel(self, distance: Tensor, there: Tensor, h: Tensor) -> Tensor:
        return distance * (-0.5 / h**2) - there * (h.log() + 0.5 * LOG_2PI)

    def drawn(self, centres: Tensor, scale: Tensor, h: Tensor) -> Tensor:
        noise = streams.normal(*centres.shape, device=centres.device).to(centres)
        return centres + h * scale * noise


@dataclass(frozen=True, kw_only=True)
class BernoulliWindow(Entry):
    """Each pixel of 2 levels is that of the centre but for a probability h, of 1/2 at most:
    Aitchison & Aitken 1976 (Biometrika 63:413)."""

    exact: bool = True
    widths: tuple[float, float] = (1e-4, 0.5)

    def odd(self, spec: DataSpec) -> str | None:
        return COMPONENTS["bernoulli"].odd(spec)

    def distances(self, v: Tensor, centres: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        gone = v.isnan()
        there, u = (~gone).to(v), (v - 0.5).masked_fill(gone, 0.0)
        c = centres - 0.5
        differ = u.sum(1, keepdim=True) + there @ c.T - 2 * u @ c.T
        return differ, there.sum(1, keepdim=True)

    def log_kernel(self, distance: Tensor, there: Tensor, h: Tensor) -> Tensor:
        return distance * h.log() + (there - distance) * (-h).log1p()

    def drawn(self, centres: Tensor, scale: Tensor, h: Tensor) -> Tensor:
        flipped = streams.uniform(*centres.shape, device=centres.device).to(centres) < h
        return torch.where(flipped, 2.0 - centres, centres)


WINDOWS: dict[str, Window] = {
    "gaussian": GaussianWindow(about="Gaussian kernel on dequantised examples"),
    "bernoulli": BernoulliWindow(about="kernel on binary pixels, with exact log p (1976)"),
}


@dataclass(frozen=True)
class Rule(Entry):
    """width(n, dims): of so many centres, in standard deviations; None where it is searched for"""

    width: Callable[[int, int], float] | None = None


RULES: dict[str, Rule] = {
    "leave-one-out": Rule(about="maximises the likelihood of each centre under the others"),
    "scott": Rule(lambda n, dims: n ** (-1 / (dims + 4)), about="N^(-1/(D+4)) standard deviations"),
    "silverman": Rule(
        lambda n, dims: (n * (dims + 2) / 4) ** (-1 / (dims + 4)),
        about="(N (D+2)/4)^(-1/(D+4)) standard deviations",
    ),
}


@dataclass(frozen=True)
class KDEConfig:
    kernel: Annotated[str, OneOf(WINDOWS)] = option(
        "gaussian", "kernel around each centre", basic=True
    )
    centres: Count = option(
        10_000, "maximum number of training examples kept; stored with the weights"
    )
    rule: Annotated[str, OneOf(RULES)] = option(
        "leave-one-out", "rule that sets the kernel width", basic=True
    )
    width: Annotated[float, Ge(0), Le(1e6)] = option(
        0.0,
        "kernel width: standard deviation (gaussian) or share of flipped pixels (bernoulli); 0: "
        "set by the rule",
    )
    each: bool = option(
        False, "scale the width per dimension by its standard deviation, not by the mean one"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        kernel = WINDOWS[self.kernel]
        odd = kernel.odd(spec)
        if odd is not None:
            return f"kernel = {self.kernel} {odd}"
        if 0 < self.width < NARROWEST:
            return f"width = {self.width}: give {NARROWEST} or more, or 0 for the rule"
        if not kernel.exact:
            return None
        if RULES[self.rule].width is not None or self.each:
            return f"{self.rule} and each need kernel = gaussian: leave them out"
        if self.width > kernel.widths[1]:
            return f"width = {self.width}: the share of flipped pixels is at most 0.5"
        return None


class KDE(Model):
    """centres: examples, of which the first `count` are there; scale: (D,), what h is in units
    of"""

    specs = (ImageSpec, VectorSpec)
    centres: Tensor
    count: Tensor

    def __init__(
        self, spec: DataSpec, config: KDEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.window = config, WINDOWS[config.kernel]
        self.numbers = numbers = numbers_of(spec)
        anything = spec.unscaled(streams.normal(config.centres, *spec.scaled_shape))
        self.register_buffer("centres", anything)
        self.register_buffer("count", torch.tensor(config.centres))
        self.scale = _fixed(torch.full((numbers.dims,), float(numbers.spread)))
        self.h = _fixed(torch.tensor(min(0.25, self.window.widths[1])))

    # -- learning

    def fit(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        """One pass, which keeps some examples, or all of them, and finds the width. Gives -log p of
        a centre under the others, nats, and the width."""
        total = square = torch.zeros_like(wide(self.scale))
        n = 0

        def seen() -> Iterator[Tensor]:
            nonlocal total, square, n
            for batch in batches:
                x = self.spec.check(batch.x)
                v = self.numbers.centred(self.numbers.of(x)) - self.numbers.middle
                total, square, n = total + v.sum(0), square + v.square().sum(0), n + len(x)
                yield x

        with streams.alone():
            kept = some(seen(), self.config.centres)
            self.centres[: len(kept)] = kept
            self.count.fill_(len(kept))
            self.scale.copy_(self._scale(total / n, square / n))
            found = self._width()
        yield LastPass(negative_log_p=-found, width=self.h.item())

    def _scale(self, mean: Tensor, square: Tensor) -> Tensor:
        """Standard deviations, with what is known of bins: of each number, or of all."""
        more = wide(self.numbers.variance(0.0)).to(mean)
        variance = square - mean.square() + more
        return (variance if self.config.each else variance.mean().expand_as(variance)).sqrt()

    def _width(self) -> float:
        """Sets h; the mean log p of a centre under the others."""
        c, n = self.config, int(self.count)
        rule = RULES[c.rule].width
        judges = streams.uniform(n, device=self.centres.device).argsort()[:JUDGES]
        if c.width or rule is not None or n < 2:
            fixed = c.width or (rule(n, self.numbers.dims) if rule else self.h.item())
            self.h.fill_(fixed)
            return self._left_out(judges, [fixed])[0] if n > 1 else 0.0
        low, high = self.window.widths
        tried = _between(low, high)
        for _ in range(2):
            found = self._left_out(judges, tried)
            best = max(range(GRID), key=found.__getitem__)
            self.h.fill_(tried[best])
            tried = _between(tried[max(0, best - 1)], tried[min(GRID - 1, best + 1)])
        return found[best]

    def _left_out(self, judges: Tensor, widths: list[float]) -> list[float]:
        """For each width the mean log p of these centres under all others."""
        centres, scale = self._centres(), wide(self.scale)
        totals = [0.0] * len(widths)
        for rows in judges.split(max(1, AT_ONCE // len(centres))):
            x = self.centres[rows]
            v = self.numbers.of(x) if self.window.exact else self.numbers.drawn(x)
            distance, there = self.window.distances(v, centres, scale)
            own = torch.zeros_like(distance, dtype=torch.bool).scatter_(1, rows[:, None], True)
            unit = self._unit(v)
            for i, h in enumerate(widths):
                each = self.window.log_kernel(distance, there, wide(self.h).new_tensor(h))
                log_p = each.masked_fill_(own, -math.inf).logsumexp(1) - math.log(len(centres) - 1)
                totals[i] += (log_p - unit).sum().item()
        return [total / len(judges) for total in totals]

    def _centres(self) -> Tensor:
        return self.numbers.centred(self.numbers.of(self.centres[: int(self.count)]))

    def _unit(self, v: Tensor) -> Tensor:
        """What the log-kernel of numbers is short of: the volume of `scale`, and the unit of v."""
        unit = self.numbers.log_unit(v)
        if self.window.exact:
            return unit
        return unit + (~v.isnan()).to(v) @ wide(self.scale).log()

    # -- the density

    def joint(self, v: Tensor) -> Iterator[Tensor]:
        """log k(v; c_j) of what is there of numbers (B, D), without the volume of the unit: (b, N)
        of some rows after the other."""
        centres, scale, h = self._centres(), wide(self.scale), wide(self.h)
        for part in wide(v).split(max(1, AT_ONCE // len(centres))):
            yield self.window.log_kernel(*self.window.distances(part, centres, scale), h)

    def log_density(self, v: Tensor) -> Tensor:
        """log p of what is there of numbers (B, D), of examples: (B,) nats, float64."""
        log_p = torch.cat([each.logsumexp(1) for each in self.joint(v)])
        return log_p - math.log(int(self.count)) - self._unit(wide(v))

    def exact(self) -> bool:
        return self.window.exact or self.numbers.exact

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.importance_bound(x, 1)

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        return {"negative_log_density": -self.elbo(x)}

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        x, exact = whole(self.spec, x), self.window.exact
        k = 1 if self.exact() else k
        drawn = (self.numbers.of(x) if exact else self.numbers.drawn(x) for _ in range(k))
        each = torch.stack([self.log_density(v) for v in drawn])
        return (each.logsumexp(0) - math.log(k)).to(full(self.scale).dtype)

    # -- uses

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """Training examples with noise."""
        at = streams.integers(0, int(self.count), n, device=self.centres.device)
        return self.numbers.examples(self._around(self._centres()[at]))

    def _around(self, centres: Tensor) -> Tensor:
        return self.window.drawn(centres, wide(self.scale), wide(self.h))

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Draws the unknown elements given the known ones: a centre given these, and then the rest
        around it."""
        u = streams.uniform(len(x), 1, device=x.device, dtype=wide(self.h).dtype)

        def fill(joint: Iterator[Tensor]) -> Tensor:
            return self._around(self._centres()[torch.cat(list(_chosen(joint, u)))])

        return self._completed(x, known, fill)

    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """The mean of the centres in proportion to how well the known elements fit them: the kernel
        regression of Nadaraya 1964 and Watson 1964."""
        centres = self._centres()
        return self._completed(
            x, known, lambda joint: torch.cat([each.softmax(1) @ centres for each in joint])
        )

    def _completed(
        self, x: Tensor, known: Tensor, fill: Callable[[Iterator[Tensor]], Tensor]
    ) -> Tensor:
        known = known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        v = self.numbers.of(self.spec.check(x))
        v = v.masked_fill(~self.numbers.elements(known), torch.nan)
        found = torch.where(v.isnan(), fill(self.joint(v)), v)
        return torch.where(known, x, self.numbers.examples(found).to(x))

    def graph(self) -> Graph:
        kept = f"one of {self.config.centres:,} training examples, at most"
        return Graph(
            (
                Variable("j", "latent", kept),
                Variable("x", "observed", f"{self.spec.one}: {self.config.kernel} kernel"),
            ),
            (Arrow("j", "x", law="k(x; c_j, h)"),),
        )


def _chosen(joint: Iterator[Tensor], u: Tensor) -> Iterator[Tensor]:
    """One of the N for each row, in proportion to its weight, by uniform numbers u (B, 1)."""
    done = 0
    for each in joint:
        cumulative = each.softmax(1).cumsum(1)
        part = u[done : done + len(each)] * cumulative[:, -1:]
        done += len(each)
        yield (cumulative < part).sum(1).clamp(max=each.shape[1] - 1)


def _between(low: float, high: float) -> list[float]:
    """`GRID` numbers from one to the other, by equal factors."""
    step = (math.log(high) - math.log(low)) / (GRID - 1)
    return [min(high, math.exp(math.log(low) + i * step)) for i in range(GRID)]


def _fixed(x: Tensor) -> nn.Parameter:
    """The quantities learned without gradients."""
    return nn.Parameter(x.to(torch.get_default_dtype()), requires_grad=False)


_FIT = {"batch_size": 512, "epochs": 1.0, "log_every": 1}

RECIPES: Recipes = {
    "default": {
        "about": "a Gaussian around each of 10,000 examples, with the most likely width",
        "model": {},
        "train": _FIT,
    },
    "bernoulli": {
        "about": "binary pixels, each flipped with some probability: exact log p",
        "model": {"kernel": "bernoulli"},
        "train": _FIT,
        "data": {"levels": 2},
    },
    "points": {
        "about": "2,000 of the points, in seconds on one core",
        "model": {"centres": 2000},
        "train": _FIT,
    },
}
