"""EM on incomplete rows, and what a Gaussian says of a gap, against the closed forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributions as D

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.distributions import incomplete
from ptheta.distributions.incomplete import Law
from ptheta.models.mixtures.covariance import COVARIANCES
from ptheta.specs import Column, VectorSpec
from ptheta.tasks.impute import impute
from tests.conftest import VECTORS, examples, tiny

WIDE = torch.float64
GAPPED = VectorSpec(
    tuple(Column(f"x{i}", center=i, scale=1 + i / 2, missing=True) for i in range(4))
)


def law(dims: int = 4) -> Law:
    draw = torch.Generator().manual_seed(1)
    root = torch.randn(dims, dims, generator=draw, dtype=WIDE)
    return Law(torch.arange(dims, dtype=WIDE), root @ root.T + 0.2 * torch.eye(dims, dtype=WIDE))


def with_gaps(x: Tensor, share: float = 0.4, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return x.masked_fill(torch.rand(x.shape, generator=draw) < share, math.nan)


def rows(n: int, of: Law) -> Tensor:
    draw = torch.Generator().manual_seed(2)
    root = torch.linalg.cholesky(of.covariance)
    return torch.randn(n, len(of.mean), generator=draw, dtype=WIDE) @ root.T + of.mean


def test_the_density_and_the_mean_of_gaps_are_those_of_the_conditional():
    of = law()
    x = with_gaps(rows(20, of))
    found, guess = incomplete.log_prob(of, x), incomplete.expected(of, x)
    for row, value, filled in zip(x, found, guess, strict=True):
        o = ~row.isnan()
        if not o.any():
            assert value == 0
            torch.testing.assert_close(filled, of.mean)
            continue
        marginal = D.MultivariateNormal(of.mean[o], of.covariance[o][:, o])
        torch.testing.assert_close(value, marginal.log_prob(row[o]))
        weights = torch.linalg.solve(of.covariance[o][:, o], of.covariance[o][:, ~o])
        torch.testing.assert_close(filled[~o], of.mean[~o] + (row[o] - of.mean[o]) @ weights)
        assert torch.equal(filled[o], row[o])


def test_draws_of_gaps_have_the_covariance_of_the_conditional():
    of, n = law(), 40_000
    row = torch.tensor([1.5, math.nan, 0.3, math.nan], dtype=WIDE)
    drawn = incomplete.drawn(of, row.expand(n, -1), rows(n, of))
    c, o, m = of.covariance, [0, 2], [1, 3]
    left = c[m][:, m] - c[m][:, o] @ torch.linalg.solve(c[o][:, o], c[o][:, m])
    torch.testing.assert_close(torch.cov(drawn[:, m].T), left, atol=0.05, rtol=0.05)
    assert (drawn[:, o] == row[o]).all()


def fitted(
    x: Tensor, spec: VectorSpec, passes: int = 40, **options: Any
) -> tuple[Any, list[float]]:
    model = tiny("gaussian", spec, **options)
    with torch.no_grad():
        told = itertools.islice(model.fit([Batch(part) for part in x.split(30)]), passes)
        return model, [found["negative_elbo"] for found in told]


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("kind", COVARIANCES)
def test_no_pass_of_em_lowers_the_likelihood(kind, ridge):
    x = with_gaps(rows(100, law())).float()
    _, told = fitted(x, GAPPED, covariance=kind, ridge=ridge, tolerance=0.0)
    assert told[0] > told[-1]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(told))


@pytest.mark.parametrize("kind", COVARIANCES)
def test_em_of_rows_without_gaps_is_the_closed_form(kind):
    """Words and whole numbers among them: the share of their bins is the same in both."""
    x = examples(VECTORS, 200)
    closed, _ = fitted(x, VECTORS, covariance=kind, ridge=0.05)
    gapped = VectorSpec(tuple(Column(**{**vars(c), "missing": True}) for c in VECTORS.columns))
    em, _ = fitted(x, gapped, covariance=kind, ridge=0.05)
    for name in ("mean", "factor"):
        torch.testing.assert_close(
            dict(em.named_parameters())[name], dict(closed.named_parameters())[name]
        )
    torch.testing.assert_close(em.law().covariance, closed.law().covariance)


def test_the_bound_of_a_row_with_gaps_is_the_marginal_in_the_units_of_the_data():
    model, _ = fitted(with_gaps(rows(100, law())).float(), GAPPED)
    found, x = model.law(), torch.tensor([[0.5, math.nan, 2.0, math.nan]])
    scale = torch.tensor([c.scale for c in GAPPED.columns], dtype=WIDE)
    center = torch.tensor([c.center for c in GAPPED.columns], dtype=WIDE)
    o, units = [0, 2], scale[:, None] * scale
    own = D.MultivariateNormal(
        (found.mean * scale + center)[o], (found.covariance * units)[o][:, o]
    )
    torch.testing.assert_close(model.elbo(x), own.log_prob(x[:, o].double()).float())


def test_the_probability_of_a_word_is_bounded_by_the_mass_of_its_cube():
    """One column of two words: P(word) >= exp of the bound, for parameters of any kind."""
    spec = VectorSpec((Column("a", "category", ("u", "v")),))
    model, _ = fitted(torch.tensor([[0.0], [0.0], [1.0]]), spec)
    with torch.no_grad():
        share = model.sample(20_000).mean().item()
        bound = torch.stack([model.elbo(torch.tensor([[1.0]])) for _ in range(200)]).mean()
        tight = model.importance_bound(torch.tensor([[1.0]]), 500).exp().item()
    assert bound.exp().item() <= share + 0.02
    assert tight <= share + 0.05


def test_intervals_of_rows_from_the_model_cover_as_much_as_they_say():
    """By simulation: of 90 % intervals of what the model itself drew, 90 % hold the truth."""
    model, _ = fitted(with_gaps(rows(200, law())).float(), GAPPED)
    with torch.no_grad(), streams.seeded(3):
        truth = model.sample(1500)
    wide = model.law().covariance.diagonal().sqrt().float()
    assert (wide > 0).all()
    holes = truth.clone()
    holes[:, 1] = math.nan
    drawn = impute(model, holes, draws=39)[:, :, 1].sort(0).values
    inside = (truth[:, 1] >= drawn[1]) & (truth[:, 1] <= drawn[-2])  # ranks 2 and 38 of 40
    assert inside.float().mean().item() == pytest.approx(0.9, abs=0.03)
