"""Precision and recall, memorisation, similarity and extrapolation: against brute force, other
libraries, closed forms, and what each should see."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.data import open_images
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors.features import extract
from ptheta.extractors.table import load_extractor
from ptheta.measures import prdc as module
from ptheta.measures.memorisation import (
    copying_test,
    cosine_distance,
    memorisation_factor,
    nearest,
)
from ptheta.measures.prdc import manifold, radii
from ptheta.measures.results import Result
from ptheta.measures.similarity import WEIGHTS, ms_ssim, scales, similarity
from ptheta.metrics.baselines import BASELINES
from ptheta.metrics.context import Context, Given
from ptheta.metrics.evaluate import evaluate_images
from ptheta.metrics.metric import Section, measure
from ptheta.metrics.table import METRICS


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.double) + shift


def brute(real: torch.Tensor, fake: torch.Tensor, k: int) -> tuple[float, float, float, float]:
    """The definitions, one pair at a time."""

    def ball(x, i):
        others = sorted(float((x[i] - x[j]).norm()) for j in range(len(x)) if j != i)
        return others[k - 1]

    r = [ball(real, i) for i in range(len(real))]
    s = [ball(fake, i) for i in range(len(fake))]
    inside = np.array([[(f - x).norm().item() <= r[i] for i, x in enumerate(real)] for f in fake])
    recalled = [any((f - x).norm().item() <= s[j] for j, f in enumerate(fake)) for x in real]
    return (
        inside.any(1).mean(),
        float(np.mean(recalled)),
        inside.sum() / (k * len(fake)),
        inside.any(0).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_four_are_their_definitions(k, monkeypatch):
    real, fake = normal(40, 3, 0), normal(30, 3, 1, 0.5)
    wanted = brute(real, fake, k)
    found, draws = manifold(real, fake, k)
    assert tuple(found) == pytest.approx(wanted)
    monkeypatch.setattr(module, "PAIRS", 7)  # one row at a time
    assert manifold(real, fake, k) == (found, draws)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 300, 20), (400, 250, 64)])
def test_the_four_agree_with_prdc(n, m, d):
    prdc = pytest.importorskip("prdc")
    real, fake = normal(n, d, 2), normal(m, d, 3, 0.2)
    theirs = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    found, _ = manifold(real, fake, 5)
    for name, value in found._asdict().items():
        assert value == pytest.approx(theirs[name], abs=1e-4), name


def test_what_each_of_the_four_sees():
    real = normal(500, 4, 0)
    again, _ = manifold(real, normal(500, 4, 1))
    assert min(again) > 0.75
    few_modes, _ = manifold(real, normal(500, 4, 1) * 0.3)
    assert few_modes.precision > 0.95
    assert few_modes.recall < 0.5
    assert few_modes.coverage < again.coverage
    noisy, _ = manifold(real, normal(500, 4, 1) * 3)
    assert noisy.precision < 0.5
    assert noisy.recall > 0.75
    away, _ = manifold(real, normal(500, 4, 1, 100.0))
    assert tuple(away) == (0, 0, 0, 0)


def test_a_common_shift_far_away_changes_nothing():
    real, fake = normal(200, 8, 0), normal(200, 8, 1)
    assert manifold(real + 1e4, fake + 1e4)[0] == manifold(real, fake)[0]


def test_an_image_is_no_neighbour_of_itself_and_ties_are_inside():
    x = torch.tensor([[0.0], [1.0], [3.0]])
    assert radii(x, 1).tolist() == [1, 1, 4]
    assert radii(x, 2).tolist() == [9, 4, 9]
    found, _ = manifold(x, torch.tensor([[2.0], [9.0]]), 1)
    assert found.precision == 0.5  # 2 lies on the border of the ball of 1 and in that of 3
    for bad in (0, 3):
        with pytest.raises(PthetaError, match="give a k from 1 to 2"):
            radii(x, bad)
    with pytest.raises(PthetaError, match="by the same extractor"):
        manifold(x, torch.zeros(3, 2), 1)


# -- memorisation


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=40),
    st.lists(st.integers(0, 9), min_size=3, max_size=40),
)
def test_the_copying_test_is_mann_whitneys_with_ties(a, b):
    x, y = torch.tensor(a).float(), torch.tensor(b).float()
    z = copying_test(x, y)
    assert copying_test(y, x) == pytest.approx(-z, abs=1e-9)
    if len(set(a + b)) > 1:
        p = scipy.stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic").pvalue
        assert 2 * scipy.stats.norm.sf(abs(z)) == pytest.approx(p, abs=1e-9)
    else:
        assert z == 0


def test_copies_are_seen_and_the_more_the_clearer():
    train, test = open_images("digits"), open_images("digits", "test")
    held = nearest(test.batch(slice(0, 200)).x, train)[1]
    fresh = test.batch(slice(200, 400)).x
    copies = train.batch(slice(0, 200)).x
    seen = []
    for share in (0, 50, 100, 200):
        x = torch.cat([copies[:share], fresh[share:]])
        seen.append(copying_test(nearest(x, train)[1], held))
    assert abs(seen[0]) < 3
    assert seen == sorted(seen, reverse=True)
    assert seen[2] < -3
    noise = torch.randint(0, 256, (100, 1, 28, 28), dtype=torch.uint8)
    assert copying_test(nearest(noise, train)[1], held) > 5
    with pytest.raises(PthetaError, match="at least two"):
        copying_test(held[:1], held)


def test_the_memorisation_factor_raises_the_distance_of_copies_alone():
    by = load_extractor("digits")
    train = extract(open_images("digits").batch(slice(0, 2000)).x, by).features
    test = extract(open_images("digits", "test").batch(slice(0, 400)).x, by).features
    held = cosine_distance(test[:200], train)
    assert memorisation_factor(cosine_distance(test[200:], train), held) == 1
    some = torch.cat([train[:150], test[:50]])
    factors = [memorisation_factor(cosine_distance(x, train), held) for x in (some, train[:200])]
    assert 1 < factors[0] < factors[1]
    brute_force = (
        1
        - torch.nn.functional.cosine_similarity(test[:3, None].float(), train[None].float(), dim=2)
        .abs()
        .max(1)
        .values
    )
    torch.testing.assert_close(cosine_distance(test[:3], train, chunk=300), brute_force)


# -- similarity


@pytest.mark.parametrize(("shape", "n"), [((1, 28, 28), 2), ((3, 64, 48), 3), ((1, 200, 176), 5)])
def test_ms_ssim_agrees_with_torchmetrics(shape, n):
    """Up to the border, which it pads and we leave out, as the original does."""
    theirs = pytest.importorskip("torchmetrics.functional.image")
    torch.manual_seed(0)
    a = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    b = (a.float() * 0.7 + 0.3 * torch.randint(0, 256, a.shape)).round().to(torch.uint8)
    assert scales(*shape[1:]) == n
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(4, dtype=torch.double))
    assert (ms_ssim(a, b) < 1).all()
    if shape[1] > 40:  # it refuses smaller images
        weights = torch.tensor(WEIGHTS[:n])
        wanted = [
            theirs.multiscale_structural_similarity_index_measure(
                x[None].double() / 255,
                y[None].double() / 255,
                data_range=1.0,
                betas=tuple((weights / weights.sum()).tolist()),
                normalize="relu",
            )
            for x, y in zip(a, b, strict=True)
        ]
        border = 2e-3 if shape[1] == 200 else 1e-2
        torch.testing.assert_close(ms_ssim(a, b), torch.stack(wanted), atol=border, rtol=0)


def test_similarity_sees_collapse():
    x = open_images("fashion", "test").batch(slice(0, 300))
    labels = x.extra["labels"]
    assert labels is not None
    varied, _ = similarity(x.x)
    of_one_label, _ = similarity(x.x, labels)
    alike, error = similarity(x.x[:1].expand(50, -1, -1, -1))
    assert varied < of_one_label < alike
    assert alike == pytest.approx(1)
    assert error == pytest.approx(0, abs=1e-9)
    with pytest.raises(PthetaError, match="smaller than the window"):
        ms_ssim(x.x[:, :, :8], x.x[:, :, :8])


# -- baselines


def test_baselines_look_as_they_should_and_copies_are_flagged():
    train, test = open_images("digits"), open_images("digits", "test")
    x = {name: make(train, test, 500, 0) for name, make in BASELINES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scored = {name: evaluate_images(images, test, train) for name, images in x.items()}
        again = evaluate_images(x["training set, copied"], test, train, n=200, seed=3)

    def value(name: str, metric: str) -> float:
        found = scored[name].get(metric)
        assert found is not None
        assert found.value is not None
        return found.value

    order = ("training set, copied", "pixel Gaussian", "shuffled pixels")
    for metric in ("fd_digits", "kd_digits"):
        values = [value(name, metric) for name in order]
        assert values == sorted(values)
    assert value(order[0], "copying_z") < -20
    assert value(order[0], "copied_share") == 1
    assert value(order[1], "copying_z") > -3
    stolen = "test set, copied"  # the best distance of all, and given away
    assert value(stolen, "fd_digits") < value(order[0], "fd_digits")
    for metric in ("copying_z_test", "copying_z_test_digits"):
        assert value(stolen, metric) < -20
        assert all(value(name, metric) > -3 for name in order)
    assert value(stolen, "copied_share_test") == 1
    assert value(stolen, "copying_z") > -3
    assert value(stolen, "fd_memorisation_digits") > 100 * value(order[2], "fd_digits")
    assert again.protocol["samples"] == 200

    one, other = x["shuffled pixels"], x["training set, copied"]
    assert torch.equal(one.flatten(1).sort(1).values, other.flatten(1).sort(1).values)
    assert not torch.equal(one, other)
    for name, make in BASELINES.items():
        binary = make(train.with_levels(2), test.with_levels(2), 20, 0)
        assert set(binary.unique().tolist()) <= {0, 255}, name
    with pytest.raises(PthetaError, match="same size and channels"):
        evaluate_images(torch.zeros(5, 3, 28, 28, dtype=torch.uint8), test, train)
    with pytest.raises(PthetaError, match="too few"):
        evaluate_images(x["pixel Gaussian"][:1], test, train)


def test_the_pixel_gaussian_has_the_moments_of_the_pixels():
    rng = np.random.default_rng(0)
    mix = np.eye(4) + 0.5 * rng.standard_normal((4, 4))
    values = 128 + 15 * rng.standard_normal((2000, 4)) @ mix
    images = values.clip(0, 255).round().astype(np.uint8).reshape(-1, 1, 2, 2)
    data = ImageDataset("made", "train", images)
    drawn = BASELINES["pixel Gaussian"](data, data, 20_000, 0).flatten(1).double()
    real = torch.from_numpy(images).flatten(1).double()
    torch.testing.assert_close(drawn.mean(0), real.mean(0), atol=1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), real.T.cov(), atol=15, rtol=0.05)


def test_test_images_that_repeat_training_images_are_no_copies_of_either():
    """A model that draws such an image has learned it, and held-out images say nothing there."""
    train, test = open_images("digits"), open_images("digits", "test")
    x = torch.cat([test.batch(slice(0, 300)).x, train.batch(slice(0, 200)).x]).numpy()
    mixed = dataclasses.replace(test, images=x, labels=None, groups=None)
    repeats = np.arange(500) >= 300
    fresh = test.batch(slice(300, 800)).x

    def found(mask: np.ndarray | None, known: Dataset | None = train) -> dict[str, Result]:
        data = dataclasses.replace(mixed, repeats=mask)
        ctx = Context(data, load_extractor("pixels"), train=known, given=Given(fresh))
        of_copies = [m for m in METRICS.values() if m.section is Section.MEMORISATION]
        return {r.metric: r for r in measure(ctx, of_copies)}

    assert abs(found(repeats)["copying_z"].value or 0) < 3.5
    # held-out images would seem to be nearer than they are
    assert (found(None)["copying_z"].value or 0) > 5
    nothing, unknown = found(repeats | True), found(None, None)
    assert list(nothing) == list(unknown) == list(found(repeats))
    repeated = "0 test images that are not duplicates"
    assert all(repeated in r.reason for r in nothing.values())
    assert all("its training data is unknown" in r.reason for r in unknown.values())
