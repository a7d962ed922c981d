"""Capabilities: protocols for what a model can do. A model without a capability lacks the method.

Image batches are uint8 `(B, C, H, W)`, 0..255. `condition` has one entry per example, such as int64
class labels `(B,)` (`ptheta.conditions`), or is None for an unconditional model.
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
        """Draw n examples from the model.

        Args:
            n: number of examples
            condition: conditions of the n examples, or None for an unconditional model

        Returns:
            Examples in the convention of the spec: for images uint8 (n, C, H, W).
        """
        ...


@runtime_checkable
class Tempers(Protocol):
    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Draw n examples at a temperature, which divides the logits or scales the base noise.

        Args:
            n: number of examples
            temperature: 1 for the distribution of `sample`; towards 0, its mode
            condition: as for `Samples.sample`

        Raises:
            PthetaError: if the model does not support the temperature
        """
        ...


@runtime_checkable
class Truncates(Protocol):
    def sample_truncated(
        self, n: int, truncation: float, condition: Condition | None = None
    ) -> Tensor:
        """Draw n examples from codes whose normal components are truncated.

        Args:
            n: number of examples
            truncation: codes are truncated to [-truncation, truncation]
            condition: as for `Samples.sample`

        Raises:
            PthetaError: if the prior has no normal components
        """
        ...


@runtime_checkable
class HasLogProb(Protocol):
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
        """Compute the terms that sum to -elbo, such as reconstruction and kl: (B,) nats each."""
        ...

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """Compute the tighter bound with k importance samples (arXiv:1509.00519): (B,) nats."""
        ...


@runtime_checkable
class MayBeExact(Protocol):
    def exact(self) -> bool:
        """Whether the bound of `HasBound` (or the energy of `HasEnergy`) is that of x itself.

        This holds for continuous x, and for a model of discrete levels. Otherwise the bound is that
        of dequantised x, which only bounds the probability of x.
        """
        ...


@runtime_checkable
class HasPosterior(Protocol):
    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        """Compute the Gaussian posterior q(z | x): mean and log-variance, (B, L) each."""
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
        """Compute or estimate log Z, the integral (or sum) of exp(-energy) over all x.

        The value is exact, or estimated between an upper and a lower bound. It uses torch's current
        random stream.

        Args:
            effort: fraction of the usual number of steps; 0 for the minimum, to find out whether
                log Z is exact
        """
        ...


@runtime_checkable
class HasChain(Protocol):
    """Samples with a Markov chain whose stationary distribution is p(x)."""

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """Return n initial states of the chain: (n, *shape)."""
        ...

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Draw the states after one step from the states x: (n, *shape)."""
        ...


@runtime_checkable
class HasConditionals(Protocol):
    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """Return the distribution of every pixel given the earlier ones: batch shape (B, C, H,
        W)."""
        ...


class Steps(Protocol):
    """Sequential sampler of n images, pixel by pixel. pixel: (n, C), the colours of the t-th pixel
    that are known so far, else 0."""

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        """Return the distribution of colour c of the t-th pixel, for n images. To be called for
        every t in order, and for each c within it."""
        ...

    def observe(self, t: int, pixel: Tensor) -> None:
        """Take in the completed t-th pixel."""
        ...


@runtime_checkable
class StepsThrough(HasConditionals, Protocol):
    """Also computes its conditionals one pixel at a time."""

    def pixel_order(self) -> list[int]:
        """Return the pixels in the order of the factorisation, as row * W + column."""
        ...

    def stepper(self, n: int, condition: Condition | None = None) -> Steps:
        """Return a sequential sampler of n images."""
        ...


@runtime_checkable
class Completes(Protocol):
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Draw the unknown elements of examples given the known ones.

        Args:
            x: examples (B, ...); unknown elements may have any value, table cells NaN
            known: bool, of the shape of x; False where an element (sub-pixel or cell) is to be
                drawn
            condition: conditions of the examples
            candidates: number of candidate completions, if conditioning on all known elements is
                approximate

        Returns:
            The completed examples, of the shape of x.
        """
        ...


