"""The mutual information gap, against scikit-learn and codes whose gap is known."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mutual_info_score

from ptheta.measures.factors import (
    binned,
    entropies,
    information_gaps,
    mutual_information,
    mutual_information_gap,
)
from tests.metrics.factor_laws import gap_of_known_codes, values


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


def test_an_evaluation_has_the_gap_of_codes_of_pca_and_by_chance():
    gap_of_known_codes()
