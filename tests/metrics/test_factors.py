"""The mutual information gap, against scikit-learn and codes whose gap is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor, nn

from ptheta.data.image_data import ImageDataset
from ptheta.extractors.table import load_extractor
from ptheta.measures.factors import (
    binned,
    entropies,
    information_gaps,
    mutual_information,
    mutual_information_gap,
)
from ptheta.metrics.context import Context
from ptheta.metrics.factors import OF_FACTORS, factors
from ptheta.specs import ImageSpec


def values(n: int = 1200) -> Tensor:
    """Two independent factors, of 3 and 4 values."""
    at = torch.arange(n)
    return torch.stack([at % 3, at // 3 % 4], 1)


def test_information_and_entropy_are_those_of_scikit_learn():
    torch.manual_seed(0)
    v = values()
    z = torch.cat([v + 0.3 * torch.randn(len(v), 2), torch.randn(len(v), 1)], 1)
    bins = binned(z)
    assert bins.min() == 0
    assert bins.max() == 19
    found = mutual_information(bins, v)
    for j in range(3):
        for k in range(2):
            wanted = mutual_info_score(bins[:, j].numpy(), v[:, k].numpy())
            assert found[j, k].item() == pytest.approx(wanted, abs=1e-10)
    wanted = [mutual_info_score(column, column) for column in v.T.numpy()]
    assert entropies(v).tolist() == pytest.approx(wanted)


def test_the_gap_of_codes_that_are_the_factors_or_repeat_them():
    v = values()
    assert mutual_information_gap(v.float(), v) == pytest.approx(1)
    twice = torch.cat([v, v], 1).float()
    assert mutual_information_gap(twice, v) == pytest.approx(0, abs=1e-12)
    # the first factor stands once, the second twice
    partly = torch.cat([v, v[:, 1:]], 1).float()
    assert information_gaps(partly, v).tolist() == pytest.approx([1, 0], abs=1e-12)
    # one dimension that holds one factor: the other has no information, and no second dimension
    assert information_gaps(v[:, :1].float(), v).tolist() == pytest.approx([1, 0], abs=1e-12)
    assert mutual_information_gap(torch.zeros(len(v), 2), v) == 0


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


def test_an_evaluation_has_the_gap_of_codes_of_pca_and_by_chance():
    data = pixels_of_factors()
    ctx = Context(data, load_extractor("pixels"), model=Brightness())
    known = factors(ctx)
    assert known is not None
    assert torch.equal(known, values(600))
    found = {result.metric: result for result in OF_FACTORS[0].results(ctx)}
    assert list(found) == [f"information_gap_{term}" for term in ("codes", "pca", "chance")]
    assert found["information_gap_codes"].value == pytest.approx(1)
    assert found["information_gap_pca"].value < 0.9
    assert found["information_gap_chance"].value < 0.05
    assert found["information_gap_pca"].value is not None
    assert all(result.error is not None and result.error < 0.1 for result in found.values())
    bare = ImageDataset("bare", "test", data.images)
    assert OF_FACTORS[0].results(Context(bare, ctx.extractor, model=Brightness())) == []
    assert OF_FACTORS[0].results(Context(data, ctx.extractor, model=nn.Identity())) == []
