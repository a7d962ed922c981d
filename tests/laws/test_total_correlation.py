"""The parts of the KL by which a beta-TCVAE learns, against enumeration and densities of torch."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch import distributions as D

import ptheta
from ptheta.batch import Batch
from ptheta.distributions.latents import Normal, StandardNormal
from ptheta.errors import PthetaError
from ptheta.models.variational.beta_tcvae import (
    ESTIMATORS,
    Decomposition,
    decomposition,
    stratified,
    weighted,
)
from ptheta.specs import ImageSpec
from tests.conftest import examples, tiny

SPEC = ImageSpec(1, 8, 8, 2)
N, L = 5, 2


def posteriors() -> Normal:
    """Of a data set of five examples."""
    torch.manual_seed(0)
    return Normal(2 * torch.randn(N, L).double(), torch.randn(N, L).double())


def aggregate(q: Normal) -> D.MixtureSameFamily:
    """q(z) of the whole data set."""
    return D.MixtureSameFamily(
        D.Categorical(torch.ones(len(q.mean)).double()),
        D.Independent(D.Normal(q.mean, (0.5 * q.log_var).exp()), 1),
    )


def parts(q: Normal, z: Tensor, rows: Tensor, name: str) -> Decomposition:
    """With the data set as the batch. rows: the examples that the codes belong to"""
    prior = StandardNormal(L, z.device).expand(len(z))
    log_weights = ESTIMATORS[name].log_weights(rows, N, N).double()
    if name == "weighted":
        log_weights = weighted(rows, N, None).double()
    return decomposition(z, Normal(q.mean[rows], q.log_var[rows]), q, prior, log_weights)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_on_a_whole_data_set_the_parts_are_what_they_are_defined_as(name):
    q = posteriors()
    rows = torch.arange(N).repeat(4000)
    z = Normal(q.mean[rows], q.log_var[rows]).sample()
    found = parts(q, z, rows, name)
    of_code = aggregate(q).log_prob(z)
    marginals = sum(
        aggregate(Normal(q.mean[:, j : j + 1], q.log_var[:, j : j + 1])).log_prob(z[:, j : j + 1])
        for j in range(L)
    )
    log_q = D.Normal(q.mean[rows], (0.5 * q.log_var[rows]).exp()).log_prob(z).sum(1)
    log_p = D.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(found.information, log_q - of_code)
    torch.testing.assert_close(found.correlation, of_code - marginals)
    torch.testing.assert_close(found.dimensions, marginals - log_p)
    # the KL in closed form, averaged over the data; no part is negative in the mean
    kl = D.kl_divergence(
        D.Normal(q.mean, (0.5 * q.log_var).exp()), D.Normal(torch.zeros(L).double(), 1.0)
    )
    total = torch.stack([*found]).sum(0)
    slack = 4 * total.std() / math.sqrt(len(z))
    assert abs(total.mean() - kl.sum(1).mean()) < slack
    assert all(part.mean() > 0 for part in found)
    assert found.information.mean() < math.log(N)


def test_a_code_that_is_a_product_of_its_marginals_has_no_total_correlation():
    """The data set is a grid: every mean of the first dimension with every one of the second."""
    first, second = torch.tensor([-1.0, 0.5]).double(), torch.tensor([-2.0, 0.0, 1.5]).double()
    mean = torch.cartesian_prod(first, second)
    q = Normal(mean, torch.full_like(mean, -1.0))
    z = q.sample()
    log_weights = weighted(torch.arange(6), 6, None).double()
    found = decomposition(z, q, q, StandardNormal(2, z.device).expand(6), log_weights)
    torch.testing.assert_close(found.correlation, torch.zeros(6).double(), atol=1e-6, rtol=0)
    assert found.information.abs().max() > 0.1


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_stratified_estimate_is_unbiased_over_all_batches_and_the_weighted_too_low(m):
    q, own = posteriors(), 1
    z = q.sample()[own]
    densities = D.Independent(D.Normal(q.mean, (0.5 * q.log_var).exp()), 1).log_prob(z).exp()
    truth = densities.mean()
    found = {"stratified": 0.0, "weighted": 0.0}
    others = list(combinations([n for n in range(N) if n != own], m - 1))
    for rest in others:
        batch = densities[[own, *rest]]
        row = torch.zeros(1, dtype=torch.int64)
        for name, weights in (("stratified", stratified), ("weighted", weighted)):
            found[name] += (weights(row, m, N)[0].double().exp() * batch).sum() / len(others)
    torch.testing.assert_close(found["stratified"], truth, rtol=1e-5, atol=0)
    assert found["weighted"] < truth


def test_the_number_of_examples_adds_a_constant_to_weighted_terms():
    q = posteriors()
    z, rows = q.sample(), torch.arange(N)
    prior = StandardNormal(L, z.device).expand(N)
    few, many = (decomposition(z, q, q, prior, weighted(rows, N, n).double()) for n in (None, 1000))
    constant = math.log(1000)
    torch.testing.assert_close(many.information, few.information + constant)
    torch.testing.assert_close(many.correlation, few.correlation + (L - 1) * constant)
    torch.testing.assert_close(many.dimensions, few.dimensions - L * constant)


def test_the_loss_is_the_decomposition_with_its_weights():
    """The loss differs from that of a VAE by (tc - 1) times the total correlation."""
    x = examples(SPEC, 6)
    model = tiny("beta-tcvae", SPEC, tc=3.0).eval()
    torch.manual_seed(1)
    batch = Batch(x)
    terms = model.loss(batch)
    assert set(terms) == {"reconstruction", "kl", "tc_penalty"}
    torch.testing.assert_close(terms["tc_penalty"], 2 * batch.logs["correlation"])
    assert set(tiny("beta-tcvae", SPEC, tc=1.0).loss(Batch(x))) == {"reconstruction", "kl"}
    with pytest.raises(PthetaError, match="needs the number of training examples"):
        tiny("beta-tcvae", SPEC, estimator="stratified")
    assert tiny("beta-tcvae", SPEC, estimator="stratified", examples=60).loss(Batch(x))


def test_the_penalty_lowers_the_total_correlation(tmp_path, strokes):
    found = {}
    for tc in (1.0, 20.0):
        run = ptheta.train(
            "beta-tcvae",
            strokes,
            tmp_path / f"{tc}",
            hidden=(32,),
            latent=4,
            steps=200,
            lr=3e-3,
            tc=tc,
        )
        logged = [row.get("beta-tcvae/correlation") for row in run.metrics()]
        found[tc] = [value for value in logged if value is not None][-1]
    assert found[20.0] < found[1.0]
