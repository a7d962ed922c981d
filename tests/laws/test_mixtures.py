"""Mixtures and kernel densities: EM against its laws and scikit-learn, and enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch import Tensor

from ptheta import config
from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.models.mixtures.components import Kept
from ptheta.models.mixtures.kde import KDEConfig
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec
from tests.conftest import VECTORS, examples, tiny

BINARY = ImageSpec(1, 2, 3, 2)
LEVELS = ImageSpec(1, 2, 3, 8)
PLANE = VectorSpec.of(2)
KINDS = [("full", LEVELS), ("diagonal", LEVELS), ("bernoulli", BINARY), ("full", PLANE)]


def every_image() -> Tensor:
    """All 64 images of `BINARY`."""
    return torch.tensor(list(itertools.product((0, 255), repeat=6)), dtype=torch.uint8).view(
        -1, 1, 2, 3
    )


def points(n: int = 600, seed: int = 0) -> Tensor:
    """Of three Gaussians that lie apart, one of them correlated."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.multivariate_normal(mean, covariance, n // 3)
        for mean, covariance in (
            ((-2, 0), ((0.2, 0.1), (0.1, 0.3))),
            ((2, 1), ((0.3, -0.2), (-0.2, 0.4))),
            ((0, 3), ((0.1, 0), (0, 0.1))),
        )
    ]
    return torch.from_numpy(rng.permutation(np.concatenate(parts))).float()


def data_of(spec: DataSpec) -> Tensor:
    return points() if spec == PLANE else examples(spec, 120)


def batches(x: Tensor, size: int = 50) -> list[Batch]:
    return [Batch(part) for part in x.split(size)]


def fitted(x: Tensor, spec: DataSpec, passes: int = 40, **options: Any) -> Any:
    """told: the objective before each pass"""
    model = tiny("mixture", spec, **{"components": 3, "tolerance": 0.0, **options})
    with torch.no_grad():
        steps = itertools.islice(model.fit(batches(x)), passes)
        model.told = [-told["negative_objective"] for told in steps]
    return model


@pytest.mark.parametrize("prior", [0.0, 1.0])
@pytest.mark.parametrize(("kind", "spec"), KINDS)
def test_no_pass_of_em_lowers_the_objective(kind, spec, prior):
    model = fitted(data_of(spec), spec, component=kind, prior=prior, components=4)
    rises = np.diff(model.told)
    assert (rises > -1e-5).all()
    assert rises.sum() > 1e-3


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_no_pass_lowers_the_objective_of_rows_that_lack_cells(kind):
    spec = VectorSpec(tuple(Column(name, missing=True) for name in "ab"))
    x = points()
    torch.manual_seed(1)
    x[torch.rand(len(x)) < 0.3, 0] = torch.nan
    x[(torch.rand(len(x)) < 0.3) & ~x[:, 0].isnan(), 1] = torch.nan
    model = fitted(x, spec, component=kind)
    assert (np.diff(model.told) > -1e-5).all()
    whole = fitted(points(), PLANE, component=kind)
    x = points(seed=1)
    assert (model.elbo(x).mean() - whole.elbo(x).mean()).abs() < 0.1


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_em_is_that_of_scikit_learn(kind):
    """Of the same start: the same weights, means and covariances after five passes."""
    x = points().double()
    starts = x[:3]
    other = GaussianMixture(
        3,
        covariance_type={"full": "full", "diagonal": "diag"}[kind],
        weights_init=[0.3, 0.3, 0.4],
        means_init=starts.numpy(),
        precisions_init=np.stack([np.eye(2)] * 3) if kind == "full" else np.ones((3, 2)),
        max_iter=5,
        tol=0,
    )
    with pytest.warns(match="converge"):
        other.fit(x.numpy())
    with torch.random.fork_rng():
        torch.set_default_dtype(torch.float64)
        try:
            model = tiny("mixture", PLANE, components=3, component=kind, prior=0.0)
        finally:
            torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        model._keep(
            torch.tensor([0.3, 0.3, 0.4]).double(),
            model.kind.start(starts, torch.ones(2).double()),
        )
        model.begun.fill_(True)
        told = list(itertools.islice(model.fit(batches(x.float())), 5))
    assert len(told) == 5
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    kept = model.kept()
    torch.testing.assert_close(model.log_weight.exp(), torch.from_numpy(other.weights_), **close)
    torch.testing.assert_close(kept.mean, torch.from_numpy(other.means_), **close)
    torch.testing.assert_close(kept.spread, torch.from_numpy(other.covariances_), **close)
    mine = model.log_density(x)
    torch.testing.assert_close(mine, torch.from_numpy(other.score_samples(x.numpy())), **close)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_one_component_is_the_gaussian_in_closed_form(ridge):
    x = examples(LEVELS, 300)
    model = fitted(x, LEVELS, components=1, ridge=ridge, prior=0.0, passes=3)
    gaussian = tiny("gaussian", LEVELS, ridge=ridge)
    with torch.no_grad():
        (told,) = gaussian.fit(batches(x))
    v = model.numbers.of(x)
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(model.log_density(v), gaussian.log_density(v), **close)
    if not ridge:  # of which the objective of a mixture has its share
        assert model.told[-1] == pytest.approx(-told["negative_elbo"], abs=1e-3)


