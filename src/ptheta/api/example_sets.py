"""What several uses say of examples that a model is shown: which they are, and what they are
labelled as."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.conditions import Labels
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.names import unread
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec


class Shown(NamedTuple):
    """data: the examples; remarks: lines on which they are"""

    data: Dataset
    remarks: tuple[str, ...]


def examples_of(
    run: Run, source: Source | None, split: str | None, label_column: str | None
) -> Shown | None:
    """Examples of a source, read as the run's data was; None without one.

    Raises PthetaError for examples of another size or kind, and for a part, or a column, of no
    source.
    """
    if source is not None:
        found = run.other(source, split, label_column)
        return Shown(found, read_as(found))
    for flag, given in (("--split", split), ("--label-column", label_column)):
        if given is not None:
            raise PthetaError(
                f"{flag} {given}: this is of a SOURCE, and none is given: leave it out, and the "
                "run's held-out examples are taken"
            )
    return None


def shown_to(
    run: Run,
    source: Source | None,
    split: str | None,
    data: Source | None,
    label_column: str | None = None,
) -> Shown:
    """Examples of a source, read as the run's data was; without one the run's held-out ones, but
    for those that repeat a training example.

    split: of the source; data: where the run's data lies now
    Raises PthetaError for examples of another size or kind, and for a split of no source.
    """
    given = examples_of(run, source, split, label_column)
    if given is not None:
        return given
    match = run.look(data)
    line = run.remark(match, data, copies=False)
    return Shown(fresh(match.test, "a SOURCE"), () if line is None else (line,))


def fresh(test: Dataset, cure: str) -> Dataset:
    """Held-out examples without those that repeat a training example. cure: what is to be given
    where there are no others

    Raises PthetaError there.
    """
    rows = np.flatnonzero(~test.repeated())
    if not len(rows):
        raise PthetaError(
            f"all {len(test):,} held-out {test.examples} repeat training {test.examples}: give "
            f"{cure}"
        )
    return test.subset(rows)


def read_as(data: Dataset) -> tuple[str, ...]:
    """Lines on what of a source was not read, and on what was changed to be what the model
    learned."""
    lost, lines = data.skipped, []
    if lost:
        lines.append(unread(lost, len(data) + len(lost), data.examples))
    if data.resized and isinstance(data.spec, ImageSpec):
        lines.append(f"pictures were brought to {data.spec.width}x{data.spec.height} pixels")
    return tuple(f"{data.name}: {line}" for line in lines)


def some_of(data: Dataset, n: int | None, seed: int) -> Dataset:
    """n of the examples, drawn at random, in their order; all for None, or where there are no
    more."""
    if n is None or n >= len(data):
        return data
    return data.subset(np.sort(np.random.default_rng(seed).permutation(len(data))[:n]))


def known_labels(data: Dataset, labels: Labels) -> tuple[Tensor | None, str]:
    """(the labels of examples, numbered as a model has them, int64 (N,); a line on why there are
    none: None, empty where nobody has any). Labels are known by their names."""
    if data.labels is None:
        return None, ""
    own = torch.from_numpy(data.labels[data.rows(slice(None))].astype(np.int64))
    numbers = torch.full((int(own.max()) + 1,), -1)
    try:
        for k in own.unique().tolist():
            numbers[k] = labels.number(data.class_name(k))
    except PthetaError as error:
        return None, f"labels of {data.name} are not those of the run ({error}): none are used"
    return numbers[own], ""


def seen_in_training(data: Dataset, bank: Dataset) -> str:
    """A line on examples that are among the training examples; empty where none are."""
    known = int(np.isin(data.keys(), bank.keys()).sum())
    if not known:
        return ""
    return f"{known:,} of {len(data):,} {data.examples} are among the training {data.examples}"
