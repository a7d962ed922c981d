"""Example sets for the commands that process examples: selection, labels and remarks."""

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
    """data: the examples; remarks: lines that describe the selection"""

    data: Dataset
    remarks: tuple[str, ...]


def examples_of(
    run: Run, source: Source | None, split: str | None, label_column: str | None
) -> Shown | None:
    """Examples of a source, preprocessed as the run's data was; None without a source.

    Raises PthetaError for examples of another size or kind, and for a split or column without a
    source.
    """
    if source is not None:
        found = run.other(source, split, label_column)
        return Shown(found, read_as(found))
    for flag, given in (("--split", split), ("--label-column", label_column)):
        if given is not None:
            raise PthetaError(
                f"{flag} {given} needs a SOURCE: leave it out to use the run's held-out examples"
            )
    return None


def shown_to(
    run: Run,
    source: Source | None,
    split: str | None,
    data: Source | None,
    label_column: str | None = None,
) -> Shown:
    """Examples of a source, preprocessed as the run's data was; by default the run's held-out
    examples, without duplicates of training examples.

    split: of the source; data: new location of the run's data
    Raises PthetaError for examples of another size or kind, and for a split without a source.
    """
    given = examples_of(run, source, split, label_column)
    if given is not None:
        return given
    match = run.look(data)
    line = run.remark(match, data, copies=False)
    return Shown(fresh(match.test, "a SOURCE"), () if line is None else (line,))


def fresh(test: Dataset, cure: str) -> Dataset:
    """Held-out examples without duplicates of training examples. cure: what to give if none are
    left.

    Raises PthetaError in that case.
    """
    rows = np.flatnonzero(~test.repeated())
    if not len(rows):
        raise PthetaError(
            f"all {len(test):,} held-out {test.examples} are duplicates of training "
            f"{test.examples}: give {cure}"
        )
    return test.subset(rows)


def read_as(data: Dataset) -> tuple[str, ...]:
    """Remarks on files that were skipped, and on preprocessing to the model's spec."""
    lost, lines = data.skipped, []
    if lost:
        lines.append(unread(lost, len(data) + len(lost), data.examples))
    if data.resized and isinstance(data.spec, ImageSpec):
        lines.append(f"images were resized to {data.spec.width}x{data.spec.height} pixels")
    return tuple(f"{data.name}: {line}" for line in lines)


def some_of(data: Dataset, n: int | None, seed: int) -> Dataset:
    """A random subset of n examples in their original order; all for None, or if there are no
    more."""
    if n is None or n >= len(data):
        return data
    return data.subset(np.sort(np.random.default_rng(seed).permutation(len(data))[:n]))


def known_labels(data: Dataset, labels: Labels) -> tuple[Tensor | None, str]:
    """The labels of examples as class indices of the model, int64 (N,), or None with a remark on
    why (empty if the data has no labels). Labels are matched by name."""
    if data.labels is None:
        return None, ""
    own = torch.from_numpy(data.labels[data.rows(slice(None))].astype(np.int64))
    numbers = torch.full((int(own.max()) + 1,), -1)
    try:
        for k in own.unique().tolist():
            numbers[k] = labels.number(data.class_name(k))
    except PthetaError as error:
        return None, f"labels of {data.name} are not used: they are not those of the run ({error})"
    return numbers[own], ""


def seen_in_training(data: Dataset, bank: Dataset) -> str:
    """A remark on examples that are also training examples; empty if there are none."""
    known = int(np.isin(data.keys(), bank.keys()).sum())
    if not known:
        return ""
    return f"{known:,} of {len(data):,} {data.examples} are among the training {data.examples}"
