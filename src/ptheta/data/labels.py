"""Label values of any kind as numbers 0, 1, ... with a name for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ptheta.data.names import shown
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset

LONGEST = 200  # letters of a name of a class
MOST_DIGITS = 18  # of a number that words are sorted by
MOST_CLASSES = 100_000  # integers above are names (such as codes), not numbers of classes

Labels = tuple[np.ndarray | None, tuple[str, ...]]


def number(
    values: Sequence[object] | np.ndarray,
    labels_of_all: Iterable[Sequence[object] | np.ndarray],
    names: Sequence[str] = (),
) -> Labels:
    """Number the labels of a split: (int64 (N,) or None, the name of each class).

    values: labels of the split; None or a negative number is missing, and a split with a missing
        label has no labels
    labels_of_all: the labels of all splits, so that they are numbered consistently
    names: the names of the classes, if the source has them
    """
    if not _complete(values):
        return None, ()
    complete = [v for v in labels_of_all if _complete(v)]
    if all(_whole(v) for v in complete):
        most = max((int(_number(label) or 0) + 1 for v in complete for label in v), default=0)
        if most <= max(MOST_CLASSES, len(names)):
            classes = tuple(names) if len(names) >= most else tuple(map(str, range(most)))
            return np.asarray(values).astype(np.int64), classes
    words = sorted({_word(word) for v in complete for word in v}, key=natural)
    if (longest := max(words, key=len, default="")) and len(longest) > LONGEST:
        raise PthetaError(
            f"a label has {len(longest)} characters ({longest[:20]}...): give class names of at "
            f"most {LONGEST}"
        )
    position = {word: i for i, word in enumerate(words)}
    return np.array([position[_word(v)] for v in values], dtype=np.int64), tuple(words)


def renumbered(labels: np.ndarray, known: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Labels, int64 (N,), that are numbered as `known`, numbered as `names`; -1 where not in it."""
    position = {name: i for i, name in enumerate(names)}
    numbers: np.ndarray = np.array([position.get(name, -1) for name in known], dtype=np.int64)
    found: np.ndarray = numbers[labels]
    return found


def numbered_as(data: Dataset, names: Sequence[str]) -> np.ndarray:
    """The labels of a data set, numbered as `names`.

    Raises PthetaError where an example has a label of another name.
    """
    assert data.labels is not None
    odd = next((name for name in data.present_classes() if name not in names), None)
    if odd is not None:
        raise PthetaError(
            f"class {odd!r} is a class of {data.name} ({data.split}), and the run learned "
            f"{', '.join(names)}: give data with the same classes, for example without this one"
        )
    known = [data.class_name(k) for k in range(int(data.labels.max()) + 1)]
    return renumbered(data.labels, known, names)


def natural(word: str) -> tuple[int, str]:
    """A key that sorts whole numbers by value and before all other words."""
    short = word.isdecimal() and len(word) <= MOST_DIGITS
    return (int(word), "") if short else (2**63, word)


def _complete(values: Sequence[object] | np.ndarray) -> bool:
    """Whether no label is missing."""
    return not any(v is None or ((n := _number(v)) is not None and not n >= 0) for v in values)


def _whole(values: Sequence[object] | np.ndarray) -> bool:
    """Whether all labels are whole numbers."""
    return all((n := _number(v)) is not None and n.is_integer() for v in values)


def _number(value: object) -> float | None:
    """The number that a label is, infinite where it is too large for one; None for a word."""
    if not isinstance(value, int | float | np.number | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _word(value: object) -> str:
    return shown(value.decode(errors="replace") if isinstance(value, bytes) else str(value))
