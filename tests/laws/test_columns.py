"""Distributions of a vector's columns, against scipy, sums, integrals and draws."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from ptheta.distributions.kernels import KERNELS, log_mass
from ptheta.nets.column_heads import ColumnsHead
from ptheta.specs import Column, VectorSpec

SPEC = VectorSpec(
    (
        Column("age", "integer", low=0, high=9, center=4, scale=2.5),
        Column("pet", "category", ("cat", "dog", "owl")),
        Column("height", center=170.0, scale=8.0),
        Column("count", "integer", center=50, scale=10),
        Column("alive", "category", ("no", "yes")),
        Column("share", low=0.0, high=1.0, center=0.5, scale=0.2),
    )
)
PLACE = {column.name: i for i, column in enumerate(SPEC.columns)}
SCIPY = {"gaussian": stats.norm, "logistic": stats.logistic}


def outputs(head: ColumnsHead, n: int = 1, spread: float = 1.0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(4)
    return spread * torch.randn(1, head.numbers, generator=draw).expand(n, -1)


def log_p(head: ColumnsHead, name: str, cells: torch.Tensor) -> torch.Tensor:
    """log p of these cells of one column, float64 (N,), the others being what they may be."""
    x = torch.tensor([[3.0, 1.0, 170.0, 50.0, 0.0, 0.5]]).repeat(len(cells), 1)
    x[:, PLACE[name]] = cells
    found = head(outputs(head, len(cells))).log_prob(x)[:, PLACE[name]]
    return found.detach().double()


def mixture(head: ColumnsHead, name: str):
    """(weights, locations, scales) of a column of numbers in its own units, worked out from the
    head's description: components start evenly from -1.5 to 1.5, their distance wide."""
    at = PLACE[name]
    start = sum(head.per_column[:at])
    own = outputs(head)[0, start : start + head.per_column[at]].double()
    weights, loc, log_scale = own.chunk(3)
    m, column = len(weights), SPEC.columns[at]
    places = torch.linspace(-1.5, 1.5, m).double()
    scales = (log_scale + math.log(3 / (m - 1))).exp()
    return (
        weights.softmax(0).numpy(),
        (column.center + column.scale * (loc + places)).numpy(),
        (column.scale * scales).numpy(),
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_density_is_that_of_the_mixture_in_the_units_of_the_data(kernel):
    head = ColumnsHead(SPEC, kernel, 3)
    cells = torch.linspace(120, 230, 60)
    weights, loc, scale = mixture(head, "height")
    each = SCIPY[kernel].pdf(cells.double().numpy()[:, None], loc, scale)
    wanted = torch.from_numpy(each @ weights).log()
    torch.testing.assert_close(log_p(head, "height", cells), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_whole_numbers_have_the_mass_of_their_bins_and_those_of_the_bounds_the_rest(kernel):
    head = ColumnsHead(SPEC, kernel, 3)
    for name, low, high in (("age", 0, 9), ("count", -math.inf, math.inf)):
        cells = torch.arange(10.0) + (0 if name == "age" else 45)
        weights, loc, scale = mixture(head, name)
        k = cells.double().numpy()[:, None]
        cdf = SCIPY[kernel].cdf
        above = (cdf(k + 0.5, loc, scale) @ weights) * (cells.numpy() < high)
        above = above + (cells.numpy() >= high)
        below = (cdf(k - 0.5, loc, scale) @ weights) * (cells.numpy() > low)
        wanted = torch.from_numpy(above - below).log()
        torch.testing.assert_close(log_p(head, name, cells), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_probabilities_sum_and_densities_integrate_to_one(kernel):
    head = ColumnsHead(SPEC, kernel, 3)
    everything = {
        "age": torch.arange(10.0),
        "pet": torch.arange(3.0),
        "alive": torch.arange(2.0),
        "count": torch.arange(-8000.0, 8000.0),
    }
    for name, cells in everything.items():
        assert log_p(head, name, cells).exp().sum().item() == pytest.approx(1, abs=1e-5)
    for name, low, high in (("height", -400.0, 740.0), ("share", -30.0, 30.0)):
        cells = torch.linspace(low, high, 10_001)
        step = (high - low) / 10_000
        total = log_p(head, name, cells).exp().sum().item() * step
        assert total == pytest.approx(1, abs=2e-3)


def test_a_density_of_two_columns_integrates_to_one_over_the_plane():
    spec = VectorSpec((Column("a", center=3.0, scale=0.5), Column("b", scale=2.0)))
    head = ColumnsHead(spec, "gaussian", 2)
    a, b = torch.linspace(-20, 26, 500), torch.linspace(-90, 90, 500)
    grid = torch.cartesian_prod(a, b)
    density = head(outputs(head, len(grid), 0.5)).log_prob_of_example(grid).double().exp()
    area = (46 / 499) * (180 / 499)
    assert density.sum().item() * area == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_draws_follow_the_distribution_within_units_bounds_and_types(kernel):
    n = 40_000
    head = ColumnsHead(SPEC, kernel, 3)
    torch.manual_seed(0)
    x = SPEC.check_drawn(head(outputs(head, n)).sample())
    for name, values in (("age", 10), ("pet", 3), ("alive", 2)):
        share = torch.bincount(x[:, PLACE[name]].long(), minlength=values) / n
        wanted = log_p(head, name, torch.arange(float(values))).exp()
        torch.testing.assert_close(share.double(), wanted, atol=5 * 0.5 / n**0.5, rtol=0)
    weights, loc, scale = mixture(head, "height")

    def cdf(x):
        return SCIPY[kernel].cdf(x[..., None], loc, scale) @ weights

    drawn = x[:, PLACE["height"]].double().numpy()
    assert stats.kstest(drawn, cdf).pvalue > 1e-3
    # what lies beyond a bound is brought back to it
    weights, loc, scale = mixture(head, "share")
    at_bound = (x[:, PLACE["share"]] == 0).double().mean().item()
    assert at_bound == pytest.approx(float(cdf(torch.zeros(1).numpy())[0]), abs=5 * 0.5 / n**0.5)


def test_the_mean_is_of_the_columns_types_and_the_most_likely_word():
    head = ColumnsHead(SPEC, "gaussian", 3)
    p = head(outputs(head, 1, 0.3))
    mean = SPEC.check_drawn(p.mean_example())[0]
    torch.manual_seed(0)
    x = head(outputs(head, 20_000, 0.3)).sample()
    for name in ("age", "height", "count"):
        near = 0.5 + 5 * x[:, PLACE[name]].std() / 20_000**0.5
        assert abs(mean[PLACE[name]] - x[:, PLACE[name]].mean()) < near
    assert mean[PLACE["pet"]] == x[:, PLACE["pet"]].mode().values


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("spread", [1.0, 30.0, 1e4])
def test_extremes_have_finite_numbers_and_gradients(kernel, spread):
    head = ColumnsHead(SPEC, kernel, 3)
    torch.manual_seed(0)
    out = (spread * torch.randn(64, head.numbers)).requires_grad_()
    x = head(outputs(head, 64)).sample()
    p = head(out)
    value = p.log_prob(x)
    (grad,) = torch.autograd.grad(value.sum(), out)
    assert value.isfinite().all()
    assert grad.isfinite().all()
    SPEC.check_drawn(p.sample())


def test_a_missing_cell_is_integrated_out():
    head = ColumnsHead(SPEC, "gaussian", 2)
    p = head(outputs(head, 4).requires_grad_())
    x = p.sample()
    holes = x.clone()
    holes[1, 2] = holes[2, 1] = holes[3, 0] = math.nan
    whole, part = p.log_prob(x), p.log_prob(holes)
    there = ~holes.isnan()
    assert torch.equal(part[there], whole[there])
    assert (part[~there] == 0).all()
    torch.testing.assert_close(p.log_prob_of_example(holes), part.sum(1))


def test_units_change_a_density_by_their_jacobian_and_no_probability():
    """In metres or in centimetres: log p moves by log 100."""
    metres = VectorSpec((Column("h", center=1.7, scale=0.1), Column("w", "category", ("a", "b"))))
    columns = (replace(metres.columns[0], center=170.0, scale=10.0), metres.columns[1])
    centimetres = VectorSpec(columns)
    x = torch.tensor([[1.62, 1.0], [1.9, 0.0]])
    y = x * torch.tensor([100.0, 1.0])
    head, other = ColumnsHead(metres), ColumnsHead(centimetres)
    a, b = head(outputs(head, 2)).log_prob(x), other(outputs(other, 2)).log_prob(y)
    torch.testing.assert_close(a[:, 0] - b[:, 0], torch.full((2,), math.log(100)))
    torch.testing.assert_close(a[:, 1], b[:, 1])


def test_a_column_of_one_value_says_nothing():
    spec = VectorSpec((Column("same", low=2.0, high=2.0, center=2.0), Column("other")))
    head = ColumnsHead(spec)
    x = head(outputs(head, 5)).sample()
    assert (x[:, 0] == 2).all()
    assert (head(outputs(head, 5)).log_prob(x)[:, 0] == 0).all()


@pytest.mark.parametrize("name", KERNELS)
def test_the_mass_between_two_points_is_exact_in_both_tails(name):
    kernel, reference = KERNELS[name], SCIPY[name]
    a = torch.tensor([-30.0, -3.0, -0.1, 2.0, 29.0], dtype=torch.double)
    for width in (1e-6, 0.5, 20.0):
        found = log_mass(kernel, a, a + width)
        mirrored = log_mass(kernel, -a - width, -a)
        torch.testing.assert_close(found, mirrored)
        lower = a[:2]  # where scipy's own difference keeps its digits
        wanted = torch.from_numpy(
            reference.cdf((lower + width).numpy()) - reference.cdf(lower.numpy())
        ).log()
        tolerance = 1e-8 if width > 1e-3 else 1e-4
        torch.testing.assert_close(found[:2], wanted, atol=tolerance, rtol=tolerance)


def test_columns_of_one_kind_are_computed_together_and_come_out_in_their_order():
    head = ColumnsHead(SPEC, "gaussian", 2)
    out = torch.randn(6, head.numbers, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    x = head(out).sample()
    together = head(out).log_prob(x)
    start = 0
    for i, numbers in enumerate(head.per_column):
        alone = head.of_column(i)(out[:, start : start + numbers])
        assert alone.shape == (6, 1)
        torch.testing.assert_close(alone.log_prob(x[:, i : i + 1])[:, 0], together[:, i])
        start += numbers


def test_what_is_nan_draws_no_word_and_decodes_to_none():
    head = ColumnsHead(VectorSpec((Column("pet", "category", ("cat", "dog", "owl")),)))
    out = torch.zeros(3, head.numbers)
    out[1, 2] = math.nan
    found = head(out)
    for x in (found.sample(), found.mean_example()):
        assert x.isnan().flatten().tolist() == [False, True, False]
