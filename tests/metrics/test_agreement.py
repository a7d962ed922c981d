"""Symmetries that the metrics must have, and agreement with the libraries that people use."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ptheta.measures.frechet import fit, frechet
from ptheta.measures.inception_score import (
    class_balance,
    class_score,
    effective_classes,
    missing_classes,
)
from ptheta.measures.kernel import kernel_distance
from ptheta.measures.memorisation import cosine_distance
from ptheta.measures.prdc import manifold
from ptheta.measures.similarity import ms_ssim

SEEDS = st.integers(0, 10_000)


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.double) + shift


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_kernel_distance_is_symmetric_and_knows_no_order_and_no_axes(seed):
    x, y = normal(40, 5, seed), normal(30, 5, seed + 1, 0.5)
    value = kernel_distance(x, y)[0]
    assert kernel_distance(y, x)[0] == pytest.approx(value, rel=1e-9, abs=1e-9)
    rotation = torch.linalg.qr(normal(5, 5, seed + 2)).Q
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    turned = kernel_distance(x[order] @ rotation, y @ rotation)[0]
    assert turned == pytest.approx(value, rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.1, 10), st.floats(-20, 20))
def test_the_balls_move_with_the_features(seed, scale, shift):
    """Rotated, moved, scaled, in another order: the same shares. And what is precision one way is
    recall the other way."""
    x, y = normal(40, 3, seed), normal(35, 3, seed + 1, 0.3)
    found, _ = manifold(x, y, 3)
    rotation = torch.linalg.qr(normal(3, 3, seed + 2)).Q * scale
    order = torch.randperm(35, generator=torch.Generator().manual_seed(seed))
    moved, _ = manifold(x @ rotation + shift, y[order] @ rotation + shift, 3)
    # an image on the border of a ball may fall to either side of it in float32
    assert tuple(moved) == pytest.approx(tuple(found), abs=0.03)
    back, _ = manifold(y, x, 3)
    assert (back.precision, back.recall) == (found.recall, found.precision)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(-50, 50))
def test_the_score_knows_no_order_of_images_or_classes(seed, shift):
    logits = normal(60, 7, seed) * 3
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(60, generator=generator)
    columns = torch.randperm(7, generator=generator)
    value, again = class_score(logits, 1)[0], class_score(logits[rows][:, columns] + shift, 1)[0]
    assert 1 <= value <= 7
    assert again == pytest.approx(value, rel=1e-9)
    in_use = effective_classes(logits[rows][:, columns])[0]
    assert in_use == pytest.approx(effective_classes(logits)[0], rel=1e-9)
    other = normal(50, 7, seed + 1)
    balance = class_balance(logits, other)
    assert 0 <= balance <= 1
    assert class_balance(other, logits) == pytest.approx(balance)
    assert class_balance(logits, logits) == 0


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_structural_similarity_is_symmetric_and_flips_with_the_images(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randint(0, 256, (2, 3, 1, 32, 24), dtype=torch.uint8, generator=g)
    value = ms_ssim(a, b)
    torch.testing.assert_close(ms_ssim(b, a), value)
    torch.testing.assert_close(ms_ssim(a.flip(3), b.flip(3)), value)
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(3, dtype=torch.double))


# -- classes


def logits_of(labels: list[int], k: int = 4) -> Tensor:
    return torch.eye(k, dtype=torch.double)[torch.tensor(labels)] * 9


def test_class_balance_is_total_variation():
    fake, real = logits_of([0] * 6 + [1] * 4), logits_of([0, 1, 2, 3] * 5)
    assert class_balance(fake, real) == pytest.approx((0.35 + 0.15 + 0.25 + 0.25) / 2)


def test_missing_classes_are_named_and_chance_is_no_reason():
    real = logits_of([0, 1, 2, 3] * 50)
    assert missing_classes(logits_of([0, 1, 3] * 30), real) == [2]
    assert missing_classes(logits_of([0] * 100), real) == [1, 2, 3]
    assert missing_classes(logits_of([0, 1, 2, 3] * 5), real) == []
    # four images without one class of four may be chance
    assert missing_classes(logits_of([0, 1, 3, 0]), real) == []
    # a class that the real images hardly have is none that is missed
    rare = logits_of([0, 1, 2] * 66 + [3, 3])
    assert missing_classes(logits_of([0, 1, 2] * 30), rare) == []


# -- other libraries


class Given(nn.Module):
    """Features that stand in the images' place: what torchmetrics takes for a network."""

    num_features = 16

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (90, 300)])
def test_frechet_distance_agrees_with_torchmetrics(n, m):
    image = pytest.importorskip("torchmetrics.image.fid")
    x, y = normal(n, 16, 0, 0.2) * 1.3, normal(m, 16, 1)
    theirs = image.FrechetInceptionDistance(
        feature=Given(), normalize=True, input_img_size=(1, 4, 4)
    )
    theirs.set_dtype(torch.float64)
    theirs.update(y.view(-1, 1, 4, 4), real=True)
    theirs.update(x.view(-1, 1, 4, 4), real=False)
    assert frechet(fit(x), fit(y)) == pytest.approx(theirs.compute().item(), rel=1e-4)


def test_kernel_distance_agrees_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.kid")
    x, y = normal(120, 16, 0, 0.2), normal(120, 16, 1)
    f = image.poly_mmd(x, y, degree=3, gamma=None, coef=1.0)
    assert kernel_distance(x, y)[0] == pytest.approx(f.item(), abs=1e-4)


def test_score_agrees_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.inception")

    class Logits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).float()

    x = torch.randint(0, 5, (100, 1, 3, 3), dtype=torch.uint8)
    theirs = image.InceptionScore(feature=Logits(), splits=1)
    theirs.update(x)
    wanted = theirs.compute()[0].item()
    assert class_score(x.flatten(1), 1)[0] == pytest.approx(wanted, rel=1e-4)


def test_distance_to_the_training_set_agrees_with_torchmetrics():
    """Without its threshold, above which it forgets the distance."""
    image = pytest.importorskip("torchmetrics.image.mifid")
    x, y = normal(30, 8, 0), normal(50, 8, 1)
    wanted = image._compute_cosine_distance(x, y, cosine_distance_eps=2.0).item()
    assert cosine_distance(x, y).mean().item() == pytest.approx(wanted, abs=1e-4)
