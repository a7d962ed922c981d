"""What every model is: a module with a spec, a condition, and a way to learn."""

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


@runtime_checkable
class Selective(Protocol):
    """A config whose options are not for every spec and condition, or do not all go together."""

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        """Why there is no such model: one sentence, or None."""


class Model(nn.Module):
    """A model of p(x), or of p(x | condition): `Model(spec, config, condition)`.

    It learns by `game()` (`Plays`) or by `fit(batches)` (`Fits`); what it can do beside that is the
    methods it has (`ptheta.capabilities`).

    spec: what one example is
    condition: what an example is asked for; None for an unconditional model
    takes: the kinds of condition that such a model may be given, by name; empty for none
    specs: the types of spec that it can learn
    takes_missing: whether it learns from examples that lack some of their elements
    takes_label_maps: whether it learns pictures as one plane for each colour of a palette
    balanced: whether its batches hold equally many examples of each label
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
        """Raises PthetaError where `unsupported` says why there is no such model."""
        super().__init__()
        reason = type(self).unsupported(spec, condition, config)
        if reason is not None:
            raise PthetaError(reason)
        self.spec, self.condition = spec, condition

    @classmethod
    def unsupported(
        cls, spec: DataSpec, condition: ConditionSpec | None, config: object
    ) -> str | None:
        """Why such a model cannot be of this spec, condition and config: one sentence, or None.

        Nothing is built for it. What depends on the options is said by their config
        (`Selective`).
        """
        if not isinstance(spec, cls.specs):
            return f"{cls.__name__} cannot learn {spec}: choose a model that can"
        if isinstance(spec, LabelMapSpec) and not cls.takes_label_maps:
            return (
                f"{cls.__name__} cannot learn label maps as planes: leave --label-maps out, so "
                "that they are pictures"
            )
        if spec.missing and not cls.takes_missing:
            return (
                f"{cls.__name__} cannot learn from rows in which cells are missing, as they are of "
                f"{', '.join(spec.missing)}: fill these in, leave these rows or columns out, or "
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
        """What the options choose, each with the reasons for which it does not go with another."""
        return named(config)

    def asked(self, condition: Condition | None) -> Condition | None:
        """The condition of a conditional model, None for an unconditional one: a batch has
        conditions where its data has. Raises PthetaError where the model needs one and got none."""
        return None if self.condition is None else self.given(condition)

    def given(self, condition: Condition | None) -> Condition:
        """The condition of a conditional model. Raises PthetaError where there is none."""
        if condition is None:
            kind = word(self.condition)
            raise PthetaError(f"this model is conditional on {kind} and got none: give a condition")
        return condition


def whole(spec: DataSpec, x: Tensor) -> Tensor:
    """x itself if it is a batch of such examples, none of which lacks anything; raises PthetaError
    otherwise."""
    refuse_missing(spec, x)
    return spec.check(x)


def as_learned(spec: DataSpec, x: Tensor) -> Tensor:
    """x itself if it is a batch of such examples, which lack nothing but what examples of training
    lacked as well; raises PthetaError otherwise."""
    if new := spec.new_gaps(spec.check(x)):
        raise PthetaError(
            f"cells of {', '.join(new)} are missing, which was whole in training: fill them in, "
            "leave these rows out, or train on rows that lack it as well"
        )
    return x


def refuse_missing(spec: DataSpec, x: Tensor) -> None:
    """Raises PthetaError where cells, of any shape, are missing."""
    if x.is_floating_point() and bool(x.isnan().any()):
        raise PthetaError(
            f"{int(x.isnan().sum()):,} of {x.numel():,} cells are missing, which this model cannot "
            f"do without: fill them in, or choose one of {', '.join(able_to_miss(type(spec)))}"
        )


def balanced(kind: type[nn.Module]) -> bool:
    """Whether such a model is trained on batches with equally many examples of each label."""
    return issubclass(kind, Model) and kind.balanced


class ImageModel(Model):
    """A model of images."""

    spec: ImageSpec


EVERY_KIND = tuple(KINDS)  # of condition: of a model that takes them as vectors


@runtime_checkable
class Plays(Protocol):
    """Learns by gradients: a game of one or more players."""

    def game(self) -> Game[Any]: ...


@runtime_checkable
class HasLoss(Protocol):
    """Learns by gradients of a loss of its own, all weights together."""

    def loss(self, batch: Batch) -> Tensor | Terms:
        """What is minimised: of the whole batch (), of each example (B,), or several of these by
        name, which are added."""
        ...


class LastPass(dict[str, float]):
    """The numbers of a pass after which there is none. It says so before the run is written: one
    that is stopped just then ends where it is, and makes no pass more."""


@runtime_checkable
class Fits(Protocol):
    """Learns without gradients, in closed form or by expectation maximisation: by passes over all
    of the data."""

    def fit(self, batches: Iterable[Batch]) -> Iterator[Mapping[str, float]]:
        """Gives after each pass its numbers for the log, by name, as a `LastPass` where there is no
        further pass to make; and ends there.

        batches: all of the training data in a fixed order, on the model's device, which can be gone
            through again and again
        What it has learned, and whatever decides when it ends, is in parameters and buffers after
        each pass: a call on a model that was saved then goes on from there. It runs without
        gradients.
        """
        ...


def able_to_miss(kind: type[DataSpec]) -> list[str]:
    """The names of the models that learn from such examples where some lack a part."""
    classes = ((name, found.load_model()) for name, found in registry.models().items())
    able = ((name, cls) for name, cls in classes if issubclass(cls, Model) and cls.takes_missing)
    return [name for name, cls in able if kind in cls.specs]
