"""Evaluation of denoising against baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute.streams import undisturbed
from ptheta.config import Entry
from ptheta.errors import PthetaError
from ptheta.measures import errors, similarity
from ptheta.measures.intervals import Difference, Groups, difference, mean_estimate, spread
from ptheta.measures.results import Better, Estimate, Result
from ptheta.tasks.denoise.floors import FLOORS, Clean
from ptheta.tasks.denoise.repair import Damage, repaired
from ptheta.terminal.progress import watched

MODEL = "model"
BATCH = 256  # images denoised at once


@dataclass(frozen=True, kw_only=True)
class Measure(Entry):
    """An image similarity.

    each: pairs of image batches, uint8 (B, C, H, W) -> float64 (B,), higher is more similar
    side: minimum image side in pixels; places: decimal places for display
    """

    each: Callable[[Tensor, Tensor], Tensor]
    unit: str = ""
    side: int = 1
    places: int = 2


MEASURES: dict[str, Measure] = {
    "psnr": Measure(
        each=errors.psnr,
        unit="dB",
        about="10 log10(255^2 / mean squared error), mean over images; 100 if identical",
    ),
    "ssim": Measure(
        each=similarity.ssim,
        side=similarity.WINDOW,
        places=3,
        about="structural similarity (Wang 2004), mean over images; 1 if identical",
    ),
}
HIGHER: Better = "higher"


@dataclass(frozen=True, eq=False)
class Scored:
    """Result of one method: "model", or a baseline.

    values: mean over the images with its error, by measure; note: the chosen settings
    images: the denoised images, uint8 (N, C, H, W)
    """

    name: str
    values: Mapping[str, Estimate]
    note: str = ""
    images: Tensor = field(repr=False, kw_only=True)

    def to_json(self) -> dict[str, object]:
        cells: dict[str, object] = {name: _as_json(value) for name, value in self.values.items()}
        return {**cells, "note": self.note}


def ends(found: Estimate) -> tuple[float, float] | None:
    """The 95 % interval (Student's t); None for too few images."""
    if found.value is None or found.draws is None:
        return None
    half = spread(found.draws).half
    return found.value - half, found.value + half


def _as_json(found: Estimate) -> dict[str, object]:
    sides = ends(found)
    return {
        "value": found.value,
        "error": found.error,
        "interval_95": None if sides is None else list(sides),
    }


def measured(name: str, made: Tensor, wanted: Tensor, note: str = "") -> Scored:
    """Compare images with their targets, uint8 (N, C, H, W), by every entry of `MEASURES` that is
    defined for their size."""
    groups, side = Groups(len(wanted), "real"), min(wanted.shape[2:])
    values = {
        key: mean_estimate(measure.each(made, wanted), groups)
        for key, measure in MEASURES.items()
        if side >= measure.side
    }
    return Scored(name, values, note, images=made)


def better(floor: Scored, model: Scored) -> dict[str, Difference]:
    """The measures in which a baseline is significantly better than the model: the 95 % interval of
    the mean paired difference excludes 0."""
    found: dict[str, Difference] = {}
    for name, value in floor.values.items():
        sides = (_result(name, value), _result(name, model.values[name]))
        apart = difference(*sides)
        if apart is not None and apart.different and apart.value > 0:
            found[name] = apart
    return found


def _result(name: str, found: Estimate) -> Result:
    return found.named(name, unit=MEASURES[name].unit, better=HIGHER)


@undisturbed()
def score(
    model: nn.Module,
    x: Tensor,
    damage: Damage,
    clean: Clean | None = None,
    *,
    condition: Condition | None = None,
    floors: Sequence[str] | None = None,
    batch_size: int = BATCH,
) -> list[Scored]:
    """Corrupt images x, uint8 (N, C, H, W), denoise them by the model and then by the baselines,
    and score the results.

    clean: training images for some of the baselines; without them these are skipped
    condition: one per image, for a conditional model; floors: names of `FLOORS`; default: all
    batch_size: images per batch; does not affect the result
    Raises PthetaError for no image, and if the model cannot denoise.
    """
    if not len(x):
        raise PthetaError("no images to repair: give at least one")
    damaged = damage.of(x)
    parts = [
        repaired(
            *(model, damaged[start : start + batch_size], damage),
            None if condition is None else condition[start : start + batch_size],
        )
        for start in watched(range(0, len(x), batch_size), f"repairing {damage.noise}")
    ]
    found = [measured(MODEL, torch.cat(parts), x)]
    for name in FLOORS if floors is None else floors:
        ready = FLOORS[name].ready(clean, damage)
        if ready is not None:
            found.append(measured(name, ready.repair(damaged), x, ready.note))
    return found
