"""What a model can do. A model that cannot do a thing does not have the method.

All images are image batches: uint8 `(B, C, H, W)`, 0..255. `condition` is what each is asked for,
such as an int64 tensor `(B,)` of class labels (`ptheta.conditions`), or None for a model that takes
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor, nn

    from ptheta.batch import Condition
    from ptheta.conditions import ConditionSpec
    from ptheta.distributions.base import ElementDistribution
    from ptheta.distributions.latents import Normal
    from ptheta.distributions.partition import LogPartition
    from ptheta.distributions.pixels import PixelDistribution
    from ptheta.specs import ImageSpec


@runtime_checkable
class Samples(Protocol):
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """n images drawn from the model: uint8 (n, C, H, W), values of the spec's levels."""
        ...


@runtime_checkable
class Tempers(Protocol):
    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """n examples at a temperature, at 1 those of `sample`, towards 0 the mode: logits over it,
        or base noise times it. Raises PthetaError where it is not defined."""
        ...


@runtime_checkable
class Truncates(Protocol):
    def sample_truncated(
        self, n: int, truncation: float, condition: Condition | None = None
    ) -> Tensor:
        """n examples of codes whose normal numbers lie in [-truncation, truncation]. Raises
        PthetaError where the prior has none."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Exact log p(x): (B,) nats."""
        ...


@runtime_checkable
class HasBound(Protocol):
    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """A stochastic lower bound of log p(x): (B,) nats."""
        ...

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        """The terms that -elbo is the sum of, such as reconstruction and kl: (B,) nats each."""
        ...

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """The tighter bound with k importance samples (arXiv:1509.00519): (B,) nats."""
        ...


@runtime_checkable
class MayBeExact(Protocol):
    def exact(self) -> bool:
        """Whether the bound of `HasBound`, or the energy of `HasEnergy`, is of x itself, as of real
        numbers, or of a model that has the probabilities of levels; else it is of numbers drawn in
        the bins of x, and only bounds what x has."""
        ...


@runtime_checkable
class HasPosterior(Protocol):
    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        """q(z | x), Gaussian: mean and log-variance, (B, L) each."""
        ...


@runtime_checkable
class HasLayers(Protocol):
    """Has several layers of codes, one above the other."""

    def layer_kl(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The KL of each layer by one draw, the one next to x first: (B, layers) nats. They add up
        to the KL of the bound in expectation."""
        ...


@runtime_checkable
class HasJoint(Protocol):
    """p(x, z) = p(z) p(x | z), differentiable in z."""

    def log_prior(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(z): (B, L) -> (B,) nats."""
        ...

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x | z): (B,) nats."""
        ...

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """n codes drawn from p(z): (n, L)."""
        ...


@runtime_checkable
class HasEnergy(Protocol):
    def energy(self, x: Tensor) -> Tensor:
        """Unnormalised -log p(x): (B,)."""
        ...


@runtime_checkable
class EstimatesPartition(HasEnergy, Protocol):
    def log_partition(self, effort: float = 1.0) -> LogPartition:
        """log Z, the integral (or the sum) of exp(-energy) over all x: exact, or between two sides.
        What is drawn for it is of the random stream at hand.

        effort: what share of its usual steps an estimate takes; 0: as few as there can be, to
            learn whether it is exact
        """
        ...


@runtime_checkable
class HasChain(Protocol):
    """Draws by a Markov chain whose stationary distribution is p(x)."""

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """n examples that the chain starts from: (n, *shape)."""
        ...

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The states after one step from the states x: (n, *shape), values that are drawn."""
        ...


@runtime_checkable
class HasConditionals(Protocol):
    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """The distribution of every pixel given the earlier ones: batch shape (B, C, H, W)."""
        ...


class Steps(Protocol):
    """What walks through n images of a model, pixel by pixel. pixel: (n, C), the colours of the
    t-th pixel as far as they are known, else 0"""

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        """The distribution of colour c of the t-th pixel: of n numbers. For every t in order and,
        within it, for each c."""
        ...

    def observe(self, t: int, pixel: Tensor) -> None:
        """The t-th pixel is complete."""
        ...


@runtime_checkable
class StepsThrough(HasConditionals, Protocol):
    """Has its conditionals pixel by pixel as well."""

    def pixel_order(self) -> list[int]:
        """The pixels in the order of the factorisation, as row * W + column."""
        ...

    def stepper(self, n: int, condition: Condition | None = None) -> Steps:
        """Walks through n images."""
        ...


@runtime_checkable
class Completes(Protocol):
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Examples with the elements drawn that known, bool as x, leaves open: sub-pixels, or
        cells, which may be NaN.

        candidates: completions to choose from, where exact conditioning on all that is known is
        approximated
        """
        ...


@runtime_checkable
class HasConditionalMean(Protocol):
    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Examples whose unknown elements are their mean given the known ones; of words, the most
        probable. As `complete` takes them; candidates: what a mean that is estimated is taken of"""
        ...


