"""Inputs of outlier scores: a model, its training examples and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import condition_of, conditional, device_of
from ptheta.compute.streams import seeded
from ptheta.conditions import word
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.terminal.progress import watched

BLOCK = 200  # examples per batch and per random stream


class Scorer(Protocol):
    """Computes how unlike the training data examples are."""

    def __call__(self, x: Tensor, condition: Condition | None, /) -> Tensor:
        """Scores (B,), higher if an example is less like the training data."""
        ...


@dataclass(frozen=True, eq=False)
class Known:
    """What a score can use.

    model: in eval mode; bank: training examples, with their fixed binarisation
    background: a model of the features common to all such examples, or None
    extractor: computes the features for distances; None for the default of a score
    samples: importance samples of a bound
    """

    model: nn.Module
    bank: Dataset
    background: nn.Module | None = None
    extractor: Extractor | None = None
    samples: int = 16
    seed: int = 0
    made: dict[object, object] = field(default_factory=dict, repr=False)

    @property
    def spec(self) -> DataSpec:
        return self.bank.spec


@dataclass(frozen=True)
class Score:
    """An entry of `SCORES`.

    about: a one-line description; formula: of the returned value; paper: its source
    make: builds the scorer from a `Known`
    needs: alternative capabilities, of which a model must have one; empty if no model is used
    of: supported kinds of examples
    floor: whether it is a baseline without a model
    background: whether a background model is needed
    """

    about: str
    formula: str
    make: Callable[[Known], Scorer]
    needs: tuple[type, ...] = ()
    paper: str = ""
    of: tuple[type[DataSpec], ...] = (ImageSpec, VectorSpec)
    floor: bool = False
    background: bool = False


@torch.no_grad()
def scored(
    scorer: Scorer, model: nn.Module, data: Dataset, seed: int, what: str, conditions: bool = True
) -> Tensor:
    """The scores of all examples of a data set, float64 (N,), in constant memory.

    Random numbers depend on the seed and the block of `BLOCK` examples only, not on how many
    examples are read at a time.

    Args:
        what: name of the work, for the progress bar
        conditions: whether the scorer uses a conditional model, and so needs conditions

    Raises:
        PthetaError: for missing conditions that are needed, and for a score that is NaN
    """
    found = []
    for number, (x, y) in enumerate(blocks(model, data, what, conditions)):
        with seeded(seed + number):
            found.append(scorer(x, y).cpu().double())
    scores = torch.cat(found)
    if lost := int(scores.isnan().sum()):
        raise PthetaError(
            f"the {what} of {lost:,} of {len(scores):,} {data.examples} is NaN, first for "
            f"number {int(scores.isnan().nonzero()[0]) + 1}: leave such {data.examples} out, or "
            "use another score"
        )
    return scores


def blocks(
    model: nn.Module, data: Dataset, what: str, conditions: bool = True
) -> Iterator[tuple[Tensor, Condition | None]]:
    """The examples in order, `BLOCK` at a time, with the conditions that the model needs.

    conditions: whether they are needed
    """
    data = data.with_fixed_binarisation()
    asked = conditional(model) and conditions
    if asked:
        if lacking := lacks_conditions(model, data):
            raise PthetaError(lacking)
        data = with_conditions(model, data)
    device = device_of(model)
    for start in watched(range(0, len(data), BLOCK), what):
        batch = data.batch(slice(start, min(start + BLOCK, len(data))))
        y = batch.condition if asked else None
        yield batch.x.to(device), None if y is None else y.to(device)


def lacks_conditions(model: nn.Module, data: Dataset) -> str:
    """A message about conditions that the model needs and the data lacks; "" if none are
    missing."""
    if not conditional(model) or with_conditions(model, data).has_conditions:
        return ""
    kinds = word(condition_of(model)).replace("+", " and ")
    return (
        f"{data.name} has no {kinds}, on which this model is conditional: give data that "
        "has them (labels: one subfolder per class), or a run of an unconditional model"
    )
