"""The base class of normalising flows: a density of dequantised examples by change of variables.

    z = f(v),    log p(v) = log p(z) + log |det df/dv|

with p(z) standard normal (or logistic), v an example in real numbers (`ptheta.models.numbers`).
For discrete values (levels, whole numbers and categories), log p(v) gives a bound
(`dequantisation`); for real numbers only, it is the log-density itself.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn.functional import logsigmoid

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.compute.constants import on
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Entry, OneOf, option
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import Model, as_learned
from ptheta.models.flows import dequantisation
from ptheta.models.flows.dequantisation import DEQUANTISATIONS
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.numbers import numbers_of
from ptheta.nets.flows.actnorm import starting
from ptheta.nets.flows.elementwise import ElementwiseMixtureCDF, Logit, Shift
from ptheta.nets.flows.laws import SPREAD
from ptheta.nets.flows.transform import Chain, Transform, summed
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec


def itself(t: Tensor) -> Tensor:
    return t


@dataclass(frozen=True)
class FlowPrior(Entry):
    """p(z) of independent numbers. log_density: of each, nats; draw: (n, dims, device) -> z;
    at(t): the number that stands under it where t does under N(0, 1)"""

    log_density: Callable[[Tensor], Tensor]
    draw: Callable[[int, int, torch.device], Tensor]
    at: Callable[[Tensor], Tensor] = itself


def log_normal(z: Tensor) -> Tensor:
    return -0.5 * (z.square() + LOG_2PI)


def log_logistic(z: Tensor) -> Tensor:
    return logsigmoid(z) + logsigmoid(-z)


def normal(n: int, dims: int, device: torch.device) -> Tensor:
    return streams.normal(n, dims, device=device)


def logistic(n: int, dims: int, device: torch.device) -> Tensor:
    u = streams.uniform(n, dims, device=device).clamp(1e-6, 1 - 1e-6)
    return u.log() - (-u).log1p()


def logistic_at(t: Tensor) -> Tensor:
    found: Tensor = torch.special.log_ndtr(t) - torch.special.log_ndtr(-t)
    return found


PRIORS: dict[str, FlowPrior] = {
    "normal": FlowPrior(log_normal, normal, about="N(0, I)"),
    "logistic": FlowPrior(
        log_logistic, logistic, logistic_at, about="independent logistic distributions (1410.8516)"
    ),
}


@dataclass(frozen=True)
class Input(Entry):
    """What numbers go through first: levels through the logit. margins: whether each number then
    goes through the CDF of a mixture of its own"""

    margins: bool = False


INPUTS: dict[str, Input] = {
    "logit": Input(about="logit of the levels (1605.08803)"),
    "mixture-cdf": Input(
        margins=True,
        about="logit, then the CDF of a mixture of logistics per dimension",
        reads=frozenset({"components"}),
    ),
}
NOISE_FEATURES = 24  # of the networks of q(u | x)
NOISE_HIDDEN = (64,)
SHARE = 0.8  # of the range of logits that the means of a mixture cover at the start


@dataclass(frozen=True)
class FlowConfig(OptimizerConfig):
    dequantisation: Annotated[str, OneOf(DEQUANTISATIONS)] = option(
        "uniform", "dequantisation of levels, whole numbers and categories"
    )
    input: Annotated[str, OneOf(INPUTS, "none")] = option(
        "logit", "transformation of the inputs; none: levels scaled to (-1/2, 1/2)"
    )
    edge: Annotated[float, Ge(0), Le(0.5)] = option(
        0.05,
        "margin of (0, 1) that levels do not reach, which bounds the logits; use 1e-5 if many "
        "pixels are black or white",
        of="input",
    )
    components: Count = option(
        8, "components of mixtures of logistics, at the input or in couplings"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition)
        if odd is not None or not isinstance(spec, VectorSpec):
            return odd
        if all(column.continuous for column in spec.columns) and (
            self.dequantisation in DEQUANTISATIONS and DEQUANTISATIONS[self.dequantisation].learned
        ):
            return (
                f"dequantisation = {self.dequantisation}: {spec} are real numbers, which have no "
                "bins; leave it out"
            )
        if all(column.continuous and column.low == column.high for column in spec.columns):
            return f"every column of {spec} is constant: give columns that vary"
        return None


class Flow(Model):
    """p(x) by a flow. z is all of the latent numbers, in one row.

    A column of real numbers with one value alone has no density: it is left out and drawn as it is.
    """

    player = "flow"
    specs = (ImageSpec, VectorSpec)
    config: FlowConfig

    def __init__(
        self, spec: DataSpec, config: FlowConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        with torch.device("cpu"):  # what decides the layers is known where weights are only counted
            self.numbers = numbers_of(spec)
        width = self.numbers.width.to("cpu")
        varying = [not bool(v.isnan()) for v in self._middle_example()]
        self.varying = [d for d, there in enumerate(varying) if there]
        self.binned = [d for d in self.varying if width[d] > 0]
        with torch.device("cpu"):
            self.inside = torch.tensor(self.varying)
            self.at = torch.tensor([self.varying.index(d) for d in self.binned], dtype=torch.int64)
            self.widths = torch.tensor([float(width[d]) for d in self.binned])
        self.inner = tuple(spec.shape) if isinstance(spec, ImageSpec) else (len(self.varying),)
        self.dims = math.prod(self.inner)
        self.noise = self._noise()
        self.flow = Chain([*self._input(), self.transform()])

    def _middle_example(self) -> Tensor:
        """Numbers of some example, NaN where they tell nothing."""
        with torch.device("cpu"):
            if isinstance(self.spec, ImageSpec):
                return torch.zeros(self.spec.dims)
            assert isinstance(self.spec, VectorSpec)
            return torch.tensor(
                [
                    math.nan if column.continuous and column.low == column.high else 0.0
                    for column in self.spec.columns
                    for _ in range(column.width)
                ]
            )

    def _noise(self) -> dequantisation.Noise | None:
        if not DEQUANTISATIONS[self.config.dequantisation].learned or not self.binned:
            return None
        if isinstance(self.spec, ImageSpec):
            return dequantisation.of_images(self.spec.shape, NOISE_FEATURES)
        return dequantisation.of_vectors(len(self.binned), self.dims, NOISE_HIDDEN)

    def _input(self) -> list[Transform]:
        parts: list[Transform] = []
        kind, spread = INPUTS.get(self.config.input), SPREAD
        if isinstance(self.spec, ImageSpec):
            levels = self.spec.levels
            if kind is None:
                parts.append(Shift(levels / 2, levels))
            else:
                logit = Logit(self.config.edge)
                spread = SHARE * logit.greatest()
                parts += [Shift(0.0, levels), logit]
        if kind is not None and kind.margins:
            parts.append(ElementwiseMixtureCDF(self.inner, self.config.components, spread))
        return parts

    @abstractmethod
    def transform(self) -> Transform:
        """Of numbers (B, *inner) to latent ones (B, dims), about standardised both."""

    # -- the density

    def _inside(self, v: Tensor) -> Tensor:
        """Numbers as the flow takes them: (B, D) -> (B, *inner)"""
        v = v[:, on(self.inside, v.device)] if len(self.varying) < v.shape[1] else v
        return v.to(torch.get_default_dtype()).view(len(v), *self.inner)

    def drawn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of x, each drawn within its bin, (B, *inner), and log q(u | x), (B,)."""
        v = self._inside(self.numbers.of(x))
        none = v.new_zeros(len(v))
        if not self.binned:
            return v, none
        if isinstance(self.spec, ImageSpec):
            seen = self.spec.scaled(x)
            u, log_q = (
                dequantisation.uniform(seen) if self.noise is None else self.noise.drawn(seen)
            )
            return v + (u - 0.5), log_q
        at = on(self.at, v.device)
        part = v[:, at]
        u, log_q = dequantisation.uniform(part) if self.noise is None else self.noise.drawn(v)
        widths = on(self.widths, v.device, v.dtype)
        return v.index_copy(1, at, part + (u - 0.5) * widths), log_q

    def log_density(self, v: Tensor) -> Tensor:
        """log p(v) of numbers (B, *inner): (B,) nats."""
        z, log_det = self.flow(v)
        return self.log_latent(z) + log_det

    def prior(self) -> FlowPrior:
        """p(z)"""
        return PRIORS["normal"]

    def log_latent(self, z: Tensor) -> Tensor:
        """log p(z): (B, dims) -> (B,) nats"""
        return summed(self.prior().log_density(z))

    def exact(self) -> bool:
        return self.numbers.exact

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        """-log p of numbers drawn within their bins; and log q(u | x) where that is learned."""
        v, log_q = self.drawn(as_learned(self.spec, x))
        unit = self.numbers.log_unit(self.numbers.of(x)).to(v)
        terms = {"negative_log_density": unit - self.log_density(v)}
        return terms if self.noise is None else {**terms, "log_q": log_q}

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return -torch.stack(list(self.bound_terms(x).values())).sum(0)

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """log 1/k sum_i p(v_i) / q(u_i | x), with k draws of the noise; of real numbers log p."""
        if self.exact():
            return self.elbo(x)
        each = torch.stack([self.elbo(x) for _ in range(k)])
        return each.logsumexp(0) - math.log(k)

    # -- uses

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.prior().draw(n, self.dims, next(self.parameters()).device)

    def code_at(self, t: Tensor) -> Tensor:
        return self.prior().at(t)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """z of the middles of the bins: (B, dims)"""
        v = self._inside(self.numbers.of(as_learned(self.spec, x)))
        z: Tensor = self.flow(v)[0]
        return z

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        v = self.flow.inverse(z).flatten(1)
        if len(self.varying) == self.numbers.dims:
            return self.numbers.examples(v)
        every = v.new_full((len(v), self.numbers.dims), self.numbers.middle)
        every[:, self.varying] = v
        return self.numbers.examples(every)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Of latent numbers times the temperature (1807.03039, section 6)."""
        return self.decode(temperature * self.sample_latent(n))

    # -- training

    def start(self, batch: Batch) -> None:
        """Starts what is started from the first batch (`ActNorm`), once."""
        with torch.no_grad(), starting(self):
            self.log_density(self.drawn(as_learned(self.spec, batch.x))[0])

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        return self.bound_terms(batch.x)

    def game(self) -> Game[None]:
        return Game(
            players={self.player: Player((self,), self.config.optimizer_factory())},
            moves=(Move(self.player, self.loss),),
            start=self.start,
        )

    def graph(self) -> Graph:
        latent = Variable("z", "latent", f"{self.dims} numbers, {self.prior().about}")
        seen = Variable("x", "observed", self.spec.one)
        if self.exact():
            return Graph(
                (latent, seen),
                (Arrow("z", "x", law="inverse of f"), Arrow("x", "z", "inference", "f")),
            )
        number = Variable("v", "deterministic", "real numbers, x plus noise within its bin")
        return Graph(
            (latent, number, seen),
            (
                Arrow("z", "v", law="inverse of f"),
                Arrow("v", "x", law="the bin that contains v"),
                Arrow("x", "v", "inference", f"{self.config.dequantisation} in the bin"),
                Arrow("v", "z", "inference", "f"),
            ),
        )