@runtime_checkable
class InOrder(Protocol):
    """Draws sub-pixels one after the other."""

    def late(self, known: Tensor) -> Tensor:
        """Which of the known sub-pixels follow an unknown one, which one completion draws without
        a look at them: bool (B, C, H, W), as `known`."""
        ...


@runtime_checkable
class Encodes(Protocol):
    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The code of each image: float (B, L)."""
        ...


@runtime_checkable
class Decodes(Protocol):
    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """float (B, L) -> image batch; the mean image where the decoder is a distribution."""
        ...


@runtime_checkable
class Generates(Protocol):
    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """What `decode` makes of codes (B, L), as a network sees examples: float, before anything
        is rounded, so that it has gradients."""
        ...


@runtime_checkable
class Denoises(Protocol):
    def denoise(
        self, x: Tensor, noise: str, level: float, condition: Condition | None = None
    ) -> Tensor:
        """What damaged images are thought to have been: uint8 (B, C, H, W) of any grey values.
        noise, level: of the damage, as for `ptheta.corruption.corrupt`"""
        ...


@runtime_checkable
class HasPrior(Protocol):
    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """n codes drawn from the prior: float (n, L)."""
        ...


@runtime_checkable
class CodesOnGrid(Protocol):
    """Encodes an example as a map of discrete codes, and has p(x | codes)."""

    def code_spec(self) -> ImageSpec:
        """What such a map is: one channel, and a level for each code."""
        ...

    def code_map(self, x: Tensor) -> Tensor:
        """The codes of each example: uint8 (B, 1, H', W'), an image batch of `code_spec`."""
        ...

    def of_code_map(self, m: Tensor) -> ElementDistribution:
        """p(x | codes) of such maps."""
        ...

    def code_vectors(self) -> Tensor:
        """The vector that each code stands for: (K, D)."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Higher for what looks real: (B,), logits where the model's loss makes them so."""
        ...


@runtime_checkable
class HasLogRatio(Protocol):
    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p_data(x) / p_model(x) as a discriminator has it: (B,) nats. Raises PthetaError where
        what it learned does not tell it."""
        ...


@runtime_checkable
class Clusters(Protocol):
    def cluster(self, x: Tensor) -> Tensor:
        """The category that the model itself gives each image: int64 (B,)."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Carries pictures over: to what they were paired with in training, or to another domain."""

    def input_spec(self) -> ImageSpec:
        """What is carried over; its height and width are those of training."""
        ...

    def domains(self) -> tuple[str, ...]:
        """The names of the domains that it carries over to; none where it learned from pairs."""
        ...

    def varied(self) -> bool:
        """Whether two answers to one picture differ."""
        ...

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """Pictures x, uint8 (B, C, H, W) of `input_spec` but of any height and width, carried over:
        uint8 (B, C', H, W).

        to: the number of the domain of each, int64 (B,); None where there are none
        """
        ...


CAPABILITIES: dict[str, type] = {
    "samples": Samples,
    "temperature": Tempers,
    "truncation": Truncates,
    "log_prob": HasLogProb,
    "bound": HasBound,
    "exact": MayBeExact,
    "joint": HasJoint,
    "posterior": HasPosterior,
    "layers": HasLayers,
    "energy": HasEnergy,
    "partition": EstimatesPartition,
    "chain": HasChain,
    "conditionals": HasConditionals,
    "completes": Completes,
    "conditional_mean": HasConditionalMean,
    "encodes": Encodes,
    "decodes": Decodes,
    "generates": Generates,
    "denoises": Denoises,
    "prior": HasPrior,
    "grid": CodesOnGrid,
    "discriminates": Discriminates,
    "ratio": HasLogRatio,
    "clusters": Clusters,
    "translates": Translates,
}


@runtime_checkable
class NamesPrior(Protocol):
    """Draws nothing before another model has learned its codes."""

    @classmethod
    def usual_prior(cls) -> str:
        """The model of the registry that its maps of codes are usually learned by."""
        ...


@runtime_checkable
class ReadsRatio(HasLogRatio, Protocol):
    """A model whose options may be such that its discriminator tells no ratio."""

    @classmethod
    def unreadable(cls, config: object) -> str | None:
        """Why a model with these options does not tell it; None where it does."""
        ...


@runtime_checkable
class TakesCondition(Protocol):
    """A model that may be conditional. condition: what it is asked for; None where it is nothing"""

    condition: ConditionSpec | None


