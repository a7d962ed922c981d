"""Capabilities of models, as protocols: a model has a capability if it has the methods.

Images are batches uint8 `(B, C, H, W)`, 0..255. `condition` holds one condition per example, such
as an int64 tensor `(B,)` of class labels (`ptheta.conditions`); None for an unconditional model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

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
    """Can draw samples."""

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """Draw n examples: uint8 images (n, C, H, W) with the spec's levels, or rows (n, D)."""
        ...


@runtime_checkable
class Tempers(Protocol):
    """Can draw samples at a temperature."""

    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Draw n examples at a temperature: it divides logits, or scales the base noise.

        Args:
            n: number of examples.
            temperature: 1 samples as `sample` does; towards 0 samples approach the mode.
            condition: conditions of the n examples.

        Raises:
            PthetaError: if a temperature is not defined for the options of this model.
        """
        ...


@runtime_checkable
class Truncates(Protocol):
    """Can draw samples from truncated codes (the truncation trick)."""

    def sample_truncated(
        self, n: int, truncation: float, condition: Condition | None = None
    ) -> Tensor:
        """Draw n examples with the normal dimensions of the code in [-truncation, truncation].

        Raises:
            PthetaError: if the prior has no normal dimensions.
        """
        ...


@runtime_checkable
class DrawsInSteps(Protocol):
    def sample_in_steps(
        self,
        n: int,
        steps: int | None = None,
        guidance: float | None = None,
        condition: Condition | None = None,
    ) -> Tensor:
        """n examples drawn in so many passes of a network, with such a weight of the condition;
        None: as the model has it. Raises PthetaError where it has no such steps, or no weight."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    """Has an exact likelihood."""

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Compute the exact log p(x).

        Args:
            x: examples (B, ...)
            condition: conditions of the examples

        Returns:
            log p(x), (B,) nats.
        """
        ...


@runtime_checkable
class HasBound(Protocol):
    """Has a lower bound of the likelihood."""

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Compute a stochastic lower bound of log p(x).

        Args:
            x: examples (B, ...)
            condition: conditions of the examples

        Returns:
            The bound, (B,) nats.
        """
        ...

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        """The terms whose sum is -elbo, such as reconstruction and kl: (B,) nats each."""
        ...

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """The tighter lower bound with k importance samples (arXiv:1509.00519): (B,) nats."""
        ...


@runtime_checkable
class MayBeExact(Protocol):
    """Has a bound or an energy that may be exact, depending on the options and the data."""

    def exact(self) -> bool:
        """Whether `HasBound` or `HasEnergy` refer to x itself.

        True for real-valued data and for models with probabilities of levels. False if they refer
        to dequantised data: the density then only bounds the log-probability of x.
        """
        ...


@runtime_checkable
class HasPosterior(Protocol):
    """Has an approximate posterior."""

    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        """The Gaussian q(z | x): mean and log-variance, (B, L) each."""
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
    """Has a joint density p(x, z) = p(z) p(x | z), differentiable in z."""

    def log_prior(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(z) of codes (B, L): (B,) nats."""
        ...

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x | z) of examples and codes (B, L): (B,) nats."""
        ...

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """Draw n codes from p(z): float (n, L)."""
        ...


@runtime_checkable
class HasEnergy(Protocol):
    """Has an unnormalised density."""

    def energy(self, x: Tensor) -> Tensor:
        """Unnormalised -log p(x): (B,)."""
        ...


@runtime_checkable
class EstimatesPartition(HasEnergy, Protocol):
    """Can compute or estimate the partition function of its energy."""

    def log_partition(self, effort: float = 1.0) -> LogPartition:
        """log Z, the log of the integral (or sum) of exp(-energy) over all x.

        Uses the current random stream.

        Args:
            effort: share of the usual number of steps of the estimate; 0 for the minimum, to find
                out whether the result is exact.

        Returns:
            The exact value, or an estimate with a lower and an upper side.
        """
        ...


class LogProbEstimate(NamedTuple):
    """log p of examples, and how far from it the estimates may be: (B,) nats each.

    noise: their standard errors, of what is drawn for each example alone
    bias: what is thought to be left of the error of a numerical solution, with its sign
    """

    value: Tensor
    noise: Tensor
    bias: Tensor


@runtime_checkable
class EstimatesLogProb(Protocol):
    def log_prob_estimate(self, x: Tensor, condition: Condition | None = None) -> LogProbEstimate:
        """log p(x), with its errors; of numbers drawn in the bins of x where it has some."""
        ...

    def estimated_by(self) -> str:
        """How, in a few words."""
        ...


@runtime_checkable
class HasChain(Protocol):
    """Samples by a Markov chain with the stationary distribution p(x)."""

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """Draw n initial states of the chain: (n, *shape)."""
        ...

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Draw the next states, given the states x: (n, *shape)."""
        ...


@runtime_checkable
class HasConditionals(Protocol):
    """Has the conditional distributions of an autoregressive factorisation."""

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """Return the distribution of every pixel given the earlier ones: batch shape (B, C, H,
        W)."""
        ...