def test_probabilities_of_all_binary_images_sum_to_one():
    model = fitted(examples(BINARY, 120), BINARY, component="bernoulli")
    assert model.exact()
    assert model.elbo(every_image()).exp().sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(model.importance_bound(every_image(), 7), model.elbo(every_image()))


def test_a_bernoulli_mixture_explains_the_data_better_than_independent_pixels():
    torch.manual_seed(0)
    on = torch.rand(400, 1, 2, 3) < 0.9
    x = (on ^ (torch.rand(400, 1, 1, 1) < 0.5)).to(torch.uint8) * 255
    two, one = (fitted(x, BINARY, component="bernoulli", components=k) for k in (2, 1))
    assert two.elbo(x).mean() > one.elbo(x).mean() + 0.5


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_a_density_integrates_to_one(kind, dims):
    spec = VectorSpec.of(dims)
    model = fitted(points()[:, :dims], spec, component=kind)
    assert model.exact()
    side = torch.linspace(-8, 10, 400 if dims == 2 else 20_000)
    grid = torch.cartesian_prod(*[side] * dims).view(-1, dims)
    step = (side[1] - side[0]).item() ** dims
    assert model.elbo(grid).double().exp().sum().item() * step == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_completions_of_binary_images_are_those_of_bayes(seed):
    """p(unknown | known) by enumeration, against the frequencies of many draws."""
    model = fitted(examples(BINARY, 120), BINARY, component="bernoulli")
    torch.manual_seed(seed)
    every, x = every_image(), every_image()[37 + seed]
    known = torch.rand(1, 2, 3) < 0.5
    fits = (every == x).logical_or(~known).flatten(1).all(1)
    wanted = model.elbo(every).masked_fill(~fits, -math.inf).softmax(0)
    n = 20_000
    drawn = model.complete(x.expand(n, -1, -1, -1), known.expand(n, -1, -1, -1))
    place = (drawn.flatten(1) > 0).long() @ 2 ** torch.arange(5, -1, -1)
    seen = torch.bincount(place, minlength=64) / n
    assert ((seen - wanted).abs() < 4 * (wanted * (1 - wanted) / n).sqrt() + 1e-9).all()
    mean = model.kind.expected(
        model.kept(),
        (v := model.numbers.of(x[None]).masked_fill(~known.flatten()[None], torch.nan)),
        model.joint(v).softmax(1),
    )
    by_hand = (wanted.double() @ (every.flatten(1) > 0).double())[None] + 0.5
    torch.testing.assert_close(mean, by_hand, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_completions_of_points_are_the_conditional_density(kind):
    """The first number given the second, by integration on a grid."""
    model = fitted(points(), PLANE, component=kind)
    side, at = torch.linspace(-5, 5, 2001).double(), 1.5
    grid = torch.stack([side, torch.full_like(side, at)], 1).float()
    p = model.elbo(grid).double().softmax(0)
    known = torch.tensor([[False, True]])
    x = torch.tensor([[torch.nan, at]]).expand(20_000, 2)
    drawn = model.complete(x, known.expand(len(x), 2))[:, 0].double()
    mean = p @ side
    deviation = (p @ (side - mean).square()).sqrt()
    assert (drawn.mean() - mean).abs() < 4 * deviation / len(x) ** 0.5
    assert drawn.std() == pytest.approx(deviation.item(), rel=0.05)
    told = model.conditional_mean(x[:1], known)
    assert told[0, 0].item() == pytest.approx(mean.item(), abs=1e-3)


def test_clusters_are_those_that_the_points_were_drawn_from():
    x = points(600)
    model = fitted(x, PLANE)
    own = model.cluster(x)
    centres = torch.tensor([[-2.0, 0], [2, 1], [0, 3]])
    nearest = torch.cdist(x, centres).argmin(1)
    assert sum(len(own[nearest == k].unique()) for k in range(3)) <= 5
    assert (torch.stack([nearest, own]).unique(dim=1).shape[1]) >= 3
    torch.testing.assert_close(model.encode(x).sum(1), torch.ones(len(x)))


@pytest.mark.parametrize(("kind", "spec"), KINDS)
def test_samples_have_the_moments_of_the_mixture(kind, spec):
    model = fitted(data_of(spec), spec, component=kind)
    v = model.numbers.of(model.sample(20_000))
    kept: Kept = model.kept()
    wanted = model.log_weight.exp().double() @ kept.mean
    assert ((v.mean(0) - wanted).abs() < 0.1).all()


def test_a_component_without_examples_keeps_what_it_is():
    """Two examples, four components: nothing is NaN, and the objective does not fall."""
    x = points()[:2]
    model = fitted(x, PLANE, components=4, ridge=0.1, prior=0.0, passes=10)
    assert all(p.isfinite().all() for p in model.parameters())
    assert (np.diff(model.told) > -1e-5).all()


def test_what_cannot_be_mixed_is_said_in_one_line():
    with pytest.raises(PthetaError, match=r"2 levels.*give --levels 2"):
        tiny("mixture", LEVELS, component="bernoulli")
    with pytest.raises(PthetaError, match="ridge"):
        tiny("mixture", BINARY, component="bernoulli", ridge=1.0)


def test_a_width_that_cannot_be_kept_is_said_in_one_line():
    with pytest.raises(PthetaError, match="give 1e-30 or more, or 0"):
        tiny("kde", BINARY, kernel="bernoulli", width=1e-46)
    with pytest.raises(PthetaError, match="width"):
        config.build(KDEConfig, {"width": 1e300})


def test_rows_of_tables_are_mixed_with_words_and_whole_numbers():
    model = fitted(examples(VECTORS, 200), VECTORS, ridge=1e-2)
    assert not model.exact()
    assert VECTORS.check_drawn(model.sample(50)).shape == (50, 4)


# -- kernel densities


def windows(x: Tensor, spec: DataSpec, **options: Any) -> Any:
    model = tiny("kde", spec, **{"centres": 1000, **options})
    with torch.no_grad():
        (model.told,) = model.fit(batches(x))
    return model


@pytest.mark.parametrize("dims", [1, 2])
def test_a_kernel_density_is_that_of_scikit_learn(dims):
    x, spec = points()[:, :dims], VectorSpec.of(dims)
    model = windows(x, spec)
    assert model.exact()
    width = (model.h * model.scale[0]).item()
    other = KernelDensity(bandwidth=width).fit(x.double().numpy())
    grid = points(seed=5)[:, :dims]
    wanted = torch.from_numpy(other.score_samples(grid.double().numpy()))
    torch.testing.assert_close(model.log_density(grid), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("each", [False, True])
def test_a_kernel_density_integrates_to_one(each):
    x = points(90) * torch.tensor([1.0, 3.0])
    model = windows(x, PLANE, each=each)
    side = torch.linspace(-12, 20, 160)
    p = model.elbo(torch.cartesian_prod(side, side)).double().exp().sum()
    assert p.item() * (side[1] - side[0]).item() ** 2 == pytest.approx(1, abs=1e-3)


def test_the_width_is_the_likeliest_of_each_point_under_the_others():
    """Against scikit-learn, point by point."""
    x = points(90)
    model = windows(x, PLANE)
    scale, best = model.scale[0].item(), model.h.item()

    def left_out(width: float) -> float:
        rest = (np.delete(x.double().numpy(), i, 0) for i in range(len(x)))
        fits = (KernelDensity(bandwidth=width).fit(r) for r in rest)
        pairs = zip(fits, x.double().numpy(), strict=True)
        return float(np.mean([fit.score_samples(one[None])[0] for fit, one in pairs]))

    assert left_out(best * scale) == pytest.approx(-model.told["negative_log_p"], abs=1e-3)
    for factor in (0.8, 1.25):
        assert left_out(best * factor * scale) < left_out(best * scale)


@pytest.mark.parametrize(
    ("rule", "wanted"), [("scott", 90 ** (-1 / 6)), ("silverman", 90 ** (-1 / 6))]
)
def test_rules_of_the_width(rule, wanted):
    """In two dimensions both rules are one."""
    model = windows(points(90), PLANE, rule=rule, each=True)
    assert model.h.item() == pytest.approx(wanted)
    torch.testing.assert_close(model.scale, points(90).std(0, correction=0), rtol=1e-4, atol=1e-5)


def test_probabilities_of_all_binary_images_under_windows_sum_to_one():
    x = every_image()[::3]
    model = windows(x, BINARY, kernel="bernoulli", width=0.1)
    assert model.exact()
    every = every_image()
    differ = (every.flatten(1)[:, None] != x.flatten(1)).sum(2)
    wanted = (0.1**differ * 0.9 ** (6 - differ)).mean(1)
    torch.testing.assert_close(model.elbo(every).exp(), wanted)
    assert wanted.sum().item() == pytest.approx(1)


def test_completions_by_windows_are_those_of_bayes():
    model = windows(every_image()[[3, 17, 40, 41]], BINARY, kernel="bernoulli", width=0.15)
    every, x = every_image(), every_image()[37]
    known = torch.tensor([[[True, False, True], [True, False, False]]])
    fits = (every == x).logical_or(~known).flatten(1).all(1)
    wanted = model.elbo(every).masked_fill(~fits, -math.inf).softmax(0)
    n = 20_000
    drawn = model.complete(x.expand(n, -1, -1, -1), known.expand(n, -1, -1, -1))
    place = (drawn.flatten(1) > 0).long() @ 2 ** torch.arange(5, -1, -1)
    seen = torch.bincount(place, minlength=64) / n
    assert ((seen - wanted).abs() < 4 * (wanted * (1 - wanted) / n).sqrt() + 1e-9).all()


def test_the_mean_given_what_is_known_is_kernel_regression():
    x = points(90)
    model = windows(x, PLANE, width=0.3)
    at, known = torch.tensor([[torch.nan, 0.7]]), torch.tensor([[False, True]])
    width = 0.3 * model.scale[0]
    weight = (-0.5 * ((x[:, 1] - 0.7) / width).square()).softmax(0)
    found = model.conditional_mean(at, known)[0, 0]
    torch.testing.assert_close(found, weight @ x[:, 0], rtol=1e-4, atol=1e-4)


def test_samples_are_training_examples_with_noise():
    x = points(30)
    model = windows(x, PLANE, width=1e-3)
    assert torch.cdist(model.sample(50), x).min(1).values.max() < 0.05
    images = examples(LEVELS, 20)
    model = windows(images, LEVELS, width=1e-3)
    drawn = model.sample(50).flatten(1)
    assert (drawn[:, None] == images.flatten(1)).all(2).any(1).all()


def test_at_most_so_many_centres_are_kept_any_as_likely():
    x = torch.arange(200.0)[:, None]
    kept = torch.cat([windows(x, VectorSpec.of(1), centres=20).centres for _ in range(1)])
    assert len(kept) == 20
    assert len(kept.unique()) == 20
    torch.manual_seed(0)
    counts = torch.zeros(200)
    for _ in range(100):
        with torch.no_grad():
            model = tiny("kde", VectorSpec.of(1), centres=20, width=1.0)
            torch.manual_seed(int(counts.sum()) + 1)
            list(model.fit(batches(x)))
        counts[model.centres[:, 0].long()] += 1
    assert (counts - 10).abs().max() < 5 * (10 * 0.9) ** 0.5