@runtime_checkable
class Varies(Protocol):
    """A model that may answer in one way alone."""

    def varied(self) -> bool:
        """Whether two answers to the same input differ."""
        ...


@runtime_checkable
class HasMargins(Protocol):
    """Has a prior of codes whose numbers all have one distribution, which need not be N(0, 1)."""

    def code_at(self, t: Tensor) -> Tensor:
        """The numbers that stand under it where t does under N(0, 1), with as much below: as t."""
        ...


@dataclass(frozen=True)
class CodePart:
    """A part of a code that has a name and a meaning of its own.

    start, size: where its numbers stand in the code
    category: whether it is one of `size` categories, as one-hot; else numbers from low to high
    """

    name: str
    start: int
    size: int
    category: bool = False
    low: float = -1.0
    high: float = 1.0


@runtime_checkable
class HasParts(Protocol):
    """Has codes of which some parts are no mere noise."""

    def code_parts(self) -> tuple[CodePart, ...]:
        """These parts, in the order of the code."""
        ...


def code_parts(model: object) -> tuple[CodePart, ...]:
    """The named parts of a model's codes; none where all numbers are alike."""
    return model.code_parts() if isinstance(model, HasParts) else ()


@runtime_checkable
class DrawsElements(Protocol):
    """A model that may draw the elements of an example independently, given its code."""

    def draws_elements(self) -> bool:
        """Whether p(x | z) is drawn from, so that a sample is not what `decode` gives."""
        ...


def draws_elements(model: object) -> bool:
    """Whether a model draws the elements of its samples given a code; else these have no mean of
    their own."""
    return isinstance(model, DrawsElements) and model.draws_elements()


@runtime_checkable
class Staged(Protocol):
    """A model that may learn in stages, such as small images first."""

    def present_stage(self) -> str:
        """Where it stands, for a picture of training; empty where there is nothing to say."""
        ...


def stage_of(model: object) -> str:
    """In which of its stages a model is; empty for one without."""
    return model.present_stage() if isinstance(model, Staged) else ""


def varied(model: object) -> bool:
    """Whether what a model draws differs from one time to the next."""
    return model.varied() if isinstance(model, Varies) else True


def code_at(model: object, t: Tensor) -> Tensor:
    """The numbers of a code that stand under the prior where t does under N(0, 1); t itself where
    nothing is known of it."""
    return model.code_at(t) if isinstance(model, HasMargins) else t


@runtime_checkable
class Blends(Protocol):
    """May be asked for what lies between two conditions."""

    def between(self, first: Condition, second: Condition, share: Tensor) -> Condition:
        """What lies between the conditions of B examples. share: float (B,), 0 for the first"""
        ...


@runtime_checkable
class Searches(Protocol):
    """Completes by a search, which takes its time: of so many steps, each restart."""

    search_steps: int


@runtime_checkable
class Settles(Protocol):
    """Has a prior that is not everywhere."""

    def settled(self, z: Tensor) -> Tensor:
        """Codes (B, L) brought to where it has its mass."""
        ...


@runtime_checkable
class OfAnySize(Protocol):
    """A model that takes images of any height and width, and not only of those of its spec."""

    any_size: bool


def takes_any_size(model: object) -> bool:
    """Whether a model takes images of other sizes than those it was trained on."""
    return isinstance(model, OfAnySize) and model.any_size


def condition_of(model: object) -> ConditionSpec | None:
    """What a model is asked for beside noise; None for an unconditional one."""
    return model.condition if isinstance(model, TakesCondition) else None


def device_of(model: nn.Module) -> torch.device:
    """Where the model computes; the CPU for one without parameters."""
    import torch

    return next((p.device for p in model.parameters()), torch.device("cpu"))


LogProb: TypeAlias = "Callable[[Tensor, Condition | None], Tensor]"  # (B,) nats


def exact_log_prob(model: object) -> LogProb | None:
    """log p(x) of a model that has it itself, and no bound or estimate of it; None of another."""
    if isinstance(model, HasLogProb):
        return model.log_prob
    if isinstance(model, HasBound) and isinstance(model, MayBeExact) and model.exact():
        return model.elbo
    return None


def capabilities(model: object) -> tuple[str, ...]:
    """The names of what a model (or a model class) can do."""
    cls = model if isinstance(model, type) else type(model)
    return tuple(name for name, protocol in CAPABILITIES.items() if issubclass(cls, protocol))


def conditional(model: object) -> bool:
    """Whether a model takes a condition."""
    return condition_of(model) is not None


def some_conditions(model: nn.Module, n: int, start: int = 0) -> Condition | None:
    """n conditions to show a model with, such as its labels in turn, from number `start` on; None
    for an unconditional model."""
    condition = condition_of(model)
    return None if condition is None else condition.examples(n, start).to(device_of(model))