@runtime_checkable
class HasConditionalMean(Protocol):
    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Replace unknown elements by their conditional mean, or by the most probable word.

        Args:
            x, known, condition: as for `Completes.complete`
            candidates: number of draws from which a mean is estimated
        """
        ...


@runtime_checkable
class InOrder(Protocol):
    """Draws sub-pixels sequentially."""

    def late(self, known: Tensor) -> Tensor:
        """Return which known sub-pixels come after an unknown one, so that a single completion
        ignores them: bool (B, C, H, W), as `known`."""
        ...


@runtime_checkable
class Encodes(Protocol):
    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Encode examples.

        Args:
            x: examples (B, ...)
            condition: conditions of the examples

        Returns:
            Codes, float (B, L).
        """
        ...


@runtime_checkable
class Decodes(Protocol):
    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Decode codes into examples; the mean if the decoder is a distribution.

        Args:
            z: codes, float (B, L)
            condition: conditions of the examples
        """
        ...


@runtime_checkable
class Generates(Protocol):
    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """Decode codes (B, L) differentiably: float, in the network's scaling, before any
        rounding."""
        ...


@runtime_checkable
class Denoises(Protocol):
    def denoise(
        self, x: Tensor, noise: str, level: float, condition: Condition | None = None
    ) -> Tensor:
        """Restore corrupted images.

        Args:
            x: corrupted images, uint8 (B, C, H, W), of any grey values
            noise, level: kind and strength of the corruption, as for `ptheta.corruption.corrupt`
            condition: conditions of the images

        Returns:
            uint8 (B, C, H, W).
        """
        ...


@runtime_checkable
class HasPrior(Protocol):
    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """Draw n codes from the prior: float (n, L)."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the discriminator's output: (B,), higher for examples that look real; logits for
        losses that define them."""
        ...


@runtime_checkable
class HasLogRatio(Protocol):
    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Estimate log p_data(x) / p_model(x) with a discriminator: (B,) nats.

        Raises:
            PthetaError: if the discriminator's loss does not estimate this ratio
        """
        ...


@runtime_checkable
class Clusters(Protocol):
    def cluster(self, x: Tensor) -> Tensor:
        """Return the model's own category of each image: int64 (B,)."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Translates images: to the paired target of training, or to another domain."""

    def input_spec(self) -> ImageSpec:
        """Spec of the input images; height and width are those of training."""
        ...

    def domains(self) -> tuple[str, ...]:
        """Names of the target domains; empty for a model trained on pairs."""
        ...

    def varied(self) -> bool:
        """Whether repeated outputs for the same input differ."""
        ...

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """Translate images.

        Args:
            x: uint8 (B, C, H, W) of `input_spec`, but of any height and width
            to: index of the target domain of each image, int64 (B,); None if there are no domains

        Returns:
            uint8 (B, C', H, W).
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
    "discriminates": Discriminates,
    "ratio": HasLogRatio,
    "clusters": Clusters,
    "translates": Translates,
}


@runtime_checkable
class ReadsRatio(HasLogRatio, Protocol):
    """A model for which, with some options, the discriminator does not estimate a density ratio."""

    @classmethod
    def unreadable(cls, config: object) -> str | None:
        """Why a model with these options does not estimate the ratio; None if it does."""
        ...


@runtime_checkable
class TakesCondition(Protocol):
    """A model that may be conditional. condition: spec of its condition; None if unconditional."""

    condition: ConditionSpec | None


@runtime_checkable
class Varies(Protocol):
    """A model whose output may be deterministic."""

    def varied(self) -> bool:
        """Whether repeated outputs for the same input differ."""
        ...


@runtime_checkable
class HasMargins(Protocol):
    """Has a prior of codes with i.i.d. components, which need not be N(0, 1)."""

    def code_at(self, t: Tensor) -> Tensor:
        """Map N(0, 1) quantiles to those of the prior: the values with the same cumulative
        probability as t. Same shape as t."""
        ...


@dataclass(frozen=True)
class CodePart:
    """A named part of a code.

    start, size: position of its components in the code
    category: whether it is a one-hot category of `size` values; else continuous, from low to high
    """

    name: str
    start: int
    size: int
    category: bool = False
    low: float = -1.0
    high: float = 1.0


@runtime_checkable
class HasParts(Protocol):
    """Has codes with named parts."""

    def code_parts(self) -> tuple[CodePart, ...]:
        """The named parts, in the order of the code."""
        ...


def code_parts(model: object) -> tuple[CodePart, ...]:
    """The named parts of a model's codes; empty if it has none."""
    return model.code_parts() if isinstance(model, HasParts) else ()


