"""MMD and the drifting field as losses: against the measures, sums written out, and their laws."""

from __future__ import annotations

import pytest
import torch

from ptheta.losses.drifting import drift, drifting_terms, field
from ptheta.losses.mmd import KERNELS, median_square, mmd_terms, root_of_mean, squares
from ptheta.measures.kernel import gaussian, kernel_distance

WIDTHS = (0.5, 1.0, 2.0)
NAMES = list(KERNELS)


def some(n: int, seed: int, dims: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, dims, generator=draw, dtype=torch.float64)


def test_the_gaussian_mmd_is_that_of_the_measures():
    x, y = some(40, 0), 0.5 + some(30, 1)
    unit = 1.7
    wanted = sum(kernel_distance(x, y, kernel=gaussian(w * unit**0.5))[0] for w in WIDTHS)
    found = mmd_terms(x, y, KERNELS["gaussian"], WIDTHS, unit).mean().item()
    assert found == pytest.approx(wanted, rel=1e-9)


def test_the_energy_distance_is_that_of_its_formula():
    x, y = some(20, 0), 1 + some(25, 1)
    d = torch.cdist
    n, m = len(x), len(y)
    wanted = 2 * d(x, y).mean() - d(x, x).sum() / n / (n - 1) - d(y, y).sum() / m / (m - 1)
    found = mmd_terms(x, y, KERNELS["energy"], WIDTHS).mean()
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("rational-quadratic", lambda d: sum((1 + d / (2 * a)) ** -a for a in WIDTHS)),
        ("inverse-multiquadric", lambda d: sum(c / (c + d) for c in WIDTHS)),
    ],
)
def test_kernels_are_their_formulas(name, wanted):
    square = some(5, 0, 4).square()
    torch.testing.assert_close(KERNELS[name].of(square, WIDTHS), wanted(square))


@pytest.mark.parametrize("name", NAMES)
def test_unbiased_mmd_of_equal_distributions_is_0_in_the_mean(name):
    values = torch.stack(
        [
            mmd_terms(some(12, 2 * i), some(9, 2 * i + 1), KERNELS[name], WIDTHS).mean()
            for i in range(400)
        ]
    )
    assert values.mean().abs() < 3 * values.std() / len(values) ** 0.5


@pytest.mark.parametrize("name", NAMES)
def test_biased_mmd_is_never_below_0_and_0_for_equal_samples(name):
    for i in range(20):
        x, y = some(7, i), some(9, 100 + i) * (1 + i / 10)
        assert mmd_terms(x, y, KERNELS[name], WIDTHS, unbiased=False).mean() >= 0
        same = mmd_terms(x, x.flip(0), KERNELS[name], WIDTHS, unbiased=False).mean()
        assert same.abs() < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_mmd_grows_with_the_distance_of_two_distributions(name):
    x = some(200, 0)
    apart = [mmd_terms(x, some(200, 1) + s, KERNELS[name], WIDTHS).mean() for s in (0.0, 0.5, 1.5)]
    assert apart[0] < apart[1] < apart[2]


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_differences(name, unbiased):
    x, y = some(5, 0).requires_grad_(), some(6, 1)

    def of(x: torch.Tensor) -> torch.Tensor:
        return mmd_terms(x, y, KERNELS[name], WIDTHS, unbiased=unbiased).mean()

    assert torch.autograd.gradcheck(of, (x,))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_where_points_coincide(name):
    y = some(6, 0).float()
    x = y.clone().requires_grad_()
    root_of_mean(mmd_terms(x, y, KERNELS[name], WIDTHS, unbiased=False)).mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    x = torch.zeros(4, 3).requires_grad_()
    root_of_mean(mmd_terms(x, y, KERNELS[name], WIDTHS, unbiased=False)).mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_squares_keep_their_precision_far_from_0():
    x = some(10, 0).float()
    far = squares(x + 1e3, x + 1e3)
    torch.testing.assert_close(far, torch.cdist(x, x).square(), atol=2e-3, rtol=1e-2)


def test_the_median_is_that_of_all_pairs_and_1_for_one_point():
    y = some(50, 0)
    torch.testing.assert_close(median_square(y), torch.pdist(y).square().median())
    assert median_square(y[:1]) == median_square(torch.ones(9, 2)) == 1


def test_the_field_is_its_formula_and_anti_symmetric():
    """Weights as their sums over pairs: V = sum_jk a_j a_k (p_j - q_k)."""
    x, p, q, tau = some(4, 0), some(5, 1), some(6, 2), 0.7
    logits = -torch.cat([torch.cdist(x, p), torch.cdist(x, q)], 1) / tau
    a = (logits.softmax(1) * logits.softmax(0)).sqrt()
    pairs = a[:, :5, None, None] * a[:, None, 5:, None] * (p[:, None] - q)
    torch.testing.assert_close(field(x, p, q, tau), pairs.sum((1, 2)))
    torch.testing.assert_close(field(x, q, p, tau), -field(x, p, q, tau))


def test_nothing_drifts_where_both_samples_are_equal():
    x, p = some(4, 0), some(5, 1)
    assert field(x, p, p, 0.3).abs().max() < 1e-12


def test_a_point_does_not_repel_itself():
    x, p = some(4, 0), some(5, 1)
    alone = field(x, p, x, 0.5, itself=True)
    logits = -torch.cat([torch.cdist(x, p), torch.cdist(x, x)], 1) / 0.5
    logits[:, 5:].fill_diagonal_(-torch.inf)
    a = (logits.softmax(1) * logits.softmax(0)).sqrt()
    wanted = (a[:, :5] @ p) * a[:, 5:].sum(1, True) - (a[:, 5:] @ x) * a[:, :5].sum(1, True)
    torch.testing.assert_close(alone, wanted)


def test_the_gradient_of_drifting_is_along_the_field():
    x, p = some(6, 0).requires_grad_(), 2 + some(8, 1)
    drifting_terms(x, p, (0.2, 0.5)).sum().backward()
    v = drift(x.detach(), p, (0.2, 0.5))
    assert x.grad is not None
    unit = (x.grad / v)[v.abs() > 1e-6]
    torch.testing.assert_close(unit, unit[:1].expand_as(unit))
    assert unit[0] < 0


def test_points_that_drift_become_those_of_the_data():
    """Two groups of data; all points start in one place."""
    p = torch.cat([some(60, 0, 2) * 0.1 - 2, some(60, 1, 2) * 0.1 + 2])
    x = some(80, 2, 2) * 0.3
    for _ in range(200):
        x = x + 0.05 * drift(x, p, (0.1, 0.5))
    assert 25 < (x[:, 0] > 0).sum() < 55
    assert (x.abs() - 2).abs().mean() < 0.3


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("width", [1e-6, 1e6])
def test_kernels_are_finite_at_every_width_that_may_be_given(name, width):
    x = torch.randn(5, 3, requires_grad=True)
    found = mmd_terms(x, torch.randn(4, 3), KERNELS[name], (width,), unbiased=False).mean()
    found.backward()
    assert found.isfinite()
    assert x.grad is not None
    assert x.grad.isfinite().all()