class Steps(Protocol):
    """Sequential evaluation of the conditionals of n images, pixel by pixel.

    `pixel` (n, C) holds the colours of the t-th pixel that are known so far, else 0.
    """

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        """The distribution of channel c of the t-th pixel, batch shape (n,).

        Has to be called for every t in order and, for each t, for every c in order.
        """
        ...

    def observe(self, t: int, pixel: Tensor) -> None:
        """Record the completed t-th pixel."""
        ...


@runtime_checkable
class StepsThrough(HasConditionals, Protocol):
    """Can evaluate its conditionals sequentially, pixel by pixel."""

    def pixel_order(self) -> list[int]:
        """Indices of the pixels (row * W + column) in the order of the factorisation."""
        ...

    def stepper(self, n: int, condition: Condition | None = None) -> Steps:
        """Start a sequential evaluation of n images."""
        ...


@runtime_checkable
class Completes(Protocol):
    """Can complete partly known examples (inpainting, imputation)."""

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Draw the unknown elements of x given the known ones.

        Args:
            x: examples; unknown elements are ignored and may be NaN.
            known: bool mask of the shape of x: sub-pixels or cells that are known.
            condition: conditions of the examples.
            candidates: number of completions to choose from, for models that condition on the known
                elements only approximately.

        Returns:
            Completed examples, of the shape of x.
        """
        ...


@runtime_checkable
class HasConditionalMean(Protocol):
    """Has the conditional mean of unknown elements."""

    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Fill the unknown elements with their mean given the known ones.

        Categories are filled with the most probable one. Arguments as in `Completes.complete`.

        Args:
            x: examples; unknown elements are ignored and may be NaN.
            known: bool mask of the shape of x.
            condition: conditions of the examples.
            candidates: number of samples of an estimated mean.
        """
        ...


@runtime_checkable
class InOrder(Protocol):
    """Samples sub-pixels one after the other."""

    def late(self, known: Tensor) -> Tensor:
        """Known sub-pixels that follow an unknown one in the sampling order.

        A single completion does not take them into account.

        Returns:
            bool (B, C, H, W), as `known`.
        """
        ...


@runtime_checkable
class Encodes(Protocol):
    """Can encode examples."""

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The code of each example: float (B, L)."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Can decode codes."""

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Decode codes (B, L) to examples; the mean if the decoder is a distribution."""
        ...


@runtime_checkable
class Generates(Protocol):
    """Can decode codes differentiably."""

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Decode codes (B, L) to unrounded float examples in network scale, with gradients."""
        ...


@runtime_checkable
class Denoises(Protocol):
    """Can denoise images."""

    def denoise(
        self, x: Tensor, noise: str, level: float, condition: Condition | None = None
    ) -> Tensor:
        """Estimate the clean images.

        Args:
            x: noisy images, uint8 (B, C, H, W).
            noise: name of the noise, as in `ptheta.corruption.corrupt`.
            level: level of the noise, as in `ptheta.corruption.corrupt`.
            condition: conditions of the images.

        Returns:
            uint8 (B, C, H, W) with any grey values.
        """
        ...


@runtime_checkable
class HasPrior(Protocol):
    """Has a prior over codes."""

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """Draw n codes from the prior: float (n, L)."""
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
    """Has a discriminator of examples."""

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The discriminator's output (B,), higher for real examples; a logit for most losses."""
        ...


@runtime_checkable
class HasLogRatio(Protocol):
    """Has a discriminator that estimates the density ratio of data and model."""

    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The discriminator's estimate of log p_data(x) / p_model(x): (B,) nats.

        Raises:
            PthetaError: if the discriminator was trained on a loss that does not give the ratio.
        """
        ...


@runtime_checkable
class Clusters(Protocol):
    """Has categories of its own, learned without labels."""

    def cluster(self, x: Tensor) -> Tensor:
        """The category that the model assigns to each example: int64 (B,)."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Translates images: to the target of a pair, or to another domain."""

    def input_spec(self) -> ImageSpec:
        """The spec of the inputs, with the height and width of training."""
        ...

    def domains(self) -> tuple[str, ...]:
        """The names of the target domains; empty for a model trained on pairs."""
        ...

    def varied(self) -> bool:
        """Whether repeated translations of one image differ."""
        ...

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """Translate images.

        Args:
            x: uint8 (B, C, H, W) as in `input_spec`, but of any height and width.
            to: index of the target domain of each image, int64 (B,); None for a model trained on
                pairs.

        Returns:
            uint8 (B, C', H, W).
        """
        ...


