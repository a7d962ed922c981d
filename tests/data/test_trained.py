"""A run's images are known by what they show: in any order, under any name, among any others."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.data.dataset import Dataset
from ptheta.data.identity import keys
from ptheta.data.image_data import ImageDataset
from ptheta.data.trained import Record, locate, match_data
from ptheta.errors import PthetaError

PICTURES = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4), dtype=np.uint8)


def dataset(which: list[int], split: str = "train") -> Dataset:
    """These pictures, labelled with their numbers; two pixel values."""
    labels = np.array(which)
    return ImageDataset("some", split, PICTURES[labels], labels=labels, levels=2)


class World(NamedTuple):
    """A run, and its data later on. before: pictures trained on; reserve: how many of them choose;
    after: what lies there now; held: held-out pictures now
    """

    before: list[int]
    reserve: int
    after: list[int]
    held: list[int]

    def run(self) -> tuple[Dataset, Dataset | None, Record]:
        data = dataset(self.before)
        if not self.reserve:
            return data, None, Record.of(data, None)
        order = np.random.default_rng(1).permutation(len(data))
        reserve = data.subset(np.sort(order[: self.reserve]))
        rest = data.subset(np.sort(order[self.reserve :]))
        return rest, reserve, Record.of(rest, reserve)


@st.composite
def worlds(draw: st.DrawFn, change: str) -> World:
    before = draw(st.lists(st.integers(0, 19), min_size=4, max_size=12))
    after = draw(st.permutations(before))
    if change == "removed":
        after = after[draw(st.integers(1, len(after) - 1)) :]
    if change == "added" or (change == "removed" and draw(st.booleans())):
        # a copy of what is there is an addition as well, but no replacement for what is gone
        pictures = st.integers(0 if change == "added" else 20, 39)
        after = draw(st.permutations([*after, *draw(st.lists(pictures, min_size=1, max_size=5))]))
    held = draw(st.lists(st.integers(0, 59), min_size=1, max_size=6))
    return World(before, draw(st.integers(0, 2)), list(after), held)


def pixels(data: Dataset | None) -> torch.Tensor:
    assert data is not None
    return data.batch(slice(None)).x


@settings(max_examples=60, deadline=None)
@given(worlds("moved"))
def test_renamed_images_come_back_in_the_order_of_training(world):
    images, reserve, record = world.run()
    found = match_data(record, dataset(world.after), dataset(world.held, "test"))
    assert found.kind == "same"
    assert found.new is None
    # the drawn pixels as well, which once were a function of the place
    assert torch.equal(pixels(found.images), pixels(images))
    if reserve is None:
        assert found.reserve is None
    else:
        assert torch.equal(pixels(found.reserve), pixels(reserve))
    assert torch.equal(pixels(found.train), pixels(dataset(world.before)))
    assert found.train is not None
    assert found.train.fingerprint() == dataset(world.before).fingerprint()
    assert found.images is not None
    assert Record.of(found.images, found.reserve).fingerprint == record.fingerprint
    assert found.known_test == 0
    assert len(found.test) == len(world.held)  # repeats of a source's own splits stay in them


@settings(max_examples=60, deadline=None)
@given(worlds("added"))
def test_added_images_are_told_from_those_of_the_run(world):
    images, reserve, record = world.run()
    test = dataset(world.held, "test")
    found = match_data(record, dataset(world.after), test)
    assert found.kind == "more"
    assert torch.equal(pixels(found.images), pixels(images))
    chosen = set() if reserve is None else set(keys(reserve))
    if found.new is not None:
        assert not set(keys(found.new)) & chosen  # never trained on
    before, after = (sorted(keys(dataset(w))) for w in (world.before, world.after))
    new = [] if found.new is None else list(keys(found.new))
    extra = [k for k in after if k not in before]
    assert [k for k in sorted(new) if k not in before] == extra
    unseen = ~np.isin(keys(test), record.every)
    if unseen.any():
        assert np.array_equal(keys(found.test), keys(test)[unseen])
    else:
        with pytest.raises(PthetaError, match="all held-out images"):
            _ = found.test
    assert found.known_test == (~unseen).sum()


@settings(max_examples=60, deadline=None)
@given(worlds("removed"))
def test_removed_or_replaced_images_are_missed(world):
    _, _, record = world.run()
    found = match_data(record, dataset(world.after), dataset(world.held, "test"))
    assert found.kind == "other"
    assert found.images is found.reserve is found.train is None
    kept = [p for p in world.after if p < 20]
    assert found.missing == len(world.before) - len(kept)
    if found.held_out is not None:
        assert not set(keys(found.held_out)) & set(record.every)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_no_place_is_given_twice(wanted, held):
    a, b = np.array(wanted, np.uint64), np.array(held, np.uint64)
    found = locate(a, b, np.arange(len(a)))
    there = found[found >= 0]
    assert len(set(there)) == len(there)
    assert (b[there] == a[found >= 0]).all()
    for key in range(6):
        assert ((a == key) & (found >= 0)).sum() == min((a == key).sum(), (b == key).sum())


def test_a_divided_collection_that_grew_is_searched_whole():
    """The tenth that is held out may be another one: what was trained on is known all the same."""
    everything = dataset(list(range(20)))
    before = everything.subset(range(2, 20))
    record = Record.of(before, None)
    grown = dataset(list(range(24)))
    test, train = grown.subset(range(10, 15)), grown.subset([*range(10), *range(15, 24)])
    found = match_data(record, train, replace(test, split="test"))
    assert found.kind == "more"
    assert torch.equal(pixels(found.images), pixels(before))
    assert found.known_test == 5
    assert found.held_out is None
    assert found.new is not None
    assert found.new.labels is not None
    assert sorted(found.new.labels[found.new.index]) == [0, 1, 20, 21, 22, 23]


def test_images_encoded_anew_are_no_test_and_choose_nothing():
    """A held-out image, or a new one, that differs by next to nothing from one of the run."""
    smooth = np.linspace(0, 200, 256).reshape(1, 1, 16, 16)
    base = np.random.default_rng(0).integers(0, 40, (20, 1, 16, 16)) + smooth
    base = base.astype(np.uint8)
    again = np.clip(base.astype(int) + 1, 0, 255).astype(np.uint8)
    images = ImageDataset("a", "train", base).subset(range(8))
    reserve = ImageDataset("a", "train", base).subset(range(8, 12))
    record = Record.of(images, reserve)
    later = ImageDataset("a", "train", np.concatenate([base[:12], again[8:10], base[12:14]]))
    test = ImageDataset("a", "test", np.concatenate([again[:3], base[16:]]))
    found = match_data(record, later, test)
    assert found.kind == "more"
    assert found.known_test == 3
    assert np.array_equal(keys(found.test), keys(ImageDataset("a", "test", base[16:])))
    assert found.new is not None
    assert np.array_equal(keys(found.new), keys(ImageDataset("a", "train", base[12:14])))


def test_records_are_kept_as_they_are_and_never_half(tmp_path):
    _, _, record = World(list(range(12)), 2, [], []).run()
    record.write(tmp_path / "data.safetensors")
    again = Record.read(tmp_path / "data.safetensors")
    for name, array in vars(record).items():
        assert np.array_equal(vars(again)[name], array)
        assert vars(again)[name].dtype == array.dtype
    assert [p.name for p in tmp_path.iterdir()] == ["data.safetensors"]
    (tmp_path / "data.safetensors").write_bytes(b"half a fi")
    with pytest.raises(PthetaError, match="cannot read"):
        Record.read(tmp_path / "data.safetensors")
