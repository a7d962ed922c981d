"""The Gaussian copula: marginals are kept, and the correlation is that of the normals."""

import pytest
import torch

from ptheta.distributions.copula import fitted

CORRELATION = torch.tensor(
    [[1.0, 0.7, -0.5, 0.4], [0.7, 1.0, -0.2, 0.3], [-0.5, -0.2, 1.0, 0.5], [0.4, 0.3, 0.5, 1.0]],
    dtype=torch.float64,
)
STEPPED = (False, False, True, True)


def rows(n=20_000):
    """A skewed number, a number, three words in unequal shares, and counts."""
    z = torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = z @ torch.linalg.cholesky(CORRELATION).T
    words = (z[:, 2] > -0.3).double() + (z[:, 2] > 1.2)
    return torch.stack([z[:, 0].exp(), z[:, 1], words, (z[:, 3] * 1.5 + 3).round()], 1).float()


@pytest.fixture(scope="module")
def copula():
    return fitted(rows(), STEPPED)


def test_the_correlation_of_the_normals_is_found_whatever_the_columns_are(copula):
    assert (copula.correlation - CORRELATION).abs().max() < 0.02


def test_marginals_are_kept(copula):
    x, drawn = rows(), copula.sample(20_000, seed=1)
    shares = torch.tensor([0.01, 0.1, 0.5, 0.9, 0.99])
    for i in range(4):
        low, high = x[:, i].min(), x[:, i].max()
        assert low <= drawn[:, i].min()
        assert drawn[:, i].max() <= high
    for i in (0, 1):
        wanted, found = x[:, i].quantile(shares), drawn[:, i].quantile(shares)
        assert torch.allclose(wanted, found, rtol=0.06, atol=0.05)
    for i in (2, 3):
        for value in x[:, i].unique():
            share = (x[:, i] == value).double().mean()
            error = (share / 20_000).sqrt()
            assert abs((drawn[:, i] == value).double().mean() - share) < 6 * error
        assert set(drawn[:, i].tolist()) <= set(x[:, i].tolist())


def test_two_binary_columns_have_the_tetrachoric_correlation():
    z = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    z[:, 1] = 0.8 * z[:, 0] + 0.6 * z[:, 1]
    found = fitted((z > torch.tensor([0.0, 0.5])).float(), (True, True))
    assert abs(float(found.correlation[0, 1]) - 0.8) < 0.02


def test_the_same_seed_gives_the_same_rows_and_fewer_are_the_first(copula):
    assert torch.equal(copula.sample(50, seed=4), copula.sample(50, seed=4))
    assert torch.equal(copula.sample(20, seed=4), copula.sample(50, seed=4)[:20])
    assert not torch.equal(copula.sample(50, seed=5), copula.sample(50, seed=4))


def test_cells_that_are_missing_at_random_change_little():
    x = rows()
    hidden = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    found = fitted(x.masked_fill(hidden, torch.nan), STEPPED)
    assert (found.correlation - CORRELATION).abs().max() < 0.03
    assert not found.sample(100).isnan().any()


def test_one_row_and_one_value_are_drawn_again():
    one = torch.tensor([[1.5, 2.0]])
    assert torch.equal(fitted(one, (False, True)).sample(3), one.expand(3, 2))
    x = torch.stack([torch.full((20,), 4.0), torch.arange(20.0)], 1)
    drawn = fitted(x, (False, False)).sample(30)
    assert (drawn[:, 0] == 4).all()
    assert fitted(x, (False, False)).correlation[0, 1].abs() < 1e-9
