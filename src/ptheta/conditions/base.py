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

MOST_NAMED = 8  # maximum number of names in a message


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
        """Number of distinct examples, after which they repeat."""
        ...

    def check(self, condition: Condition) -> Condition:
        """The condition itself; raises PthetaError if it does not match this spec."""
        ...

    def parse(self, text: str) -> Condition:
        """Parse user input to the condition of one example.

        Raises:
            PthetaError: for an invalid text.
        """
        ...

    def examples(self, n: int, start: int = 0) -> Condition:
        """n example conditions for sample grids, from number `start` on; deterministic."""
        ...

    def describe(self, condition: Condition) -> list[str]:
        """A short description of the condition of each example."""
        ...

    def vector(self, condition: Condition) -> Tensor:
        """Conditions as vectors (B, size), of torch's default dtype."""
        ...

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        """The conditions of these rows of `data.images`; None if the data has none."""
        ...

    def adapted(self, data: Dataset) -> Dataset:
        """The data set with batches that contain conditions of this spec.

        Raises PthetaError if its conditions do not match, such as for an unknown class.
        """
        ...

    def to_json(self) -> dict[str, object]:
        """Convert to JSON for config.json; the inverse of `ptheta.conditions.from_json`."""
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
    """A condition as a single tensor. Raises PthetaError for several together."""
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
    """The names for a message, shortened if there are many."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
