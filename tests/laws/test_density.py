"""log p of examples against the models' own, its ranks and floors against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm
from torch import Tensor

from ptheta import tasks
from ptheta.api.densities import interval
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.vector_data import VectorDataset
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.density import FLOORS
from tests.conftest import VECTORS, examples, tiny

SPEC = ImageSpec(1, 8, 8, 2)
PLANE = VectorSpec((Column("a", center=3.0, scale=2.0), Column("b", center=-1.0, scale=0.5)))


def dataset(spec: DataSpec, x: Tensor) -> Dataset:
    if isinstance(spec, VectorSpec):
        return VectorDataset("some", "train", x.numpy(), spec)
    assert isinstance(spec, ImageSpec)
    return ImageDataset("some", "train", x.numpy(), levels=spec.levels)


def some(spec: DataSpec, n: int) -> Dataset:
    with seeded(n):
        return dataset(spec, examples(spec, n))


@pytest.mark.parametrize(
    ("name", "spec", "relation"),
    [
        ("made", SPEC, "="),
        ("vae", SPEC, "<="),
        ("gaussian", PLANE, "="),
        ("realnvp", VECTORS, "<="),
        ("rbm", SPEC, "="),
    ],
)
def test_the_kind_of_log_p_is_the_models(name, spec, relation):
    model, data = tiny(name, spec).eval(), some(spec, 12)
    found = tasks.density(model, data, samples=4)
    assert (found.relation, found.density) == (relation, not spec.discrete)
    again = tasks.density(model, data, samples=4)
    assert torch.equal(found.log_p, again.log_p)
    assert found.log_p.shape == (12,)
    if name == "made":
        x = data.batch(slice(0, 12)).x
        with torch.no_grad():
            torch.testing.assert_close(found.log_p, model.log_prob(x).double())
    torch.testing.assert_close(found.bits, -found.log_p / math.log(2) / spec.dims)


def test_the_rank_is_the_share_of_held_out_examples_that_are_less_likely():
    model = tiny("made", SPEC).eval()
    data, held_out = some(SPEC, 9), some(SPEC, 40)
    found = tasks.density(model, data, held_out)
    wanted = (found.held_out[None] < found.log_p[:, None]).double().mean(1)
    assert torch.equal(found.below, wanted)
    assert found.log_p[found.order].diff().min() >= 0
    mean = found.mean()
    assert mean.value == pytest.approx(-found.log_p.mean().item())
    assert mean.error is not None
    alone = tasks.density(model, data)
    assert alone.held_out is alone.log_p


@pytest.mark.parametrize("levels", [2, 5])
def test_independent_pixels_are_their_histograms_and_sum_to_one(levels):
    spec = ImageSpec(1, 1, 2, levels)
    train = some(spec, 300)
    log_p = FLOORS["independent"].make(train)
    values = [round(255 * k / (levels - 1)) for k in range(levels)]
    every = torch.tensor([[a, b] for a in values for b in values], dtype=torch.uint8)
    every = every.view(-1, 1, 1, 2)
    assert log_p(every).exp().sum().item() == pytest.approx(1.0)
    x = train.batch(slice(0, 300)).x
    share = ((x[:, 0, 0, 0] == values[0]).double().sum() + 1) / (300 + levels)
    chosen = log_p(every).exp().view(levels, levels).sum(1)[0]
    assert chosen.item() == pytest.approx(share.item())


def test_histograms_of_columns_are_densities():
    spec = VectorSpec((Column("a"), Column("n", "integer"), Column("w", "category", ("x", "y"))))
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=4000), rng.poisson(3, 4000), rng.integers(0, 2, 4000)], 1)
    log_p = FLOORS["independent"].make(dataset(spec, torch.from_numpy(x).float()))
    nan = math.nan
    grid = torch.linspace(-60, 60, 60001)
    column = torch.full((len(grid), 3), nan)
    column[:, 0] = grid
    assert log_p(column).exp().sum().item() * 0.002 == pytest.approx(1.0, abs=0.01)
    counts = torch.full((40, 3), nan)
    counts[:, 1] = torch.arange(40.0)
    assert log_p(counts).exp().sum().item() == pytest.approx(1.0, abs=0.002)
    words = torch.full((2, 3), nan)
    words[:, 2] = torch.tensor([0.0, 1.0])
    assert log_p(words).exp().sum().item() == pytest.approx(1.0)
    near = torch.tensor([[0.1, nan, nan]])
    assert log_p(near).item() == pytest.approx(norm.logpdf(0.1), abs=0.1)


def test_the_gaussian_floor_is_the_density_of_the_data():
    rng = np.random.default_rng(1)
    law = multivariate_normal([3.0, -1.0], [[4.0, 0.6], [0.6, 0.25]])
    train = dataset(PLANE, torch.from_numpy(law.rvs(9000, rng)).float())
    x = torch.from_numpy(law.rvs(50, rng)).float()
    log_p = FLOORS["gaussian"].make(train)
    wanted = torch.from_numpy(law.logpdf(x.numpy()))
    torch.testing.assert_close(log_p(x), wanted, atol=0.08, rtol=0.0)
    found = tasks.density(tiny("gaussian", PLANE).eval(), dataset(PLANE, x), train=train)
    assert found.floors.keys() == FLOORS.keys()
    assert found.relation_of("gaussian") == "="


def test_the_gaussian_floor_bounds_what_has_bins_and_has_not_seen_the_noise_of_what_it_rates():
    """Of fewer examples than numbers as well, where noise that both share would fit it."""
    x = examples(SPEC, 30)
    found = tasks.density(tiny("made", SPEC).eval(), dataset(SPEC, x), train=dataset(SPEC, x))
    assert found.relation_of("gaussian") == "<="
    nats = -found.floors["gaussian"]
    assert 0 < nats.mean() < 2 * SPEC.dims * math.log(2)
    assert nats.min() > 0  # of what has a probability
    mixed = tasks.density(
        tiny("gaussian", VECTORS).eval(), some(VECTORS, 40), train=some(VECTORS, 90)
    )
    assert mixed.density
    assert mixed.relation_of("gaussian") == "<="
    assert mixed.relation_of("independent") == "="


def test_too_few_examples_have_no_interval():
    model = tiny("made", SPEC).eval()
    assert tasks.density(model, some(SPEC, 3)).mean().error is None
    assert interval(tasks.density(model, some(SPEC, 3)).mean()) is None
    low, high = interval(tasks.density(model, some(SPEC, 9)).mean()) or (0.0, 0.0)
    assert low < high
