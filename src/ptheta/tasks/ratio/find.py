"""log p_data(x) / p_model(x) by a model's discriminator, calibrated on held-out examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ptheta.batch import Condition
from ptheta.capabilities import HasLogRatio, Samples, conditional, device_of
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.measures.detection import MEASURES, measured
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.needs import require
from ptheta.tasks.outliers.known import BLOCK, scored
from ptheta.tasks.ratio.calibration import (
    CALIBRATIONS,
    Slope,
    check_kind,
    check_sides,
    cross_fitted,
    slope_of,
)
from ptheta.tasks.sample import sample

MOST = 30.0  # nats: log-ratios of the discriminator are clamped to +- this
VERB = "estimate the density ratio"
RAW, OWN = "discriminator", "calibrated"


@dataclass(frozen=True)
class Calibrated:
    """A discriminator, calibrated on held-out real examples and as many new samples.

    of: maps its log-ratio to the calibrated one, fitted to all examples
    raw: its log-ratios, real examples first, float64 (N,); real: bool (N,)
    cross: cross-fitted calibrated log-ratios, (N,)
    samples: the new samples; condition: their conditions
    """

    of: Callable[[Tensor], Tensor] = field(repr=False)
    raw: Tensor = field(repr=False)
    real: Tensor = field(repr=False)
    cross: Tensor = field(repr=False)
    samples: Tensor = field(repr=False)
    condition: Condition | None = field(default=None, repr=False)

    @property
    def before(self) -> Slope:
        """The calibration slope of the discriminator: 1 if its ratio is calibrated."""
        return slope_of(self.raw, self.real)

    @property
    def after(self) -> Slope:
        """The calibration slope of the cross-fitted calibrated ratios."""
        return slope_of(self.cross, self.real)


@dataclass(frozen=True)
class Ratios:
    """Density ratios of examples.

    log_ratio: calibrated log p_data / p_model, (N,); raw: the discriminator's own, (N,)
    calibration: the calibrated discriminator
    floors: cross-fitted log-ratios of baseline classifiers on the calibration examples, by name
    """

    log_ratio: Tensor = field(repr=False)
    raw: Tensor = field(repr=False)
    calibration: Calibrated
    floors: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def order(self) -> Tensor:
        """Indices of the examples, the least real first: int64 (N,)."""
        return self.log_ratio.argsort(stable=True)

    def rated(self) -> dict[str, Tensor]:
        """Log-ratios of the calibration examples, by method."""
        return {RAW: self.calibration.raw, OWN: self.calibration.cross, **self.floors}

    def auc(self, name: str) -> Estimate:
        """AUC: how often a real example is rated above a sample."""
        s, real = self.rated()[name], self.calibration.real
        return measured(MEASURES["auroc"], s[real], s[~real])

    def cross_entropy(self, name: str) -> Estimate:
        """Cross-entropy of real against generated, in nats: log 2 for an uninformative ratio."""
        s, real = self.rated()[name], self.calibration.real
        loss = softplus(torch.where(real, -s, s))
        sides = loss[real], loss[~real]
        found = [mean_estimate(side, Groups(len(side), "real")) for side in sides]
        value = sum((one.value or 0.0) for one in found) / 2
        error = sum((one.error or 0.0) ** 2 for one in found) ** 0.5 / 2
        return Estimate(value, error)

    def mean_ratio(self) -> Estimate:
        """The mean of cross-fitted p_data / p_model over samples: 1 if the ratio is right."""
        each = self.calibration.cross[~self.calibration.real].exp()
        return mean_estimate(each, Groups(len(each), "fake"))

    def divergence(self) -> Estimate:
        """The mean log-ratio over held-out real examples in nats, the discriminator's estimate of
        KL(p_data, p_model)."""
        each = self.calibration.cross[self.calibration.real]
        return mean_estimate(each, Groups(len(each), "real"))


@undisturbed()
@torch.no_grad()
def calibrated(
    model: nn.Module, held_out: Dataset, *, kind: str = "line", seed: int = 0
) -> Calibrated:
    """Calibrate a model's discriminator on held-out examples and as many samples.

    held_out: real examples that the discriminator has not seen
    kind: a name of `CALIBRATIONS`
    Raises PthetaError if the model has no discriminator or its loss defines no density ratio, and
    for fewer than ten held-out examples.
    """
    check_kind(kind)
    rating = require(model, HasLogRatio, VERB)
    require(model, Samples, VERB)
    data = with_conditions(model, held_out).with_fixed_binarisation()
    n, given = len(data), conditional(model)
    some = data.batch(slice(0, 2))
    Raw(rating)(some.x, some.condition if given else None)  # check before the work
    check_sides(torch.arange(2 * n) < n)
    y = data.batch(slice(0, n)).condition if given else None
    drawn = sample(model, n, seed=seed, condition=y)
    real = scored(Raw(rating), model, held_out, seed, "ratio of held-out examples")
    fake = torch.cat([Raw(rating)(x, part) for x, part in _blocks(drawn, y)])
    raw, which = torch.cat([real, fake]), torch.arange(2 * n) < n
    cross = cross_fitted(raw, which, kind)
    return Calibrated(CALIBRATIONS[kind].fit(raw, which), raw, which, cross, drawn, y)


@undisturbed()
@torch.no_grad()
def ratio(
    model: nn.Module,
    data: Dataset | None,
    held_out: Dataset,
    *,
    floors: bool = True,
    kind: str = "line",
    seed: int = 0,
) -> Ratios:
    """log p_data / p_model of each example, calibrated.

    data: the examples; None for the held-out ones, with cross-fitted ratios
    held_out: real examples that the discriminator has not seen; floors: whether to fit the baseline
        classifiers to them; kind: a name of `CALIBRATIONS`
    Raises as `calibrated` does.
    """
    found = calibrated(model, held_out, kind=kind, seed=seed)
    floor_ratios = _floors(held_out, found) if floors else {}
    if data is None:
        real = found.real
        return Ratios(found.cross[real], found.raw[real], found, floor_ratios)
    raw = scored(Raw(require(model, HasLogRatio, VERB)), model, data, seed, "ratio")
    return Ratios(found.of(raw), raw, found, floor_ratios)


class Raw:
    """A discriminator's log-ratio, clamped to +- `MOST`: float64, on the CPU."""

    def __init__(self, model: HasLogRatio) -> None:
        self.model = model
        self.device = device_of(model) if isinstance(model, nn.Module) else None

    def __call__(self, x: Tensor, condition: Condition | None) -> Tensor:
        y = None if condition is None else condition.to(self.device or x.device)
        return self.model.log_ratio(x.to(self.device), y).cpu().double().clamp(-MOST, MOST)


def _blocks(x: Tensor, y: Condition | None) -> Iterator[tuple[Tensor, Condition | None]]:
    for start in range(0, len(x), BLOCK):
        at = slice(start, start + BLOCK)
        yield x[at], None if y is None else y[at]


def _floors(held_out: Dataset, found: Calibrated) -> dict[str, Tensor]:
    from ptheta.tasks.ratio.floors import FLOORS, rated  # scikit-learn takes a second to import

    spec = held_out.spec
    held = held_out.with_fixed_binarisation()
    real = held.batch(slice(0, len(held))).x
    numbers = torch.cat([spec.compared(real), spec.compared(found.samples)])
    return {name: rated(name, numbers, found.real) for name in FLOORS}
