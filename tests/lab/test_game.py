"""The pages on the game and on its dynamics: what they say holds for every seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ptheta.lab.asked import Asked
from ptheta.lab.pages import dynamics, game_optimum, game_training
from ptheta.lab.pages.dynamics import SLOPES, dirac
from ptheta.lab.parts import Page, Section
from ptheta.lab.scalars import linearised, play


def _disagree(section: Section) -> list[str]:
    return [n.name for n in Page("", "", [section]).numbers() if not n.holds]


@pytest.mark.parametrize("seed", [5, 13, 22])
def test_gradients_and_finite_capacity_hold_for_densities_with_wide_tails(seed: int):
    assert _disagree(game_optimum.likelihood(Asked(seed))) == []
    assert _disagree(game_optimum.capacity(Asked(seed))) == []


def test_weights_that_are_kept_stay_nearer_to_the_equilibrium(monkeypatch: pytest.MonkeyPatch):
    """No number without a computation: what is kept is chosen on held-out data."""
    monkeypatch.setattr(game_training, "DRIFT", 150)
    moved, kept = game_training._drifts(np.random.default_rng(0))
    assert (kept[:, 0] == 0).all()
    assert (kept[:, -1] > 0).any()
    assert kept[:, -1].mean() < moved[:, -1].mean() / 2


@pytest.mark.parametrize("name", SLOPES)
def test_the_flow_of_dirac_gan_is_that_of_its_slopes(name: str):
    g, f = SLOPES[name]
    for penalty in ("none", "r1", "r2"):
        gamma = 0.0 if penalty == "none" else 0.3
        step = linearised(dirac(name, penalty, gamma), (0.0, 0.0), "simultaneous", 0.1)
        flow = torch.tensor([[0.0, g], [-f, -gamma]], dtype=torch.float64)
        assert torch.allclose(step, torch.eye(2) + 0.1 * flow, rtol=0, atol=1e-5)


def test_a_norm_of_one_has_no_equilibrium_where_r1_has():
    far = {}
    for penalty in ("r1", "gp"):
        losses = dirac("wasserstein", penalty, 0.8)
        path = play(losses, ([0.01], [0.01]), rule="simultaneous", lr=0.1, steps=120)
        far[penalty] = float(path[100:].norm(dim=1).max())
    assert far["r1"] < 2e-2
    assert far["gp"] > 0.4


def test_a_jacobian_is_that_of_steps_from_nearby():
    """Of alternating steps on x y: [[1, -lr], [lr, 1 - lr^2]]."""
    found = linearised(dynamics.BILINEAR, (0.5, -0.3), "alternating", 0.2)
    assert torch.allclose(found, torch.tensor([[1, -0.2], [0.2, 0.96]]).double(), atol=1e-9)
    assert math.isclose(float(torch.linalg.det(found)), 1.0, abs_tol=1e-9)
