"""Repairing damaged images: a Gaussian against its posterior mean, floors and measures against
formulas of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from ptheta import tasks
from ptheta.batch import Batch
from ptheta.corruption import NOISES, corrupt
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, from_unit
from ptheta.tasks.denoise import FLOORS, MEASURES, Damage, repaired, score
from ptheta.tasks.denoise.floors import Clean
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.denoise.score import better, ends, measured
from tests.conftest import tiny

SPEC = ImageSpec(1, 12, 12)
LEVELS = [("gaussian", 0.3), ("masking", 0.4), ("salt-and-pepper", 0.3)]


def waves(n: int, seed: int = 0, scale: float = 0.05) -> Tensor:
    """Correlated Gaussian images around grey, far from black and white."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(9).normal(size=(6, SPEC.dims))
    u = 0.5 + scale * rng.normal(size=(n, 6)) @ basis / math.sqrt(6)
    u += 0.01 * rng.normal(size=u.shape)
    return from_unit(torch.from_numpy(u)).view(n, *SPEC.shape)


def fitted(x: Tensor, spec: ImageSpec = SPEC, **config: Any) -> Any:
    model = tiny("gaussian", spec, **config)
    with torch.no_grad():
        for _ in model.fit([Batch(x)]):
            pass
    return model.eval()


GAUSSIAN = fitted(waves(2000))


@pytest.mark.parametrize(("noise", "level"), LEVELS)
def test_a_noise_has_the_moments_that_it_says(noise, level):
    values = torch.tensor([0, 20, 128, 250, 255], dtype=torch.uint8)
    n = 40_000
    torch.manual_seed(0)
    y = corrupt(values[:, None].expand(-1, n).contiguous(), noise, level).double() / 255
    moments = NOISES[noise].moments
    assert moments is not None
    first, second = moments(values.double() / 255, level)
    for found, said in ((y, first), (y.square(), second)):
        error = found.std(1) / math.sqrt(n) + 1 / 255 / 10
        assert ((found.mean(1) - said).abs() < 4 * error).all()


@pytest.mark.parametrize("noise", NOISES)
def test_no_damage_has_the_moments_of_the_value_itself(noise):
    u = torch.linspace(0, 1, 11).double()
    moments = NOISES[noise].moments
    assert moments is not None
    torch.testing.assert_close(moments(u, 0.0), (u, u.square()))
    torch.testing.assert_close(moments(u, 1e-9), (u, u.square()), atol=1e-8, rtol=0)


