"""Codes that are the factors of their images, whose mutual information gap is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptheta.data.image_data import ImageDataset
from ptheta.extractors.table import load_extractor
from ptheta.metrics.context import Context
from ptheta.metrics.factors import factors
from ptheta.metrics.table import METRICS
from ptheta.specs import ImageSpec


def values(n: int = 1200) -> Tensor:
    """Two independent factors, of 3 and 4 values."""
    at = torch.arange(n)
    return torch.stack([at % 3, at // 3 % 4], 1)


class Brightness(nn.Module):
    """Encodes an image as its first two pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = ImageSpec(1, 2, 2)

    def encode(self, x: Tensor, condition: object = None) -> Tensor:
        return x.flatten(1)[:, :2].float()


def pixels_of_factors() -> ImageDataset:
    """The first two pixels say one factor each, the others the sum of both; one attribute is the
    same everywhere, and one is not known of some examples."""
    v = values(600).numpy()
    images = np.zeros((600, 1, 2, 2), np.uint8)
    images[:, 0, 0] = 60 * v
    images[:, 0, 1] = 30 * v.sum(1, keepdims=True)
    unknown = np.arange(600) % 2 - 1
    attributes = np.stack([v[:, 0], np.ones(600), v[:, 1], unknown], 1).astype(np.int8)
    names = ("first", "constant", "second", "some")
    return ImageDataset("factors", "test", images, attributes=attributes, attribute_names=names)


def gap_of_known_codes() -> None:
    """Of the codes 1, of PCA less, and none by chance."""
    data, metric = pixels_of_factors(), METRICS["information_gap_{term}"]
    ctx = Context(data, load_extractor("pixels"), model=Brightness())
    known = factors(ctx)
    assert known is not None
    assert torch.equal(known, values(600))
    found = {result.metric: result for result in metric.results(ctx)}
    assert list(found) == [f"information_gap_{term}" for term in ("codes", "pca", "chance")]
    assert found["information_gap_codes"].value == pytest.approx(1)
    values_of = {name: result.value or 0.0 for name, result in found.items()}
    assert 0 < values_of["information_gap_pca"] < 0.9
    assert 0 < values_of["information_gap_chance"] < 0.05
    assert found["information_gap_pca"].value is not None
    assert all(result.error is not None and result.error < 0.1 for result in found.values())
    bare = ImageDataset("bare", "test", data.images)
    assert metric.results(Context(bare, ctx.extractor, model=Brightness())) == []
    assert metric.results(Context(data, ctx.extractor, model=nn.Identity())) == []
