"""The page on divergences: what it says holds for every seed."""

from __future__ import annotations

import numpy as np
import pytest

from ptheta.lab.asked import Asked
from ptheta.lab.pages import divergences
from ptheta.lab.pages.divergences import by_gradient, by_grid, kl, objective


@pytest.mark.parametrize("seed", [12, 31, 49])
def test_the_reverse_kl_sits_on_the_heavier_mode(seed: int):
    """A descent may leave the grid, where q has no mass, and must not be taken for the minimum."""
    problem = divergences._line(Asked(seed))
    best = by_gradient(objective(problem, "KL(q, p)"), problem)
    heavy = int(problem.weights.argmax())
    assert abs(best[0] - problem.means[heavy, 0]) < problem.deviations[heavy] / 2
    assert divergences.seen(problem, best) == f"sits on mode {heavy + 1}"


def test_either_mode_is_the_heavier_one():
    assert len({int(divergences._line(Asked(s)).weights.argmax()) for s in range(8)}) == 2


def test_mass_out_of_the_grid_costs():
    p, q = np.array([0.2, 0.6, 0.2]), np.array([0.5, 0.25, 0.25])
    assert kl(p, q).sum() == pytest.approx((p * np.log(p / q)).sum())
    assert (kl(p, q) >= 0).all()
    assert kl(np.zeros(3), p).sum() == pytest.approx(1)


def test_the_search_finds_the_lower_of_two_minima_that_are_almost_equal():
    problem = divergences._line(Asked(39))
    value = objective(problem, "JS(p, q)")
    best, grid = by_gradient(value, problem), by_grid(value, problem)
    assert np.allclose(best, grid, rtol=0, atol=2e-3)
