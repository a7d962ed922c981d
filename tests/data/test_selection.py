"""Examples by their attributes, and combinations that training does not see."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptheta
from ptheta.data import describe, open_images
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.request import DataSettings, Learned, Request
from ptheta.data.selection import is_unseen, selected, values_of
from ptheta.data.shapes import ATTRIBUTES
from ptheta.errors import PthetaError
from ptheta.metrics.protocol import annotations_of
from tests.conftest import TINY
from tests.data.makers import COLOUR, write_folder

EVERY = tuple(product(range(8), range(4), range(9)))
NAMES = ("first_colour", "first_shape", "first_row", "first_column")


def made(split: str = "train", n: int = 300, seed: int = 0) -> ImageDataset:
    """Noise with three attributes and a label, all at random."""
    rng = np.random.default_rng(seed)
    return ImageDataset(
        *("made", split, rng.integers(0, 256, (n, 1, 4, 4)).astype(np.uint8)),
        labels=rng.integers(0, 3, n),
        classes=("ant", "bee", "cow"),
        attributes=np.stack([rng.integers(0, 5, n), rng.integers(0, 4, n) / 2, np.ones(n)], 1),
        attribute_names=("colour", "size", "one"),
    )


def chosen(data: ImageDataset, split: str = "train", **asked: Any) -> ImageDataset:
    return selected(replace(data, split=split), Request(split, DataSettings(**asked)))


def unseen_in(data: Dataset) -> np.ndarray:
    """Of each position: bool (N,)."""
    assert data.unseen is not None
    found: np.ndarray = data.unseen[data.rows(slice(None))]
    return found


def test_what_is_asked_for_is_kept_and_nothing_else():
    data = made()
    assert data.attributes is not None
    assert data.labels is not None
    colour, size = data.attributes[:, 0], data.attributes[:, 1]
    for where, keep in (
        (("colour=2",), colour == 2),
        (("colour=2.0", "colour=4"), np.isin(colour, [2, 4])),
        (("colour=2", "size=0.5", "label=bee"), (colour == 2) & (size == 0.5) & (data.labels == 1)),
    ):
        assert np.array_equal(chosen(data, where=where).rows(slice(None)), np.flatnonzero(keep))
    unnamed = replace(data, attribute_names=())
    assert np.array_equal(
        chosen(unnamed, where=("1=1.5",)).rows(slice(None)), np.where(size == 1.5)[0]
    )
    part = chosen(data.subset(slice(100, None)), where=("colour=2",))
    assert np.array_equal(part.rows(slice(None)), 100 + np.flatnonzero(colour[100:] == 2))


def test_no_combination_is_in_training_and_in_what_is_unseen():
    """Every part agrees, without having seen another."""
    how: dict[str, Any] = {"unseen": ("colour", "size", "label"), "unseen_share": 0.3}
    train = chosen(made(n=900), **how)
    test = chosen(made("test", seed=1), "test", **how)
    assert train.unseen is None
    unseen = unseen_in(test)
    combinations = [
        set(zip(*(values_of(data, name) for name in how["unseen"]), strict=True))
        for data in (train, test.subset(unseen), test.subset(~unseen))
    ]
    assert not combinations[0] & combinations[1]
    assert combinations[2] <= combinations[0]
    assert len(test) == 300
    assert 0.1 < unseen.mean() < 0.5
    seen_before = annotations_of(replace(test, unseen=None))
    assert annotations_of(test) != seen_before  # numbers are of another protocol


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_holds_out_what_a_smaller_one_does_and_more(a, b):
    few, many = (
        {v for v in EVERY if is_unseen(dict(zip("abc", map(str, v), strict=True)), share)}
        for share in sorted((a, b))
    )
    assert few <= many
    for found, share in ((few, min(a, b)), (many, max(a, b))):
        assert abs(len(found) / len(EVERY) - share) < 0.13
    if a == 1:
        assert len(many) == len(EVERY)


def test_neither_order_nor_other_examples_matter():
    data = made()
    how: dict[str, Any] = {"unseen_share": 0.3}
    a = unseen_in(chosen(data, "test", unseen=("colour", "size"), **how))
    b = unseen_in(chosen(data, "test", unseen=("size", "colour"), **how))
    few = unseen_in(chosen(data.subset(slice(0, 40)), "test", unseen=("size", "colour"), **how))
    assert np.array_equal(a, b)
    assert np.array_equal(a[:40], few)


def test_single_objects_with_combinations_held_out():
    how: dict[str, Any] = {"where": ("objects=1",), "unseen": NAMES}
    train, test = (open_images("shapes", split, **how) for split in ("train", "test"))
    assert {str(c).count(" and ") for c in train.caption_texts() or []} == {0}
    columns = [ATTRIBUTES.index(name) for name in NAMES]
    rows = [np.asarray(d.attributes)[d.rows(slice(None))][:, columns] for d in (train, test)]
    known = {tuple(row) for row in rows[0].tolist()}
    unseen = [tuple(row) not in known for row in rows[1].tolist()]
    assert unseen_in(test).tolist() == unseen
    assert 80 < sum(unseen) < 200
    about = describe("shapes", **how)
    assert about["images"] == {"train": len(train), "test": len(test)}
    assert any("29 of 288 combinations" in note for note in about["notes"])


def test_a_run_reads_whatever_data_as_it_was_trained(tmp_path):
    """Its own, others with these attributes, and others without, of which all are used."""
    how: dict[str, Any] = {"where": ("size=0.5", "size=1"), "unseen": ("colour", "label")}
    parts = {"train": made(), "test": made("test", seed=1)}
    length: dict[str, Any] = {"steps": 1, "batch_size": 4, "sample_every": 0}
    run = ptheta.train("ae", parts, tmp_path / "run", **how, **TINY["ae"], **length)
    train = run.data("train", parts)
    assert len(train) == len(chosen(parts["train"], **how)) < 150
    test = run.data("test", parts)
    wanted = chosen(parts["test"], "test", **how)
    assert np.array_equal(test.rows(slice(None)), wanted.rows(slice(None)))
    assert np.array_equal(unseen_in(test), unseen_in(wanted))
    assert len(run.data("test", parts["test"])) == len(wanted)
    plain = ImageDataset("plain", "test", parts["test"].images)
    others = run.data("test", plain)
    assert len(others) == len(plain)
    assert any("--where is ignored" in note for note in others.notes)
    assert (
        selected(plain, Request("test", DataSettings(**how), learned=Learned(plain.spec)))
        is not plain
    )
    with pytest.raises(PthetaError, match="neither attributes nor labels"):
        ptheta.train("ae", plain, tmp_path / "other", **how, **length)


def test_labels_of_folders_and_of_sources_without_parts(tmp_path):
    """The held-out tenth is the same, whatever of it is used."""
    place = write_folder(tmp_path / "x", COLOUR)
    some_labels = ("label=class1", "label=class2", "label=class3")
    every, some = (
        {split: open_images(place, split, where=where) for split in ("train", "test")}
        for where in ((), some_labels)
    )
    for split, data in some.items():
        keep = [word != "class0" for word in values_of(every[split], "label")]
        assert np.array_equal(data.rows(slice(None)), every[split].rows(keep))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"where": ("colour",)}, "write NAME=VALUE"),
        ({"where": ("=3",)}, "write NAME=VALUE"),
        ({"where": ("colours=3",)}, "did you mean 'colour'"),
        ({"where": ("colour=9",)}, "no example has this colour; there is 0, 1, 2, 3, 4"),
        ({"where": ("label=cat",)}, "there is ant, bee, cow"),
        ({"where": ("colour=red",)}, "no example has this colour"),
        ({"unseen": ("one",), "unseen_share": 0.0}, "no combination of made is held out"),
        ({"unseen": ("one",), "unseen_share": 1.0}, "training would never see one=1"),
        ({"unseen": ("shade",)}, "known: label, colour, size, one"),
        ({"unseen": ("colour",), "unseen_share": 1.5}, "a share in 0..1"),
    ],
)
def test_what_cannot_be_chosen_is_said_in_one_line(asked, said):
    with pytest.raises(PthetaError, match=said) as found:
        chosen(made(), **asked)
    assert "\n" not in str(found.value)


def test_nothing_that_is_so_is_an_error():
    data = made(n=8)
    assert data.attributes is not None
    values = np.array([[0, 0, 1], [1, 0.5, 1]] * 4)
    with pytest.raises(PthetaError, match="none of the 8 train images of made matches"):
        chosen(replace(data, attributes=values), where=("colour=0", "size=0.5"))
