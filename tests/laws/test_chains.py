"""How quickly chains forget, against the closed forms of AR(1); and chains of models as a use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ptheta import tasks
from ptheta.errors import PthetaError
from ptheta.measures.chains import (
    autocorrelation,
    autocovariance,
    changes,
    indicators,
    integrated_time,
    mixing,
    split_r_hat,
)
from ptheta.specs import ImageSpec
from tests.conftest import VECTORS, tiny

SPEC = ImageSpec(1, 4, 4, 2)


def ar1(phi: float, chains: int = 8, steps: int = 20_000, seed: int = 0) -> np.ndarray:
    """x_t = phi x_t-1 + N(0, 1), begun where it is stationary."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(chains, steps))
    x[:, 0] /= math.sqrt(1 - phi**2)
    for t in range(1, steps):
        x[:, t] += phi * x[:, t - 1]
    return x


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9, 0.97])
def test_autocorrelation_and_time_are_those_of_ar1(phi):
    """rho_t = phi^t, tau = (1 + phi) / (1 - phi)."""
    x = ar1(phi)
    np.testing.assert_allclose(autocorrelation(x)[:8], phi ** np.arange(8), atol=0.03)
    wanted = (1 + phi) / (1 - phi)
    found = mixing(x)
    assert found.time == pytest.approx(wanted, rel=0.12)
    assert found.effective == pytest.approx(x.size / wanted, rel=0.12)
    assert found.r_hat == pytest.approx(1, abs=0.01)


def test_the_effective_size_is_that_of_the_error_of_a_mean():
    """Var of the mean of a chain is sigma^2 tau / n."""
    x = ar1(0.8, chains=400, steps=500)
    size = x.var() / x.mean(1).var()
    times = [integrated_time(x[i : i + 8]) for i in range(0, 400, 8)]
    assert 500 / np.mean(times) == pytest.approx(size, rel=0.25)


def test_autocovariance_is_the_sum_over_pairs():
    x = np.random.default_rng(0).normal(size=(2, 9))
    centred = x - x.mean(1, keepdims=True)
    wanted = [(centred[:, : 9 - t] * centred[:, t:]).sum(1) / 9 for t in range(9)]
    np.testing.assert_allclose(autocovariance(x), np.stack(wanted, 1), atol=1e-12)


def test_parts_are_added_up():
    """Of (x, 2 x) the correlation is that of x; of indicators of two classes that of either."""
    x = ar1(0.7, steps=400)
    both = np.stack([x, 2 * x], -1)
    np.testing.assert_allclose(autocorrelation(both), autocorrelation(x))
    assert integrated_time(both) == pytest.approx(integrated_time(x))
    classes = (x > 0).astype(int)
    np.testing.assert_allclose(autocorrelation(indicators(classes, 2)), autocorrelation(classes))
    assert changes(np.array([[0, 0, 1, 1, 0]])) == 0.5


def test_chains_that_are_apart_are_seen():
    """Each well mixed on its own, in another place; and drift within chains."""
    x = ar1(0.5, chains=4, steps=1000)
    assert split_r_hat(x) < 1.02
    apart = x + 5 * np.arange(4)[:, None]
    assert split_r_hat(apart) > 2
    assert mixing(apart).effective < 20 < mixing(x).effective
    assert split_r_hat(x + np.linspace(0, 5, 1000)) > 1.2


@pytest.mark.parametrize("value", [1.0, 0.1, 1234567.891, math.nan, math.inf])
def test_of_what_never_changes_or_is_no_number_nothing_is_said(value, recwarn):
    """Whatever the rounding of a mean."""
    still = mixing(np.full((3, 997), value))
    assert math.isnan(still.time)
    assert math.isnan(still.r_hat)
    assert still.autocorrelation == ()
    assert still.to_json()["effective"] is None
    assert not recwarn.list


def test_chains_that_stay_each_elsewhere_count_one_each():
    found = mixing(np.repeat([[0.1], [0.3]], 997, 1))
    assert found.effective == pytest.approx(1, rel=0.01)
    assert found.r_hat == math.inf


def test_a_correlation_is_at_most_one():
    for n in (2, 3, 5):
        assert np.abs(autocorrelation(np.random.default_rng(n).normal(size=(2, n)))).max() <= 1


@pytest.mark.parametrize("name", ["rbm", "gsn", "dae"])
@pytest.mark.parametrize("spec", [SPEC, VECTORS], ids=str)
def test_a_model_is_watched_step_by_step(name, spec):
    model = tiny(name, spec).eval()
    walk = tasks.chain(model, 7, 3, every=3, burn=2, classify=lambda x: torch.arange(3), seed=4)
    assert walk.states.shape == (3, 3, *spec.shape)
    assert walk.means.shape == (3, 7)
    assert (walk.energies is not None) == (name == "rbm")
    assert walk.classes is not None
    assert walk.classes.tolist() == [[i] * 7 for i in range(3)]
    again = tasks.chain(model, 7, 3, every=1, burn=2, seed=4)
    assert torch.equal(again.states[::3], walk.states)
    seen = spec.compared(again.states.flatten(0, 1)).flatten(1).mean(1).view(7, 3).T
    torch.testing.assert_close(again.means.float(), seen)
    faults: tuple[dict[str, Any], ...] = ({"steps": 1}, {"chains": 0}, {"every": 0}, {"burn": -1})
    for odd in faults:
        with pytest.raises(PthetaError, match=r"(steps|chains|every|burn) = -?\d: give \d or more"):
            tasks.chain(model, **odd)
