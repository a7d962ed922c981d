"""A conditional model is measured, and chosen, with the labels that the held-out images have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ptheta.conditions import Attributes, ConditionSpec, Labels, Text
from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.metrics.conditions import apportioned, conditions_like, draw
from ptheta.metrics.evaluate import evaluate, real_baseline
from ptheta.metrics.selection import Selection
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.sample import sample


class Perfect(nn.Module):
    """Draws real images of the label that it is asked for; keeps what it was asked for."""

    def __init__(self, train: Dataset, classes: int = 10, attributes: int = 0) -> None:
        super().__init__()
        batch = train.batch(slice(0, len(train)))
        self.x, self.y, self.spec = batch.x, batch.extra.get("labels"), train.spec
        names = tuple(map(str, range(attributes or classes)))
        kind = Attributes if attributes else Labels
        self.condition = kind(names) if names else None
        self.asked: list[Tensor] = []

    def sample(self, n: int, condition: Any = None) -> Tensor:
        self.asked.append(condition)
        if self.y is None or isinstance(self.condition, Attributes):
            return self.x[torch.randint(len(self.x), (n,))]
        rows = [np.flatnonzero(self.y.numpy() == y) for y in condition.tolist()]
        return self.x[[own[int(torch.randint(len(own), (1,)))] for own in rows]]


def unbalanced(split: str, n: int) -> Dataset:
    """Digits: half of them ones, a quarter sevens, the rest of the others, no eights."""
    data = open_data("digits", split)
    assert data.labels is not None
    rows = {y: np.flatnonzero(data.labels == y) for y in range(10)}
    rest = np.concatenate([rows[y] for y in range(10) if y not in (1, 7, 8)])
    rest = np.random.default_rng(0).permutation(rest)[: n // 4]
    return data.subset(np.concatenate([rows[1][: n // 2], rows[7][: n // 4], rest]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(sum), st.integers(1, 400))
def test_seats_are_all_given_and_no_share_is_off_by_one(counts, n):
    seats = apportioned(torch.tensor(counts), n)
    shares = torch.tensor(counts).double() * n / sum(counts)
    assert seats.sum() == n
    assert ((seats - shares).abs() < 1).all()


def test_the_labels_asked_for_are_in_the_proportions_of_the_test_labels():
    test = unbalanced("test", 400)
    model = Perfect(open_data("digits").subset(slice(0, 500)))
    found = conditions_like(model, test, 200, 3)
    assert isinstance(found, Tensor)
    counts = torch.bincount(found, minlength=10).tolist()
    assert (counts[1], counts[7], counts[8]) == (100, 50, 0)
    again, other = (conditions_like(model, test, 200, seed) for seed in (3, 4))
    assert isinstance(again, Tensor)
    assert isinstance(other, Tensor)
    assert torch.equal(found, again)
    assert not torch.equal(found, other)
    assert (found[:20] != found[0]).any()
    draw(model, test, 200, 3)
    assert torch.equal(torch.cat(model.asked), found)
    knows_few = Perfect(open_data("digits"), classes=2)
    assert set(conditions_like(knows_few, test, 50).tolist()) == {0, 1}  # type: ignore[union-attr]
    assert conditions_like(Perfect(test, classes=0), test, 50) is None


def test_the_attributes_asked_for_are_rows_of_the_test_images():
    table = np.random.default_rng(0).integers(0, 2, (30, 4))
    images, spec = np.zeros((30, 1, 8, 8), np.uint8), Attributes(tuple("0123"))
    data = ImageDataset("made", "test", images, attributes=table, condition=spec).subset(range(20))
    model = Perfect(data, classes=0, attributes=4)
    model.spec = ImageSpec(1, 8, 8)
    found = conditions_like(model, data, 40)
    assert isinstance(found, Tensor)
    twice = np.concatenate([table[:20]] * 2)
    assert sorted(map(tuple, found.int().tolist())) == sorted(map(tuple, twice.tolist()))


def test_a_model_is_asked_for_its_own_conditions_whatever_the_data_was_read_for():
    """As a comparison does it, in which one part of the data serves models of several kinds."""
    test = unbalanced("test", 40)
    model = Perfect(test)
    others: list[ConditionSpec] = [
        Labels(tuple("9876543210")),
        Text(("a",), 2),
        Attributes(("a", "b")),
    ]
    found = [conditions_like(model, other.adapted(test), 40) for other in others]
    expected = conditions_like(model, test, 40)
    for one in found:
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(expected))
        again = with_conditions(model, others[0].adapted(test)).batch(range(40)).condition
        assert torch.equal(torch.as_tensor(again), torch.as_tensor(test.batch(range(40)).condition))


@pytest.mark.filterwarnings("ignore:400 samples")
def test_a_perfect_conditional_sampler_of_unbalanced_data_is_near_it():
    """Asked for every label alike it would be ten times as far as real images are."""
    train, test = unbalanced("train", 2000), unbalanced("test", 400)
    model = Perfect(train)
    found, real = evaluate(model, test, train, n=400), real_baseline(test, train, n=400)
    for metric in ("fd_digits", "kd_within_label_digits"):
        result = found.get(metric)
        assert result is not None
        assert result.value is not None
    fd, least = found.get("fd_digits"), real.get("fd_digits")
    assert fd is not None
    assert least is not None
    assert (fd.value or 0) < 1.5 * (least.value or 0)
    condition = "labels in the proportions of the test labels"
    sampler = {"batch": 256, "noise": "of each batch", "condition": condition}
    assert found.protocol["sampler"] == sampler
    asked = torch.cat(model.asked)
    assert 8 not in asked  # nor for paths and speeds
    model.asked.clear()
    Selection(test, "digits")(model)
    chosen_by = torch.bincount(torch.cat(model.asked), minlength=10)
    assert test.labels is not None
    assert chosen_by.tolist() == np.bincount(test.labels[test.index], minlength=10).tolist()


def test_a_condition_that_a_model_does_not_take_is_one_line():
    model = Perfect(open_data("digits").subset(slice(0, 300)))
    y = torch.arange(4)
    assert len(sample(model, 4, condition=y)) == 4
    for call, words in (
        (lambda: sample(model, 5, condition=y), "needs one for each of 5"),
        (lambda: sample(model, 4, condition=y + 8), "the labels of this model are 0 to 9"),
        (lambda: sample(model, 4, condition=y, labels=[1]), "give one of them"),
        (lambda: sample(Perfect(open_data("digits"), 0), 4, condition=y), "takes no condition"),
    ):
        with pytest.raises(PthetaError, match=words) as error:
            call()
        assert "\n" not in str(error.value)
