"""Ratios of densities by a discriminator against what they are, and laws of calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, VectorSpec
from ptheta.tasks.ratio import CALIBRATIONS, calibrated, cross_fitted, fitted, isotone, slope_of
from ptheta.tasks.ratio.calibration import folds_of
from ptheta.tasks.ratio.floors import FLOORS, rated
from tests.conftest import VECTORS, examples, tiny

LINE = VectorSpec.of(1)
SHIFT = 1.0  # of real examples, N(SHIFT, 1), from generated ones, N(0, 1)


class Known(nn.Module):
    """Draws N(0, 1), and has a discriminator that says scale times the true ratio and more."""

    condition = None

    def __init__(self, scale: float = 1.0, more: float = 0.0) -> None:
        super().__init__()
        self.spec, self.scale, self.more = LINE, scale, more

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.normal(n, 1)

    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.scale * truth(x) + self.more


def truth(x: Tensor) -> Tensor:
    """log N(x; SHIFT, 1) - log N(x; 0, 1)"""
    return SHIFT * x[:, 0] - SHIFT**2 / 2


def real(n: int, seed: int = 0) -> VectorDataset:
    x = np.random.default_rng(seed).normal(SHIFT, 1.0, (n, 1)).astype(np.float32)
    return VectorDataset("real", "test", x, LINE)


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_the_ratio_of_two_known_gaussians_is_recovered(kind):
    """To 5 % where most of their mass is, by the line; an isotonic map has no slope to know it by
    and is coarser."""
    x = torch.linspace(-1.0, 2.0, 31)[:, None]
    data = VectorDataset("grid", "test", x.numpy(), LINE)
    found = tasks.ratio(Known(3.0, -1.0), data, real(20_000), kind=kind, floors=False)
    wrong = (found.log_ratio - truth(x)).exp() - 1
    if kind == "line":
        assert wrong.abs().max() < 0.05
    assert wrong.abs().mean() < 0.1
    assert found.calibration.before.value == pytest.approx(1 / 3, abs=0.02)
    low, high = found.calibration.after.interval
    assert low < 1.0 < high or found.calibration.after.value == pytest.approx(1.0, abs=0.1)
    kl = found.divergence()
    assert kl.value == pytest.approx(SHIFT**2 / 2, abs=0.03)
    assert found.mean_ratio().value == pytest.approx(1.0, abs=0.05)


def test_the_line_is_the_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = torch.Generator().manual_seed(0)
    s = torch.randn(600, generator=rng).double() * 2 + 1
    labels = torch.rand(600, generator=rng) < (0.7 * s - 0.5).sigmoid()
    line = fitted(s, labels)
    model = LogisticRegression(C=1e6).fit(s[:, None].numpy(), labels.numpy())
    assert line.slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    odds = math.log(int(labels.sum()) / int((~labels).sum()))
    assert line.intercept + odds == pytest.approx(model.intercept_[0], abs=1e-3)


def test_intervals_of_the_slope_cover():
    hits, draw = 0, torch.Generator().manual_seed(1)
    for _ in range(200):
        s = torch.randn(300, generator=draw).double()
        labels = torch.rand(300, generator=draw) < (0.8 * s).sigmoid()
        low, high = slope_of(s, labels).interval
        hits += low < 0.8 < high
    assert 180 <= hits <= 199


def test_the_isotonic_map_is_that_of_scikit_learn():
    from sklearn.isotonic import IsotonicRegression

    draw = torch.Generator().manual_seed(2)
    s = torch.randn(5000, generator=draw).double()
    labels = torch.rand(5000, generator=draw) < (2 * s).sigmoid()
    steps = isotone(s, labels)
    assert (np.diff(steps.values) >= 0).all()
    p = IsotonicRegression(out_of_bounds="clip").fit(s.numpy(), labels.numpy()).predict(s.numpy())
    middle = s.abs() < 1.0
    share = labels.double().mean()
    log_odds = steps(s) + share.log() - (-share).log1p()
    assert (log_odds.sigmoid() - torch.from_numpy(p))[middle].abs().max() < 0.1


def test_no_map_has_seen_what_it_rates():
    draw = torch.Generator().manual_seed(3)
    s, labels = torch.randn(200, generator=draw).double(), torch.arange(200) < 90
    fold = folds_of(labels)
    out = cross_fitted(s, labels)
    changed = labels.clone()
    changed[fold == 2] = ~changed[fold == 2]
    mine = fold == 2
    assert torch.equal(fitted(s[~mine], changed[~mine])(s[mine]), out[mine])


def test_what_tells_all_apart_has_a_finite_line():
    labels = torch.arange(100) < 50
    line = fitted(labels.double() * 20 - 10, labels)
    assert math.isfinite(line.slope)
    assert line.slope > 0


def test_a_floor_finds_what_a_blind_discriminator_does_not():
    found = tasks.ratio(Known(0.0), None, real(400))
    assert found.auc("calibrated").value == pytest.approx(0.5, abs=0.2)
    assert found.cross_entropy("logistic").value == pytest.approx(0.59, abs=0.06)
    assert found.cross_entropy("discriminator").value == pytest.approx(math.log(2), abs=1e-6)
    assert len(found.log_ratio) == 400


REFUSED = {
    "made": r"it has no `log_ratio`; models that can: .*gan",
    "wgan": "loss = wasserstein: its optimal discriminator is not a function",
    "sngan": "loss = hinge: its optimal",
    "dragan": "penalty changes what the discriminator learns",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tells_no_ratio_is_refused_in_one_line(name):
    spec = ImageSpec(1, 8, 8, 2) if name == "made" else VECTORS
    model = tiny(name, spec).eval()
    data = VectorDataset("some", "test", examples(VECTORS, 20).numpy(), VECTORS)
    with pytest.raises(
        PthetaError, match=f"^this model cannot estimate the density ratio.*{REFUSED[name]}"
    ):
        calibrated(model, data)


def test_conditional_discriminators_are_given_the_conditions_of_the_examples():
    data = VectorDataset(
        "some",
        "test",
        examples(VECTORS, 60).numpy(),
        VECTORS,
        labels=np.arange(60) % 3,
        classes=("a", "b", "c"),
    )
    model = tiny("cgan", VECTORS, net="mlp").eval()
    found = calibrated(model, data)
    assert found.condition is not None
    assert len(found.raw) == 120
    with pytest.raises(PthetaError, match="6 held-out examples and 6 samples: a calibration in"):
        calibrated(model, data.subset(slice(0, 6)))


def test_a_floor_sees_which_cells_are_missing():
    """Rows that differ from samples in nothing but a gap are told by it."""
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    real = torch.arange(200) % 2 == 0
    x[real, 1] = math.nan
    for name in FLOORS:
        found = rated(name, x, real)
        assert found[real].min() > found[~real].max()
