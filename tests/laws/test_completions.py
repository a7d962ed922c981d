"""Completions against Bayes: what is drawn where pixels are unknown, by summing over all images."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ptheta.compute.streams import seeded
from ptheta.models.variational import completion
from ptheta.specs import ImageSpec
from tests.laws.autoregressive import all_images, lively, random_images

GRID = ImageSpec(1, 2, 3, 2)
PLACES = 2 ** torch.arange(GRID.dims)
APART = 0.02  # total variation, of which the noise of so many draws is a half


def enumerated(p: Tensor, given: Tensor, known: Tensor) -> Tensor:
    """p(image | known pixels of `given`) of all images, from p(image): (2^D,)"""
    fits = ((all_images(GRID) == given) | ~known).flatten(1).all(1)
    return torch.where(fits, p, 0.0) / p[fits].sum()


def shares(drawn: Tensor) -> Tensor:
    """How often each image of all is among these."""
    numbers = ((drawn > 0).flatten(1) * PLACES.flip(0)).sum(1)
    return torch.bincount(numbers, minlength=2**GRID.dims) / len(drawn)


def apart(model: Any, p: Tensor, known: Tensor, candidates: int, n: int, seed: int = 0) -> float:
    """The total variation of n completions from the conditional distribution, by p(image)."""
    given = random_images(GRID, 1, seed=4)
    with seeded(seed):
        drawn = model.complete(
            given.expand(n, -1, -1, -1), known.expand(n, -1, -1, -1), None, candidates
        )
    return 0.5 * (shares(drawn) - enumerated(p, given, known)).abs().sum().item()


def mask(*unknown: int) -> Tensor:
    known = torch.ones(GRID.dims, dtype=torch.bool)
    known[list(unknown)] = False
    return known.view(GRID.shape)


# -- known pixels that come late in the order


@pytest.mark.parametrize(("name", "factor"), [("made", 4), ("nade", 4)])
def test_many_candidates_meet_what_comes_late(name, factor):
    model = lively(name, GRID, factor)
    with torch.no_grad():
        p = model.log_prob(all_images(GRID)).exp()
    assert p.sum() == pytest.approx(1, abs=1e-4)
    first = torch.tensor(model.order)[:2].tolist()
    known = mask(*first)
    assert apart(model, p, known, 40, 5000) < APART
    assert apart(model, p, known, 1, 5000) > 2 * APART


# -- a code of one or two numbers


def quadrature(model: Any, latent: int, reach: float = 6.0, points: int = 120) -> Tensor:
    """p(x) of all images, by a sum over a grid of codes."""
    line = torch.linspace(-reach, reach, points)
    z = torch.cartesian_prod(*[line] * latent).view(-1, latent)
    x = all_images(GRID)
    with torch.no_grad():
        weight = model.log_prior(z) + latent * math.log(2 * reach / (points - 1))
        each = model.likelihood(z).log_prob(x[:, None].float().expand(-1, len(z), -1, -1, -1))
    return (each.flatten(2).sum(2) + weight).logsumexp(1).exp()


@pytest.fixture(scope="module", params=[1, 2])
def coded(request: pytest.FixtureRequest) -> tuple[Any, Tensor]:
    """A VAE that has learned some images, and its p(x) of all."""
    latent = request.param
    torch.set_num_threads(1)
    model, x = lively("vae", GRID, 2.0, latent=latent), all_images(GRID)
    with seeded(0):
        often = (1.5 * torch.randn(len(x))).softmax(0)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(150):
            loss = -model.elbo(x[often.multinomial(64, replacement=True)]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    p = quadrature(model, latent)
    assert p.sum() == pytest.approx(1, abs=1e-3)
    return model, p


HOLES = ((0, 1), (2, 5), (0, 3, 5))


@pytest.mark.parametrize("unknown", HOLES)
def test_the_chain_of_a_vae_reaches_the_conditional(coded, unknown):
    model, p = coded
    assert apart(model, p, mask(*unknown), 1, 20_000) < APART


def test_pseudo_gibbs_alone_stays_away_from_it(coded, monkeypatch):
    monkeypatch.setattr(completion, "FREE", completion.FREE + completion.STEPS)
    monkeypatch.setattr(completion, "STEPS", 0)
    model, p = coded
    assert apart(model, p, mask(*HOLES[-1]), 1, 20_000) > 2 * APART


@pytest.mark.parametrize("unknown", HOLES[:2])
def test_importance_resampling_of_codes_reaches_it_however_short_the_chain(
    coded, unknown, monkeypatch
):
    monkeypatch.setattr(completion, "STEPS", 0)
    model, p = coded
    assert apart(model, p, mask(*unknown), 40, 5000) < APART
