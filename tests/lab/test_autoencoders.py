"""What the page on autoencoders states, on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ptheta
from ptheta.lab.asked import Asked
from ptheta.lab.pages import autoencoders
from ptheta.lab.pages.autoencoders_codes import Coded, codes, ellipses
from ptheta.lab.pages.autoencoders_paths import hole
from ptheta.lab.pages.autoencoders_sizes import (
    HIDDEN,
    PRINCIPAL,
    SIZES,
    Sized,
    _compared,
    _linear,
)
from ptheta.lab.parts import Page
from ptheta.lab.trained import Training, digits
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.scatter import scatter

SMALL: dict[str, object] = {"latent": 2, "hidden": (32,), "lr": 4e-3}


@pytest.fixture(scope="module")
def coded() -> dict[str, Coded]:
    train, test = digits()
    some = test.subset(slice(0, 300)).batch(slice(None))
    assert isinstance(some.condition, torch.Tensor)
    trainings = {
        "reconstruction only": Training("vae", SMALL, 100, beta=0.0),
        "KL only": Training("vae", SMALL | {"kl_only": True}, 100),
        "both": Training("vae", SMALL, 100),
    }
    models = {name: one.run(train, 0) for name, one in trainings.items()}
    return {name: Coded(name, m, scatter(m, some.x), some.condition) for name, m in models.items()}


def test_codes_by_the_kl_alone_are_the_prior_and_say_nothing(coded: dict[str, Coded]):
    train, _ = digits()
    section = codes(coded, train)
    numbers = Page("", "", [section]).numbers()
    assert all(n.holds for n in numbers)


def test_without_the_kl_posteriors_are_points(coded: dict[str, Coded]):
    free, both = (coded[name].seen.codes for name in ("reconstruction only", "both"))
    assert free.std is not None
    assert both.std is not None
    assert free.std.median() < both.std.median() / 2
    page = Page("", "", ellipses(coded))
    assert all(n.holds for n in page.numbers() if n.theory == 1.0)


def test_the_largest_hole_is_found():
    points = np.random.default_rng(0).uniform(-1, 1, (4000, 2))
    points = points[np.hypot(points[:, 0] - 0.2, points[:, 1]) > 0.3]
    ((places, radius),) = hole(points)
    assert np.hypot(places[0, 0] - 0.2, places[0, 1]) < 0.1
    assert radius == pytest.approx(0.31, abs=0.05)


def test_codes_on_a_line_have_no_holes():
    along = np.linspace(0, 1, 50)
    assert hole(np.stack([along, 2 * along], 1)) == []


def test_a_linear_autoencoder_is_no_better_than_principal_components():
    train = ptheta.open_data("digits").subset(slice(0, 500))
    x = train.batch(slice(None)).x
    model = Training("ae", {"net": "linear", "latent": 4}, 100).run(train, 0)
    error, fade = _linear(model, x)
    u, components = x.flatten(1).double() / 255, Principal.of(x)
    along = (u - components.mean) @ components.axes[:, :4]
    least = float((u - components.mean - along @ components.axes[:, :4].T).square().mean())
    assert error >= least
    assert fade < 1e-5


def test_trainings_follow_their_seed():
    train, _ = digits()
    a, b, c = (Training("ae", SMALL, 3).run(train, seed) for seed in (0, 0, 1))
    first, second, third = (next(iter(m.parameters())) for m in (a, b, c))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_runs_are_shown_in_place_of_models_that_are_trained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(autoencoders, "SHOWN", 300)
    found = ptheta.learn("autoencoders", runs="example:vae")
    assert not found.numbers  # theory knows nothing of a run
    assert "Four models" not in " ".join(found.page.sections[0].text)
    names = [n.name for n in found.page.numbers()]
    assert all("vae" in name or "pixels" in name for name in names)
    with pytest.raises(ptheta.PthetaError, match=r"--runs example:pixelcnn.*encode and decode"):
        ptheta.learn("autoencoders", runs=["example:vae", "example:pixelcnn"])
    with pytest.raises(ptheta.PthetaError, match="leave --runs out"):
        ptheta.learn("dynamics", runs=["example:vae"])


def test_runs_that_a_page_cannot_show_are_refused_in_one_line(tmp_path: Path):
    for name in ("autoencoders", "collapse"):
        with pytest.raises(ptheta.PthetaError, match=r"example:vae: this run is given twice"):
            ptheta.learn(name, runs=["example:vae", "example:vae"])
    ptheta.train("vae", data="points-ring", recipe="points", steps=1, out=tmp_path / "points")
    for name in ("autoencoders", "collapse"):
        with pytest.raises(ptheta.PthetaError, match=r"runs on images .* vectors of 2 numbers"):
            ptheta.learn(name, runs=tmp_path / "points")


def test_sizes_that_pay_for_hidden_layers_are_measured():
    errors = {PRINCIPAL: dict.fromkeys(SIZES, 0.02), HIDDEN: dict.fromkeys(SIZES, 0.01)}
    assert "1, 2, 4, 8, 16, 32 have a smaller error" in _compared(Sized({}, {}, errors, 0.0))
    errors[HIDDEN][32] = 0.03
    assert _compared(Sized({}, {}, errors, 0.0)).endswith("those of 32 do not.")


def test_seeds_differ_by_part():
    assert Asked(0).number("a") != Asked(0).number("b")


@pytest.mark.slow
def test_all_numbers_of_the_page_agree():
    assert not ptheta.learn("autoencoders").disagree
