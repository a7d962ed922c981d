"""The Gaussian in closed form, against sample moments and torch's distributions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import distributions as D

from ptheta.batch import Batch
from ptheta.models.mixtures.covariance import COVARIANCES, moments
from ptheta.specs import ImageSpec, from_levels
from tests.conftest import tiny

SPEC = ImageSpec(1, 2, 3, 16)
KINDS = list(COVARIANCES)


def levels(n: int = 400) -> Tensor:
    """Correlated level numbers, (n, D)."""
    torch.manual_seed(2)
    mixed = torch.randn(n, 6) @ (torch.eye(6) + 0.5 * torch.randn(6, 6))
    return (8 + 2 * mixed).round().clamp(0, 15).long()


def fitted(kind: str, k: Tensor, ridge: float = 0.0, size: int = 70) -> Any:
    model = tiny("gaussian", SPEC, covariance=kind, ridge=ridge)
    x = from_levels(k, SPEC.levels).view(-1, *SPEC.shape)
    with torch.no_grad():
        model.told = list(model.fit([Batch(part) for part in x.split(size)]))
    return model


def wanted(kind: str, k: Tensor, ridge: float) -> Tensor:
    """The covariance of k + u, in float64."""
    full = torch.cov(k.double().T, correction=0)
    eye = torch.eye(len(full), dtype=torch.float64)
    variances = full.diagonal()
    kept = {"full": full, "diagonal": variances.diag(), "isotropic": variances.mean() * eye}[kind]
    return kept + (1 / 12 + ridge) * eye


def covariance(model: Any) -> Tensor:
    eye = torch.eye(SPEC.dims, dtype=torch.float64)
    rows = model.kind.apply(model.factor.double(), eye)  # of F^T: F e of each unit vector e
    return rows.T @ rows


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("kind", KINDS)
def test_the_fit_is_the_sample_mean_and_covariance(kind, ridge):
    k = levels()
    model = fitted(kind, k, ridge)
    close: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(model.mean.double(), k.double().mean(0) + 0.5, **close)
    torch.testing.assert_close(covariance(model), wanted(kind, k, ridge), **close)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_do_not_depend_on_batches_or_on_a_large_mean(kind):
    x = torch.randn(100, 5, dtype=torch.float64) * torch.arange(1, 6)
    how = COVARIANCES[kind]
    whole = moments([x], how)
    for size in (1, 7, 99):
        parts = moments((x + 1e7).split(size), how)
        assert parts.n == 100
        torch.testing.assert_close(parts.mean - 1e7, whole.mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(parts.covariance, whole.covariance, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_is_that_of_torch(kind):
    k = levels()
    model = fitted(kind, k, 0.1)
    v = k.double() + torch.rand(k.shape, dtype=torch.float64)
    reference = D.MultivariateNormal(model.mean.double(), covariance(model))
    torch.testing.assert_close(model.log_density(v), reference.log_prob(v), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("kind", KINDS)
def test_the_logged_bound_is_the_mean_over_the_training_images(kind, ridge):
    k = levels()
    model = fitted(kind, k, ridge)
    x = from_levels(k, SPEC.levels).view(-1, *SPEC.shape)
    values = torch.stack([model.elbo(x) for _ in range(60)]).mean(0)
    spread = 4 * values.std().item() / math.sqrt(60 * len(x)) + 0.02
    assert abs(-values.mean().item() - model.told[0]["negative_elbo"]) < spread


@pytest.mark.parametrize("kind", KINDS)
def test_maximum_likelihood_is_a_maximum(kind):
    """Any other mean or width explains the training images less well."""
    k = levels()
    model = fitted(kind, k)
    v = k.double() + torch.rand(k.shape, dtype=torch.float64)
    best = model.log_density(v).mean()
    for name, change in (("mean", 0.5), ("factor", 0.2)):
        for sign in (1, -1):
            other = fitted(kind, k)
            with torch.no_grad():
                values = dict(other.named_parameters())[name]
                values.add_(sign * change * (1 if name == "mean" else values))
            assert other.log_density(v).mean() < best


def test_the_bound_is_below_the_probability_and_tightens_to_it():
    """One sub-pixel: the probability of a level is an integral over its bin."""
    spec = ImageSpec(1, 1, 1, 4)
    model = tiny("gaussian", spec)
    with torch.no_grad():
        model.mean.fill_(1.3)
        model.factor.fill_(0.6)
    x = from_levels(torch.arange(4).view(4, 1, 1, 1), 4)
    edges = D.Normal(1.3, 0.6).cdf(torch.arange(5.0))
    exact = (edges[1:] - edges[:-1]).log()
    elbo = torch.stack([model.elbo(x) for _ in range(300)])
    assert (elbo.mean(0) < exact + 4 * elbo.std(0) / 300**0.5).all()
    torch.testing.assert_close(model.importance_bound(x, 20_000), exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments_of_the_model(kind):
    k = (4 + 8 * torch.rand(400, 6)).round().long()
    model = fitted(kind, k)
    x = model.sample(20_000).view(-1, 6).double() / 17
    assert ((x.mean(0) + 0.5 - model.mean.double()).abs() < 0.1).all()
    torch.testing.assert_close(torch.cov(x.T), covariance(model), atol=0.25, rtol=0.05)
