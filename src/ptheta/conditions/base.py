"""The base class of all kinds of conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from ptheta.batch import Condition
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ptheta.data.dataset import Dataset

MOST_NAMED = 8  # of many names, in a message


@runtime_checkable
class ConditionSpec(Protocol):
    """Description of a condition: checks, parses, creates and names conditions.

    Attributes:
        kind: its name on the command line (`--condition labels`) and in config.json.
        size: dimensions of a condition as a vector.
    """

    kind: ClassVar[str]

    @property
    def size(self) -> int: ...

    @property
    def count(self) -> int:
        """How many examples there are before they come again."""
        ...

    def check(self, condition: Condition) -> Condition:
        """The condition itself; raises PthetaError where it is none of this spec."""
        ...

    def parse(self, text: str) -> Condition:
        """Parse user input to the condition of one example.

        Raises:
            PthetaError: for an invalid text.
        """
        ...

    def examples(self, n: int, start: int = 0) -> Condition:
        """n conditions to show a model with, always the same ones: those from `start` on."""
        ...

    def describe(self, condition: Condition) -> list[str]:
        """A few words on each example's condition."""
        ...

    def vector(self, condition: Condition) -> Tensor:
        """Conditions as vectors (B, size), of torch's default dtype."""
        ...

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        """The conditions of these rows of `data.images`; None where the data has none."""
        ...

    def adapted(self, data: Dataset) -> Dataset:
        """The data set with batches that hold conditions of this spec.

        Raises PthetaError where it has others, such as another class.
        """
        ...

    def to_json(self) -> dict[str, object]:
        """For config.json; `ptheta.conditions.from_json` takes it back."""
        ...


@dataclass(frozen=True)
class Named:
    """A condition with names, such as labels: one index or one number per name."""

    names: tuple[str, ...]
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_names(self.names, self.kind)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "names": list(self.names)}


def tensor_of(condition: Condition, kind: str) -> Tensor:
    """A condition that is one tensor. Raises PthetaError for several together."""
    import torch

    if not isinstance(condition, torch.Tensor):
        raise PthetaError(f"{condition}: want one tensor of {kind}")
    return condition


def check_names(names: object, kind: str) -> None:
    """Raise PthetaError unless `names` is a tuple of distinct strings."""
    whole = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    if not isinstance(names, tuple) or not whole or not names or len(set(names)) < len(names):
        raise PthetaError(
            f"{kind} {names!r}: give a tuple of names, each a string and each once, such as "
            "('cat', 'dog')"
        )


def listed(names: tuple[str, ...]) -> str:
    """The first of many names."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