@pytest.mark.parametrize(("level", "mean", "square"), [(1e-320, None, None), (1e300, 0.5, 0.5)])
def test_gaussian_noise_of_any_level_has_moments(level, mean, square):
    """Next to none leaves a value, and of utter noise half is black and half white."""
    u = torch.linspace(0, 1, 11).double()
    moments = NOISES["gaussian"].moments
    assert moments is not None
    first, second = moments(u, level)
    want = (u, u.square()) if mean is None else (mean + 0 * u, square + 0 * u)
    torch.testing.assert_close((first, second), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(moments(u, 1e17)[1], 0.5 + 0 * u, atol=1e-4, rtol=0)
    back = GAUSSIAN.denoise(waves(2, seed=1), "gaussian", level)
    assert back.dtype == torch.uint8


def test_a_gaussian_gives_the_posterior_mean_of_gaussian_noise():
    """E[v | y] = m + C (C + s^2 I)^-1 (y - m), where nothing is clipped."""
    level, x = 0.03, waves(50, seed=1)
    damaged = Damage("gaussian", level).of(x)
    assert damaged.min() > 0
    assert damaged.max() < 255
    law = GAUSSIAN.law()
    mean, covariance = (law.mean - 0.5) / 255, law.covariance / 255**2
    y = damaged.flatten(1).double() / 255 - mean
    noise = level**2 * torch.eye(SPEC.dims, dtype=torch.float64)
    wanted = mean + (covariance @ torch.linalg.inv(covariance + noise) @ y.T).T
    found = repaired(GAUSSIAN, damaged, Damage("gaussian", level)).flatten(1).double()
    assert (found - 255 * wanted).abs().max() < 0.51  # it is rounded


def test_it_beats_every_scalar_shrinkage():
    level, x = 0.06, waves(300, seed=2)
    damaged, found = tasks.denoise(GAUSSIAN, x, "gaussian", level)
    mean = (GAUSSIAN.law().mean - 0.5).view(SPEC.shape)
    away = damaged.double() - mean

    def error(made: Tensor) -> float:
        return (made - x).square().mean().item()

    shrunk = min(error(mean + share * away) for share in torch.linspace(0, 1, 101).tolist())
    assert error(found.double()) < 0.5 * shrunk


@pytest.mark.parametrize(("noise", "level"), [("masking", 0.4), ("salt-and-pepper", 0.3)])
def test_of_other_noise_it_is_the_best_linear_estimate(noise, level):
    """Its error is that of the regression of clean images on many damaged ones."""
    spec, n = ImageSpec(1, 2, 3), 6000
    rng = np.random.default_rng(0)
    u = 0.5 + 0.1 * rng.normal(size=(n, 6)) @ np.random.default_rng(1).normal(size=(6, 6)) / 2
    x = from_unit(torch.from_numpy(u)).view(n, *spec.shape)
    damaged, found = tasks.denoise(fitted(x, spec), x, noise, level)
    seen = np.hstack([damaged.flatten(1).double().numpy(), np.ones((n, 1))])
    true = x.flatten(1).double().numpy()
    least = np.square(seen @ np.linalg.lstsq(seen, true, rcond=None)[0] - true).mean()
    error = (found.double() - x.double()).square().mean().item()
    assert error == pytest.approx(least, rel=0.02)


def test_clipped_noise_is_no_brighter_where_all_is_black():
    """Clipping makes the noise of black pixels brighter; the estimate takes that back."""
    x = waves(400)
    x[..., :4] = 0
    model = fitted(x)
    found = tasks.denoise(model, x[:100], "gaussian", 0.5)[1]
    assert found[..., :4].float().mean() < 2


def test_of_nothing_but_noise_the_mean_is_left():
    mean = (GAUSSIAN.law().mean - 0.5).view(SPEC.shape)
    for noise, level in (("gaussian", 1e6), ("masking", 1.0), ("salt-and-pepper", 1.0)):
        found = tasks.denoise(GAUSSIAN, waves(5), noise, level)[1]
        assert (found.double() - mean).abs().max() < 1


def test_level_0_changes_nothing():
    x = waves(5)
    for noise in NOISES:
        damaged, found = tasks.denoise(GAUSSIAN, x, noise, 0.0)
        assert torch.equal(damaged, x)
        assert torch.equal(found, x)
    below = tasks.denoise(GAUSSIAN, x, "gaussian", 1e-4)[1]
    assert (below.int() - x.int()).abs().max() <= 1  # nor does next to nothing


@pytest.mark.parametrize("name", ["gaussian", "vae", "ae"])
def test_what_comes_out_does_not_depend_on_the_batch(name):
    model, x = GAUSSIAN if name == "gaussian" else tiny(name, SPEC).eval(), waves(23, seed=3)
    clean, damage = Clean(waves(40, 4), waves(20, 5)), Damage("salt-and-pepper", 0.2, seed=3)
    whole = score(model, x, damage, clean)
    for size in (1, 5, 23):
        for one, other in zip(score(model, x, damage, clean, batch_size=size), whole, strict=True):
            assert (one.images.int() - other.images.int()).abs().max() <= 1
            for key, value in one.values.items():
                assert value.value == pytest.approx(other.values[key].value, rel=1e-4)
    assert torch.equal(damage.of(x[7:9], [7, 8]), damage.of(x)[7:9])


def test_the_median_is_that_of_the_window():
    x = corrupt(waves(60).view(30, 2, *SPEC.shape[1:]), "salt-and-pepper", 0.5)
    plain = FLOORS["median"].plain
    assert plain is not None
    assert (plain(x).numpy() == median_filter(x.numpy(), (1, 1, 3, 3))).all()


def test_components_are_the_singular_vectors_and_their_number_the_best():
    train, held, test = waves(60), waves(40, 1), waves(10, 2)
    found = Principal.of(train)
    u = train.flatten(1).numpy() / 255
    _, _, axes = np.linalg.svd(u - u.mean(0), full_matrices=False)
    y = test.flatten(1).numpy() / 255 - u.mean(0)
    for k in (0, 3, 6):
        wanted = u.mean(0) + y @ axes[:k].T @ axes[:k]
        assert np.abs(found.image(test, k).flatten(1).numpy() - 255 * wanted).max() < 0.51
    damaged = Damage("gaussian", 0.05).of(held)

    def error(k: int) -> float:
        axes = found.axes[:, :k]
        y = damaged.flatten(1).double() / 255 - found.mean
        return (found.mean + y @ axes @ axes.T - held.flatten(1) / 255).square().sum().item()

    errors = [error(k) for k in range(found.axes.shape[1] + 1)]
    assert found.best(damaged, held) == int(np.argmin(errors))
    assert found.best(held, held) > 6  # without noise all of them help


def test_the_table_holds_what_is_computed_by_hand():
    x, damage = waves(30, seed=6), Damage("gaussian", 0.1)
    clean = Clean(waves(100, 7), waves(50, 8))
    found = {one.name: one for one in score(GAUSSIAN, x, damage, clean)}
    assert list(found) == ["model", *FLOORS]
    assert torch.equal(found["noisy"].images, damage.of(x))
    for one in found.values():
        gap = (one.images.double() - x.double()).square().flatten(1).mean(1)
        each = 10 * torch.log10(255**2 / gap)
        assert one.values["psnr"].value == pytest.approx(each.mean().item(), rel=1e-12)
        sides = ends(one.values["psnr"])
        assert sides is not None
        half = 2.093 * each.std().item() / math.sqrt(len(x))  # Student's t, 19 degrees of freedom
        assert (sides[1] - sides[0]) / 2 == pytest.approx(half, rel=0.35)
        by_hand = MEASURES["ssim"].each(one.images, x).mean().item()
        assert one.values["ssim"].value == pytest.approx(by_hand)
    assert better(found["noisy"], found["model"]) == {}
    assert set(better(found["model"], found["noisy"])) == set(MEASURES)


def test_small_images_have_no_structural_similarity():
    x = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    assert list(measured("model", x, x).values) == ["psnr"]


@pytest.mark.parametrize(
    ("noise", "level", "words"),
    [
        ("rain", 0.5, "unknown noise"),
        ("gaussian", -0.1, "want 0 or more"),
        ("gaussian", math.inf, "want 0 or more, and finite"),
        ("gaussian", math.nan, "want 0 or more"),
        ("masking", 1.5, "want a probability"),
    ],
)
def test_a_damage_that_is_none_is_one_line(noise, level, words):
    for call in (lambda: Damage(noise, level), lambda: GAUSSIAN.denoise(waves(2), noise, level)):
        with pytest.raises(PthetaError, match=words) as said:
            call()
        assert "\n" not in str(said.value)


def test_who_cannot_repair_is_told_what_is_missing_and_who_can():
    with pytest.raises(PthetaError, match="no `decode` and no `encode`") as said:
        tasks.denoise(tiny("made", SPEC), waves(2), "masking", 0.5)
    assert "models that can" in str(said.value)
    with pytest.raises(PthetaError, match="no images to repair"):
        score(GAUSSIAN, waves(0), Damage("gaussian", 0.1))
