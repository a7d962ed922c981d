"""Distance of interpolation midpoints to the training images, compared with endpoints and a
cross-fade.

A midpoint should look like an image of the data. The pixelwise mean of two images does not, but
like any blurred image it has a small mean squared error to every image. The distance of midpoints
is therefore reported with those of the endpoints, from the same decoder, and of cross-fades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import extract
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.memorisation import nearest
from ptheta.measures.results import Estimate
from ptheta.tasks.denoise.score import ends as interval
from ptheta.tasks.outliers.distances import Bank

PIXELS = "pixels"
TRAINING = 10_000  # maximum number of reference images
FADE = "cross-fade"

Distance = Callable[[Tensor], Tensor]  # uint8 (N, C, H, W) -> (N,)


def cross_fade(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Linear interpolation of pixels from images a to images b, the baseline without a model: uint8
    (N, steps, C, H, W)."""
    t = torch.linspace(0, 1, steps).view(1, -1, 1, 1, 1)
    return torch.lerp(a[:, None].float(), b[:, None].float(), t).round().to(torch.uint8)


def distances(train: Dataset, extractor: Extractor) -> dict[str, Distance]:
    """Distances to the nearest training image: root mean square over pixels, in values of 0 to 255;
    and in the features of an extractor trained on such images, if there is one."""
    found: dict[str, Distance] = {PIXELS: lambda x: nearest(x, train)[1]}
    if extractor.name == PIXELS:
        return found
    bank = Bank.of(extract(train.subset(slice(0, TRAINING)), extractor).features)
    found[extractor.name] = lambda x: bank.nearest(extract(x, extractor).features, 1)[0][:, 0]
    return found


@dataclass(frozen=True)
class Far:
    """Mean distances over the walks.

    farther: paired comparison of midpoints with endpoints; nearer: of midpoints with those of the
        cross-fade, None for the cross-fade itself
    """

    ends: Estimate
    middle: Estimate
    farther: Estimate
    nearer: Estimate | None = None

    def to_json(self) -> dict[str, object]:
        every = {"ends": self.ends, "middle": self.middle, "farther": self.farther}
        cells: dict[str, object] = {name: _as_json(value) for name, value in every.items()}
        return cells if self.nearer is None else {**cells, "nearer": _as_json(self.nearer)}


def _as_json(found: Estimate) -> dict[str, object]:
    sides = interval(found)
    return {"value": found.value, "interval_95": None if sides is None else list(sides)}


def midways(
    walks: Mapping[str, Tensor], a: Tensor, b: Tensor, known: Mapping[str, Distance]
) -> dict[str, dict[str, Far]]:
    """Distances of the midpoints, by distance and by model, the cross-fade last.

    walks: first, middle and last images, uint8 (N, 3, C, H, W), by model, interpolating between the
        images a and b, (N, C, H, W)
    Raises PthetaError for fewer than two walks.
    """
    if len(a) < 2:
        raise PthetaError(f"{len(a)} walks: give at least two to compare their midpoints")
    every = {**walks, FADE: cross_fade(a, b, 3)}
    return {name: _of(every, distance) for name, distance in known.items()}


def _of(walks: Mapping[str, Tensor], distance: Distance) -> dict[str, Far]:
    each = {name: _far(walk, distance) for name, walk in walks.items()}
    faded = each[FADE][1]
    return {
        name: _means(ends, middle, None if name == FADE else faded)
        for name, (ends, middle) in each.items()
    }


def _far(walk: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Distances of the ends and the middle of each walk, float64 (N,) each."""
    first, middle, last = (distance(x.contiguous()).double() for x in walk.unbind(1))
    return (first + last) / 2, middle


def _means(ends: Tensor, middle: Tensor, faded: Tensor | None) -> Far:
    groups = Groups(len(ends), "real")
    nearer = None if faded is None else mean_estimate(faded - middle, groups)
    return Far(
        mean_estimate(ends, groups),
        mean_estimate(middle, groups),
        mean_estimate(middle - ends, groups),
        nearer,
    )
