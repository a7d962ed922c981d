"""Choosing images the way NumPy and torch do, and a data set among torch's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from ptheta import tasks
from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.positions import positions
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec
from tests.conftest import tiny
from tests.data.makers import GREY, LABELS

N = 20
DATA: Any = ImageDataset("grey", "train", GREY[:, None], labels=LABELS, classes=tuple("abcd"))
AS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "array": np.asarray,
    "tensor": torch.tensor,
}


@pytest.mark.parametrize("kind", AS)
@given(st.data())
def test_masks_and_numbers_choose_as_numpy_does(kind, data):
    mask = data.draw(st.lists(st.booleans(), min_size=N, max_size=N))
    numbers = data.draw(st.lists(st.integers(-N, N - 1), max_size=N))
    start, stop, step = (data.draw(st.none() | st.integers(1, 30)) for _ in range(3))
    every = np.arange(N)
    assert np.array_equal(positions(AS[kind](mask), N), every[np.array(mask)])
    if numbers:
        assert np.array_equal(positions(AS[kind](numbers), N), every[np.array(numbers)])
    chosen = slice(start, stop, step)
    assert np.array_equal(positions(chosen, N), every[chosen])
    assert np.array_equal(positions(range(N)[chosen], N), every[chosen])


@pytest.mark.parametrize("kind", AS)
@pytest.mark.parametrize("verb", ["subset", "batch", "rows", "__getitem__"])
@pytest.mark.parametrize(
    "wrong",
    [[True] * 3, [True] * (N + 1), [1.0, 2.0], [0.0] * N, [N], [-N - 1], [[0, 1], [2, 3]]],
)
def test_what_is_no_position_is_an_index_error(kind, verb, wrong):
    with pytest.raises(IndexError):
        getattr(DATA, verb)(AS[kind](wrong))


@pytest.mark.parametrize(
    "wrong", [[True, 3], ["a"], True, 1.0, None, np.array(True), "abc", 10**30]
)
def test_nor_is_what_numpy_would_make_one_of(wrong):
    with pytest.raises((IndexError, TypeError)):
        DATA[wrong]


@pytest.mark.parametrize("some", [DATA, DATA.subset([7, 3, 5]), DATA.with_levels(2)])
def test_subsets_and_batches_are_of_the_mask(some):
    y = some.batch(slice(None)).extra["labels"]
    assert y is not None
    for mask in (y == 3, (y == 3).numpy(), (y == 3).tolist()):
        assert some.subset(mask).batch(slice(None)).extra["labels"].tolist() == y[y == 3].tolist()
        assert torch.equal(some.batch(mask).x, some.batch(slice(None)).x[y == 3])


def test_labels_and_dimensions_are_whole_numbers():
    gan = tiny("cgan", ImageSpec(1, 8, 8), classes=3)
    labels: Any
    dims: Any
    for labels in ([True, False], [1.7], torch.tensor([1.0]), np.array([True])):
        with pytest.raises(PthetaError, match="want a whole number"):
            tasks.sample(gan, 2, labels=labels)
    for labels in ([1, 2], np.array([1, 2]), torch.tensor([1, 2])):
        assert len(tasks.sample(gan, 2, labels=labels)) == 2
    with pytest.raises(PthetaError, match="want whole numbers"):
        tasks.sample(gan, 3, condition=torch.tensor([True, False, True]))
    for dims in ((0.0, 1.0), (False, True)):
        with pytest.raises(PthetaError, match="want a whole number"):
            tasks.manifold(gan, 2, dims=dims)


def test_an_example_is_an_image_and_its_condition():
    plain: Any
    scenes: Any
    for some in (DATA, DATA.subset([4, 1]), DATA.with_levels(2)):
        whole, last = some.batch(slice(None)), len(some) - 1
        for i in (0, last, -1, np.int64(last), torch.tensor(0)):
            x, y = some[i]
            assert torch.equal(x, whole.x[int(i)])
            assert y == whole.extra["labels"][int(i)]
        assert all(torch.equal(a, b) for (a, _), b in zip(some, whole.x, strict=True))
    plain = ImageDataset("grey", "train", GREY[:, None])
    assert torch.equal(plain[3], torch.from_numpy(GREY[3][None]))
    assert isinstance(DATA[2:4], Dataset)
    assert len(DATA[DATA.labels == 1]) == 5
    scenes = open_data("shapes", "test", size=16).subset(range(3))
    assert scenes[0][1].shape == ()
    for beyond in (N, -N - 1):
        with pytest.raises(IndexError):
            DATA[beyond]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_data_loader_gives_every_image_once(workers, shuffle):
    seen = list(DataLoader(DATA, batch_size=6, shuffle=shuffle, num_workers=workers))
    x, y = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert x.dtype == torch.uint8
    order = torch.argsort(x.flatten(1).double() @ torch.arange(144).double().sqrt())
    mine = DATA.batch(slice(None))
    own = torch.argsort(mine.x.flatten(1).double() @ torch.arange(144).double().sqrt())
    assert torch.equal(x[order], mine.x[own])
    assert torch.equal(y[order], mine.extra["labels"][own])
    assert shuffle or torch.equal(x, mine.x)
    halves = torch.utils.data.random_split(DATA, [0.5, 0.5])
    assert [len(half) for half in halves] == [10, 10]
    copy = pickle.loads(pickle.dumps(DATA))
    assert torch.equal(copy[5][0], DATA[5][0])
    assert {DATA, copy} == {copy, DATA}  # by identity, as data sets of torch


def test_labels_of_a_part_are_asked_for_and_a_mask_of_all_rows_is_refused_with_a_word():
    part = DATA.subset(range(N - 3))
    labels = part.conditions(slice(None))
    assert labels.tolist() == LABELS[: N - 3].tolist()
    assert len(part.subset(labels == 1)) == (LABELS[: N - 3] == 1).sum()
    with pytest.raises(IndexError, match=r"want \(17,\); labels are of all stored rows"):
        part.subset(part.labels == 1)
