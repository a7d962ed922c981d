"""log p_data(x) / p_model(x) by a model's discriminator, calibrated on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ptheta.batch import Condition
from ptheta.capabilities import HasLogRatio, Samples, conditional
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

MOST = 30.0  # nats: a discriminator that is sure of more is taken to be as sure
VERB = "estimate the density ratio"
RAW, OWN = "discriminator", "calibrated"


@dataclass(frozen=True)
class Calibrated:
    """A discriminator beside held-out real examples and as many new samples.

    of: what makes its log-ratio the calibrated one, fitted to all of them
    raw: its own log-ratio, real examples first, float64 (N,); real: bool (N,)
    cross: the calibrated one by maps of the other folds, (N,)
    samples: the new samples; their conditions
    """

    of: Callable[[Tensor], Tensor] = field(repr=False)
    raw: Tensor = field(repr=False)
    real: Tensor = field(repr=False)
    cross: Tensor = field(repr=False)
    samples: Tensor = field(repr=False)
    condition: Condition | None = field(default=None, repr=False)

    @property
    def before(self) -> Slope:
        """Of the discriminator as it is: 1 where its ratio is right."""
        return slope_of(self.raw, self.real)

    @property
    def after(self) -> Slope:
        """Of calibrated ratios, each by a line that has not seen the example."""
        return slope_of(self.cross, self.real)


@dataclass(frozen=True)
class Ratios:
    """log_ratio: log p_data / p_model of each example, calibrated; raw: the discriminator's, (N,)
    calibration: by which; floors: the ratios of small classifiers, cross-fitted, by name, of the
        examples of the calibration
    """

    log_ratio: Tensor = field(repr=False)
    raw: Tensor = field(repr=False)
    calibration: Calibrated
    floors: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def order(self) -> Tensor:
        """The places of the examples, the least real first: int64 (N,)."""
        return self.log_ratio.argsort(stable=True)

    def rated(self) -> dict[str, Tensor]:
        """Log-ratios of the examples of the calibration, by whose they are."""
        return {RAW: self.calibration.raw, OWN: self.calibration.cross, **self.floors}

    def auc(self, name: str) -> Estimate:
        """How often a real example is rated above a sample."""
        s, real = self.rated()[name], self.calibration.real
        return measured(MEASURES["auroc"], s[real], s[~real])

    def cross_entropy(self, name: str) -> Estimate:
        """-log of the probability of the right side, nats: log 2 for what knows nothing."""
        s, real = self.rated()[name], self.calibration.real
        loss = softplus(torch.where(real, -s, s))
        sides = loss[real], loss[~real]
        found = [mean_estimate(side, Groups(len(side), "real")) for side in sides]
        value = sum((one.value or 0.0) for one in found) / 2
        error = sum((one.error or 0.0) ** 2 for one in found) ** 0.5 / 2
        return Estimate(value, error)

    def mean_ratio(self) -> Estimate:
        """The mean of p_data / p_model over samples, by cross-fitted maps: 1 where it is right."""
        each = self.calibration.cross[~self.calibration.real].exp()
        return mean_estimate(each, Groups(len(each), "fake"))

    def divergence(self) -> Estimate:
        """The mean of the log-ratio over held-out real examples: KL(p_data, p_model), as far as
        the discriminator sees it, nats."""
        each = self.calibration.cross[self.calibration.real]
        return mean_estimate(each, Groups(len(each), "real"))


@undisturbed()
@torch.no_grad()
def calibrated(
    model: nn.Module, held_out: Dataset, *, kind: str = "line", seed: int = 0
) -> Calibrated:
    """A discriminator's ratio beside held-out examples and as many samples.

    held_out: real examples that the discriminator has not seen
    kind: a name of `CALIBRATIONS`
    Raises PthetaError where the model has no discriminator, or one of a loss that tells no ratio,
    and for fewer than ten held-out examples.
    """
    check_kind(kind)
    rating = require(model, HasLogRatio, VERB)
    require(model, Samples, VERB)
    data = with_conditions(model, held_out).with_fixed_binarisation()
    n, told = len(data), conditional(model)
    some = data.batch(slice(0, 2))
    rating.log_ratio(some.x, some.condition if told else None)  # refused before the work
    check_sides(torch.arange(2 * n) < n)
    y = data.batch(slice(0, n)).condition if told else None
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

    data: the examples; None for the held-out ones, each by a map that has not seen it
    held_out: real examples that the discriminator has not seen; floors: whether small classifiers
        learn from them, too; kind: a name of `CALIBRATIONS`
    Raises as `calibrated` does.
    """
    found = calibrated(model, held_out, kind=kind, seed=seed)
    beside = _floors(held_out, found) if floors else {}
    if data is None:
        real = found.real
        return Ratios(found.cross[real], found.raw[real], found, beside)
    raw = scored(Raw(require(model, HasLogRatio, VERB)), model, data, seed, "ratio")
    return Ratios(found.of(raw), raw, found, beside)


class Raw:
    """A discriminator's log-ratio, within what is taken to be sure: float64."""

    def __init__(self, model: HasLogRatio) -> None:
        self.model = model

    def __call__(self, x: Tensor, condition: Condition | None) -> Tensor:
        return self.model.log_ratio(x, condition).double().cpu().clamp(-MOST, MOST)


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