@runtime_checkable
class DrawsElements(Protocol):
    """A model that may sample the elements of an example independently given its code."""

    def draws_elements(self) -> bool:
        """Whether samples are drawn from p(x | z), so that they differ from the output of
        `decode`."""
        ...


def draws_elements(model: object) -> bool:
    """Whether a model samples the elements of x from p(x | z); otherwise there is no separate
    mean."""
    return isinstance(model, DrawsElements) and model.draws_elements()


@runtime_checkable
class Staged(Protocol):
    """A model that may train in stages, such as small images first."""

    def present_stage(self) -> str:
        """Description of the current stage, for training pictures; empty if there is none."""
        ...


def stage_of(model: object) -> str:
    """The current stage of a model; empty for one without stages."""
    return model.present_stage() if isinstance(model, Staged) else ""


def varied(model: object) -> bool:
    """Whether repeated outputs of a model differ."""
    return model.varied() if isinstance(model, Varies) else True


def code_at(model: object, t: Tensor) -> Tensor:
    """Map N(0, 1) quantiles to the model's prior (`HasMargins`); t itself for other models."""
    return model.code_at(t) if isinstance(model, HasMargins) else t


@runtime_checkable
class Blends(Protocol):
    """Can interpolate between two conditions."""

    def between(self, first: Condition, second: Condition, share: Tensor) -> Condition:
        """Interpolate between the conditions of B examples. share: float (B,), 0 for the first."""
        ...


@runtime_checkable
class Searches(Protocol):
    """Completes by an iterative search. search_steps: steps of each restart."""

    search_steps: int


@runtime_checkable
class Settles(Protocol):
    """Has a prior that does not cover the whole latent space."""

    def settled(self, z: Tensor) -> Tensor:
        """Move codes (B, L) to the support of the prior."""
        ...


@runtime_checkable
class OfAnySize(Protocol):
    """A model that takes images of any height and width, not only of those of its spec."""

    any_size: bool


def takes_any_size(model: object) -> bool:
    """Whether a model takes images of other sizes than it was trained on."""
    return isinstance(model, OfAnySize) and model.any_size


def condition_of(model: object) -> ConditionSpec | None:
    """The spec of a model's condition; None for an unconditional model."""
    return model.condition if isinstance(model, TakesCondition) else None


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's parameters; the CPU for a model without parameters."""
    import torch

    return next((p.device for p in model.parameters()), torch.device("cpu"))


LogProb: TypeAlias = "Callable[[Tensor, Condition | None], Tensor]"  # (B,) nats


def exact_log_prob(model: object) -> LogProb | None:
    """The method for log p(x) of a model that computes it exactly; None for other models."""
    if isinstance(model, HasLogProb):
        return model.log_prob
    if isinstance(model, HasBound) and isinstance(model, MayBeExact) and model.exact():
        return model.elbo
    return None


def capabilities(model: object) -> tuple[str, ...]:
    """The names of the capabilities of a model or model class."""
    cls = model if isinstance(model, type) else type(model)
    return tuple(name for name, protocol in CAPABILITIES.items() if issubclass(cls, protocol))


def conditional(model: object) -> bool:
    """Whether a model is conditional."""
    return condition_of(model) is not None


def some_conditions(model: nn.Module, n: int, start: int = 0) -> Condition | None:
    """n example conditions for a model, such as its labels in turn, starting at index `start`; None
    for an unconditional model."""
    condition = condition_of(model)
    return None if condition is None else condition.examples(n, start).to(device_of(model))
