"""The precision-recall trade-off of samples under truncation or temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.capabilities import Samples, Tempers, Truncates
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.measures.intervals import estimate
from ptheta.measures.prdc import manifold
from ptheta.measures.results import Estimate
from ptheta.tasks.needs import refusal, require
from ptheta.tasks.sample import sample
from ptheta.tasks.tempered import tempered, truncated
from ptheta.terminal.progress import watched

NEIGHBOURS = 5  # neighbours that define the ball of an example, as in evaluation
LEAST = NEIGHBOURS + 1  # minimum number of examples of each side
TRUNCATIONS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
TEMPERATURES = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1)

Features = Callable[[Tensor], Tensor]  # examples -> float (n, d)


@dataclass(frozen=True)
class Point:
    """Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991) at one setting.

    value: truncation or temperature; None for plain samples and for real examples
    precision: share of samples within the manifold of real examples; recall: share of real examples
        within the manifold of samples
    """

    value: float | None
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Tradeoff:
    """A trade-off curve.

    by: "truncation" or "temperature"; points: in the order of the values
    plain: for unmodified samples; floor: for real training examples instead of samples
    """

    by: str
    points: tuple[Point, ...]
    plain: Point
    floor: Point


def ways_of(model: nn.Module) -> tuple[str, tuple[float, ...]]:
    """The available settings of a model, truncation or temperature, with default values. Raises
    PthetaError for a model that has neither."""
    if isinstance(model, Truncates):
        return "truncation", TRUNCATIONS
    if isinstance(model, Tempers):
        return "temperature", TEMPERATURES
    raise refusal(
        model, Tempers, "trade precision for recall", "nor truncated codes", (Truncates, Tempers)
    )


@undisturbed()
@torch.no_grad()
def tradeoff(
    model: nn.Module,
    real: Tensor,
    train: Tensor,
    features: Features,
    values: Sequence[float] = (),
    *,
    seed: int = 0,
) -> Tradeoff:
    """Precision and recall of as many samples as there are real examples, at each value.

    real: held-out examples; train: training examples, for the baseline; features: the feature
        extractor; values: of truncation or temperature; default: see `ways_of`
    Raises PthetaError if the model has neither, and for fewer than 6 examples.
    """
    by, usual = ways_of(model)
    require(model, Samples, "trade precision for recall")
    n = min(len(real), len(train))
    if n < LEAST:
        raise PthetaError(f"{n} held-out examples: precision and recall need {LEAST} or more")
    change = truncated if by == "truncation" else tempered
    chosen = values or usual
    changed = [change(model, value) for value in chosen]  # check before the work
    known = features(real[:n])

    def point(x: Tensor, value: float | None = None) -> Point:
        found, draws = manifold(known, features(x), NEIGHBOURS)
        each = draws or (None,) * len(found)
        return Point(value, estimate(found[0], each[0]), estimate(found[1], each[1]))

    points = [
        point(sample(drawing, n, seed=seed), value)
        for drawing, value in watched(list(zip(changed, chosen, strict=True)), "values")
    ]
    return Tradeoff(by, tuple(points), point(sample(model, n, seed=seed)), point(train[:n]))
