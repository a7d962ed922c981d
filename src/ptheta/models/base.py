"""The base class of all models: a module with a data spec, a condition and a training method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.conditions import KINDS, ConditionSpec, parts_of, word
from ptheta.config import unknown_choice
from ptheta.errors import PthetaError
from ptheta.games import Game, Terms
from ptheta.models import registry
from ptheta.models.parts import Part, conflict, named
from ptheta.models.precision import in_own_type
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec
from ptheta.specs.trust import is_trusted


@runtime_checkable
class Selective(Protocol):
    """A config with options that depend on the spec, the condition or on one another."""

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        """The reason why no such model exists, as one sentence; None if it does."""


class Model(nn.Module):
    """A model of p(x) or p(x | condition), created by `Model(spec, config, condition)`.

    Training uses `game()` (`Plays`) or `fit(batches)` (`Fits`). All other capabilities are defined
    by the methods of the class (`ptheta.capabilities`).

    Attributes:
        spec: description of one example.
        condition: description of the condition; None for an unconditional model.
        takes: kinds of condition that the class accepts, by name; empty for none.
        specs: types of spec that the class can learn.
        takes_missing: whether it can learn from examples with missing elements.
        takes_label_maps: whether it can learn label maps, encoded as one plane per colour.
        balanced: whether its batches hold equally many examples of each label.
    """

    takes: ClassVar[tuple[str, ...]] = ()
    specs: ClassVar[tuple[type[DataSpec], ...]] = (ImageSpec,)
    takes_missing: ClassVar[bool] = False
    takes_label_maps: ClassVar[bool] = False
    balanced: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        in_own_type(cls)

    spec: DataSpec

    def __init__(
        self, spec: DataSpec, config: object, condition: ConditionSpec | None = None
    ) -> None:
        """Check that the class supports these arguments.

        Args:
            spec: description of one example.
            config: options of the model, an instance of its config dataclass.
            condition: description of the condition; None for an unconditional model.

        Raises:
            PthetaError: if `unsupported` gives a reason.
        """
        super().__init__()
        reason = type(self).unsupported(spec, condition, config)
        if reason is not None:
            raise PthetaError(reason)
        self.spec, self.condition = spec, condition

    @classmethod
    def unsupported(
        cls, spec: DataSpec, condition: ConditionSpec | None, config: object
    ) -> str | None:
        """The reason why this spec, condition and config are not supported, or None.

        Nothing is built. Conditions that depend on the options are checked by the config
        (`Selective`).

        Returns:
            One sentence for an error message, or None if the combination is supported.
        """
        if not isinstance(spec, cls.specs):
            return f"{cls.__name__} cannot learn {spec}: choose a model that can"
        if isinstance(spec, LabelMapSpec) and not cls.takes_label_maps:
            return (
                f"{cls.__name__} cannot learn label maps: leave --label-maps out to learn "
                "them as ordinary pictures"
            )
        if spec.missing and not cls.takes_missing:
            return (
                f"{cls.__name__} cannot learn from rows with missing cells, here in "
                f"{', '.join(spec.missing)}: fill them in, leave these rows or columns out, or "
                f"choose one of {', '.join(able_to_miss(type(spec)))}"
            )
        odd = next((part.kind for part in parts_of(condition) if part.kind not in cls.takes), None)
        if odd is not None:
            known = f"it takes {' or '.join(cls.takes)}" if cls.takes else "it takes no condition"
            return f"{cls.__name__} cannot be conditional on {odd}: {known}; leave the {odd} out"
        unknown = unknown_choice(config)
        if unknown is None and isinstance(config, Selective):
            unknown = config.unsupported(spec, condition)
        return unknown or conflict(cls.config_parts(config))

    @classmethod
    def config_parts(cls, config: object) -> list[Part]:
        """The parts chosen by the options, each with the parts that it excludes."""
        return named(config)

    def asked(self, condition: Condition | None) -> Condition | None:
        """The condition to use: None for an unconditional model, even if the batch has conditions.

        Raises:
            PthetaError: if the model is conditional and `condition` is None.
        """
        return None if self.condition is None else self.given(condition)

    def given(self, condition: Condition | None) -> Condition:
        """The condition itself.

        Raises:
            PthetaError: if it is None.
        """
        if condition is None:
            kind = word(self.condition)
            raise PthetaError(f"this model is conditional on {kind} and got none: give a condition")
        return condition


def whole(spec: DataSpec, x: Tensor) -> Tensor:
    """Check a batch of complete examples and return it.

    Raises:
        PthetaError: if x does not match the spec or has missing elements.
    """
    refuse_missing(spec, x)
    return spec.check(x)


def as_learned(spec: DataSpec, x: Tensor) -> Tensor:
    """Check a batch that may have missing values in the same columns as training, and return it.

    Raises:
        PthetaError: if x does not match the spec or has missing values in other columns.
    """
    if new := spec.new_gaps(spec.check(x)):
        raise PthetaError(
            f"cells of {', '.join(new)} are missing, but were complete in training: fill them in, "
            "leave these rows out, or train on rows with such missing cells"
        )
    return x


def refuse_missing(spec: DataSpec, x: Tensor) -> None:
    """Raise PthetaError if any element of x, of any shape, is missing (NaN)."""
    if not is_trusted() and x.is_floating_point() and bool(x.isnan().any()):
        raise PthetaError(
            f"{int(x.isnan().sum()):,} of {x.numel():,} cells are missing, which this model does "
            f"not support: fill them in, or choose one of {', '.join(able_to_miss(type(spec)))}"
        )


def balanced(kind: type[nn.Module]) -> bool:
    """Whether models of this class are trained on batches with equally many examples per label."""
    return issubclass(kind, Model) and kind.balanced


class ImageModel(Model):
    """A model of images."""

    spec: ImageSpec


EVERY_KIND = tuple(KINDS)  # of condition, for models that embed conditions as vectors


@runtime_checkable
class Plays(Protocol):
    """A model trained by gradients: a game of one or more players."""

    def game(self) -> Game[Any]: ...


@runtime_checkable
class HasLoss(Protocol):
    """A model trained by gradients of one loss with respect to all weights."""

    def loss(self, batch: Batch) -> Tensor | Terms:
        """The loss to minimise.

        Returns:
            A scalar, one value per example (B,), or a dictionary of such terms, which are summed.
        """
        ...


class LastPass(dict[str, float]):
    """The metrics of the last pass of `fit`.

    They mark the end of training before the checkpoint is written, so that a run that is stopped at
    this moment makes no further pass.
    """


@runtime_checkable
class Fits(Protocol):
    """A model trained without gradients, by passes over all data (closed form or EM)."""

    def fit(self, batches: Iterable[Batch]) -> Iterator[Mapping[str, float]]:
        """Fit the model, yielding metrics after each pass.

        After each pass, everything learned and everything that decides when to stop is in
        parameters and buffers, so that a saved model can continue. Gradients are disabled.

        Args:
            batches: all training data in a fixed order, on the model's device; can be iterated
                repeatedly.

        Yields:
            Metrics for the log, by name; a `LastPass` for the last pass.
        """
        ...


def able_to_miss(kind: type[DataSpec]) -> list[str]:
    """Names of the models that can learn from examples of this kind with missing elements."""
    classes = ((name, found.load_model()) for name, found in registry.models().items())
    able = ((name, cls) for name, cls in classes if issubclass(cls, Model) and cls.takes_missing)
    return [name for name, cls in able if kind in cls.specs]