CAPABILITIES: dict[str, type] = {
    "samples": Samples,
    "temperature": Tempers,
    "truncation": Truncates,
    "steps": DrawsInSteps,
    "log_prob": HasLogProb,
    "log_prob_estimate": EstimatesLogProb,
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
    """A model whose discriminator gives a density ratio only with some options."""

    @classmethod
    def unreadable(cls, config: object) -> str | None:
        """The reason why a model with these options gives no ratio; None if it does."""
        ...


@runtime_checkable
class TakesCondition(Protocol):
    """A model that may be conditional; `condition` is None if it is not."""

    condition: ConditionSpec | None


@runtime_checkable
class Varies(Protocol):
    """A model that may be deterministic."""

    def varied(self) -> bool:
        """Whether repeated outputs for the same input differ."""
        ...


@runtime_checkable
class HasMargins(Protocol):
    """Has a prior with identically distributed dimensions, not necessarily N(0, 1)."""

    def code_at(self, t: Tensor) -> Tensor:
        """Map quantiles of N(0, 1) to those of the prior, elementwise: as t."""
        ...


@dataclass(frozen=True)
class CodePart:
    """A named part of a code, such as a category.

    Attributes:
        name: name of the part.
        start: index of its first dimension in the code.
        size: number of its dimensions.
        category: whether it is a one-hot category; else real values from `low` to `high`.
        low: smallest value.
        high: largest value.
    """

    name: str
    start: int
    size: int
    category: bool = False
    low: float = -1.0
    high: float = 1.0


@runtime_checkable
class HasParts(Protocol):
    """Has codes with named parts, in addition to noise."""

    def code_parts(self) -> tuple[CodePart, ...]:
        """The named parts, in the order of the code."""
        ...


def code_parts(model: object) -> tuple[CodePart, ...]:
    """The named parts of a model's codes; empty if there are none."""
    return model.code_parts() if isinstance(model, HasParts) else ()


@runtime_checkable
class DrawsElements(Protocol):
    """A model that may sample the elements of an example independently, given the code."""

    def draws_elements(self) -> bool:
        """Whether samples are drawn from p(x | z), and so differ from the output of `decode`."""
        ...


def draws_elements(model: object) -> bool:
    """Whether a model samples from p(x | z); otherwise there are no separate mean images."""
    return isinstance(model, DrawsElements) and model.draws_elements()


@runtime_checkable
class Staged(Protocol):
    """A model that may be trained in stages, such as small images first."""

    def present_stage(self) -> str:
        """Description of the current stage, for training grids; empty if there is none."""
        ...


def stage_of(model: object) -> str:
    """The current stage of a model; empty for a model without stages."""
    return model.present_stage() if isinstance(model, Staged) else ""


def varied(model: object) -> bool:
    """Whether repeated outputs of a model differ."""
    return model.varied() if isinstance(model, Varies) else True


def code_at(model: object, t: Tensor) -> Tensor:
    """Map quantiles of N(0, 1) to those of the model's prior; t itself if the prior is unknown."""
    return model.code_at(t) if isinstance(model, HasMargins) else t


@runtime_checkable
class Blends(Protocol):
    """Can interpolate between two conditions."""

    def between(self, first: Condition, second: Condition, share: Tensor) -> Condition:
        """Interpolate the conditions of B examples.

        Args:
            first: conditions of B examples.
            second: conditions of B examples.
            share: float (B,), from 0 (first) to 1 (second).
        """
        ...


@runtime_checkable
class Searches(Protocol):
    """Completes by a latent search of `search_steps` steps per restart, which is slow."""

    search_steps: int


@runtime_checkable
class Settles(Protocol):
    """Has a prior with mass on a subset of the code space only."""

    def settled(self, z: Tensor) -> Tensor:
        """Project codes (B, L) to the support of the prior."""
        ...


@runtime_checkable
class OfAnySize(Protocol):
    """A model that accepts images of any height and width, not only those of its spec."""

    any_size: bool


def takes_any_size(model: object) -> bool:
    """Whether a model accepts images of other sizes than in training."""
    return isinstance(model, OfAnySize) and model.any_size


def condition_of(model: object) -> ConditionSpec | None:
    """The condition spec of a model; None for an unconditional one."""
    return model.condition if isinstance(model, TakesCondition) else None


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's parameters or, without any, its buffers; the CPU if it has
    neither."""
    import torch

    tensors = chain(model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


LogProb: TypeAlias = "Callable[[Tensor, Condition | None], Tensor]"  # (B,) nats


def exact_log_prob(model: object) -> LogProb | None:
    """The exact log p(x) of a model; None if it has only a bound or an estimate."""
    if isinstance(model, HasLogProb):
        return model.log_prob
    if isinstance(model, HasBound) and isinstance(model, MayBeExact) and model.exact():
        return model.elbo
    return None


def capabilities(model: object) -> tuple[str, ...]:
    """The names of the capabilities of a model or a model class."""
    cls = model if isinstance(model, type) else type(model)
    return tuple(name for name, protocol in CAPABILITIES.items() if issubclass(cls, protocol))


def conditional(model: object) -> bool:
    """Whether a model is conditional."""
    return condition_of(model) is not None


def some_conditions(model: nn.Module, n: int, start: int = 0) -> Condition | None:
    """n example conditions, such as labels in turn from index `start`; None if unconditional."""
    condition = condition_of(model)
    return None if condition is None else condition.examples(n, start).to(device_of(model))
