"""Measures of pairs: against formulas written out, and against torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from ptheta.errors import PthetaError
from ptheta.measures import errors, segmentation
from ptheta.measures.intervals import Groups
from ptheta.measures.similarity import ssim


def pair(channels: int = 3, n: int = 5, side: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(256, (n, channels, side, side + 3), generator=generator)
    noise = torch.randint(-40, 41, a.shape, generator=generator)
    return a.to(torch.uint8), (a + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_errors_of_pixels_are_their_formulas(channels):
    a, b = pair(channels)
    x, y = (t.numpy().astype(np.float64) for t in (a, b))
    assert np.allclose(errors.l1(a, b), np.abs(x - y).mean((1, 2, 3)), rtol=1e-12)
    mse = ((x - y) ** 2).mean((1, 2, 3))
    assert np.allclose(errors.mean_squared(a, b), mse, rtol=1e-12)
    assert np.allclose(errors.psnr(a, b), 20 * np.log10(255 / np.sqrt(mse)), rtol=1e-12)
    for i, found in enumerate(errors.psnr(a, b)):
        wanted = peak_signal_noise_ratio(a[i].double(), b[i].double(), data_range=255.0)
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    _, places = structural_similarity_index_measure(
        a.double(), b.double(), data_range=255.0, reduction="none", return_full_image=True
    )
    inside = places[..., 5:-5, 5:-5].mean((1, 2, 3))  # it pads, and we do not
    assert torch.allclose(ssim(a, b), inside, atol=1e-9)


def test_equal_images_have_no_error():
    a, _ = pair()
    assert errors.l1(a, a).tolist() == [0] * 5
    assert errors.psnr(a, a).tolist() == [errors.MOST_DECIBELS] * 5
    assert torch.allclose(ssim(a, a), torch.ones(5, dtype=torch.float64))


def test_in_parts_as_at_once(monkeypatch):
    a, b = pair()
    whole = errors.l1(a, b)
    monkeypatch.setattr(errors, "VALUES", 1)
    assert torch.equal(errors.l1(a, b), whole)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, 1, 4, 4, dtype=torch.uint8)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 3, 4, 4, dtype=torch.uint8)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 1, 4, 4)),
        (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.zeros(0, 1, 4, 4, dtype=torch.uint8)),
    ],
)
def test_what_is_no_pair_is_refused(a, b):
    with pytest.raises(PthetaError, match=r"want|pairs need"):
        errors.psnr(a, b)


def written_out(found: np.ndarray, wanted: np.ndarray, labels: int) -> tuple[float, float, float]:
    """The scores of Long et al., label by label."""
    recall, overlap = [], []
    for k in range(labels):
        own, given = wanted == k, found == k
        if own.any():
            recall.append((own & given).sum() / own.sum())
            overlap.append((own & given).sum() / (own | given).sum())
    return float((found == wanted).mean()), float(np.mean(recall)), float(np.mean(overlap))


def test_segmentation_scores_are_their_formulas(monkeypatch):
    monkeypatch.setattr(segmentation, "AT_ONCE", 200)  # in parts
    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 5, (7, 6, 9))  # of seven labels: two do not occur
    found = np.where(rng.random(wanted.shape) < 0.6, wanted, rng.integers(0, 7, wanted.shape))
    f, w = torch.from_numpy(found), torch.from_numpy(wanted)
    counts = segmentation.confusion(f, w, 7)
    assert counts.sum() == found.size
    assert counts[2, 3] == ((wanted == 2) & (found == 3)).sum()
    assert np.allclose(segmentation.scores(counts), written_out(found, wanted, 7), rtol=1e-12)
    groups = Groups(7, "real")
    whole, without = segmentation.grouped_scores(f, w, 7, groups)
    assert np.allclose(whole, written_out(found, wanted, 7), rtol=1e-12)
    for g in range(groups.count):
        left = (groups.of != g).numpy()
        parts = [values[g].item() for values in without]
        assert np.allclose(parts, written_out(found[left], wanted[left], 7), rtol=1e-12)


def test_right_maps_score_one_and_one_label_scores_its_share():
    wanted = torch.tensor([[[0, 0, 0, 1]]])
    assert [s.item() for s in segmentation.scores(segmentation.confusion(wanted, wanted, 3))] == [
        1,
        1,
        1,
    ]
    found = segmentation.scores(segmentation.confusion(torch.zeros_like(wanted), wanted, 3))
    assert [s.item() for s in found] == [0.75, 0.5, 0.375]
    assert not math.isnan(sum(s.item() for s in found))
    with pytest.raises(PthetaError, match="of one size"):
        segmentation.confusion(wanted[..., :2], wanted, 3)
