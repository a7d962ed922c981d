"""Domains, which are labels: folders, columns, partners; what is held out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ptheta.data import open_data
from ptheta.data.held_out import partner_places
from ptheta.data.image_data import ImageDataset
from ptheta.data.near import joined
from ptheta.data.splits import sides
from ptheta.errors import PthetaError
from tests.data.makers import noise, png

LEFT, RIGHT = noise(30, 8, 8, 3), noise(30, 8, 8, 3)


def opened(source: Any, split: str = "train", **options: Any) -> Any:
    return open_data(source, split, **options)


def filled(root: Path, sides: tuple[int, ...] = (8, 8), **counts: int) -> Path:
    """Folders of so many pictures; a name may have slashes written as two underlines."""
    for side, (name, n) in zip((*sides, *[8] * len(counts)), counts.items(), strict=False):
        folder = root / name.replace("__", "/")
        folder.mkdir(parents=True)
        for i in range(n):
            Image.fromarray(noise(side, side, 3)).save(folder / f"{i}.png")
    return root


def columns(path: Path, broken: int | None = None) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True)
    cells = {
        name: [{"bytes": b"" if i == broken else png(x), "path": ""} for i, x in enumerate(xs)]
        for name, xs in (("ours", LEFT), ("theirs", RIGHT))
    }
    pq.write_table(pa.table({**cells, "caption": [f"number {i}" for i in range(30)]}), path)
    return path


def counts(data: Any) -> list[int]:
    labels = data.labels[data.rows(slice(None))]
    return np.bincount(labels, minlength=len(data.classes)).tolist()


@pytest.mark.parametrize(
    ("parts", "train", "test"),
    [
        ({"trainA": 12, "trainB": 5, "testA": 4, "testB": 3}, [12, 5], [4, 3]),
        ({"trainA": 12, "trainB": 5, "testA": 4}, [12, 5], [4, 0]),
        ({"A__train": 12, "A__test": 4, "B__train": 5, "B__test": 3}, [12, 5], [4, 3]),
        ({"train__A": 12, "train__B": 5, "test__A": 4, "test__B": 3}, [12, 5], [4, 3]),
    ],
)
def test_folders_are_domains_of_any_counts(tmp_path, parts, train, test):
    folder = filled(tmp_path / "a", **parts)
    for split, expected in (("train", train), ("test", test)):
        data = opened(folder, split)
        assert data.classes == ("A", "B")
        assert counts(data) == expected


def test_grey_among_colour_and_sizes_that_differ_become_alike(tmp_path):
    folder = filled(tmp_path / "a", (8, 20), A=14, B=10)
    for i in range(14):
        Image.fromarray(noise(8, 8)).save(folder / "A" / f"{i}.png")
    data = opened(folder)
    assert data.spec.shape == (3, 64, 64)
    assert any("resized" in note for note in data.notes)
    x = data.batch(slice(None)).x
    grey = (x == x[:, :1]).flatten(1).all(1).numpy()
    np.testing.assert_array_equal(grey, data.labels[data.rows(slice(None))] == 0)


def test_a_domain_without_pictures_and_one_with_a_single_one_are_told(tmp_path):
    empty = opened(filled(tmp_path / "a", A=12, B=0))
    assert empty.classes == ("A",)
    assert "B/: empty" in empty.left_out
    lacking = filled(tmp_path / "b", trainA=12, trainB=0, testA=4)
    assert "trainB/: no pictures" in opened(lacking).left_out
    single = opened(filled(tmp_path / "c", trainA=12, trainB=1, testA=3))
    assert counts(single) == [12, 1]
    assert any("1 picture in the folder of B" in line for line in single.advice)


def test_columns_are_domains_and_know_their_partners(tmp_path):
    data = opened(columns(tmp_path / "a" / "x.parquet"), domain_columns=("theirs", "ours"))
    assert data.classes == ("theirs", "ours")
    assert len(data.stored) == 60
    truth = torch.from_numpy(np.concatenate([RIGHT, LEFT])).permute(0, 3, 1, 2)
    assert torch.equal(torch.from_numpy(np.array(data.stored)), truth)
    np.testing.assert_array_equal(data.labels, np.repeat([0, 1], 30))
    np.testing.assert_array_equal(data.partners, np.roll(np.arange(60), 30))
    assert data.captions[3] == data.captions[33] == "number 3"


def test_what_cannot_be_read_is_nobodys_partner(tmp_path):
    place = columns(tmp_path / "a" / "x.parquet", broken=4)
    data = opened(place, domain_columns=("ours", "theirs"), max_broken=0.5)
    assert len(data.stored) == 58
    there = np.flatnonzero(data.partners >= 0)
    np.testing.assert_array_equal(data.partners[data.partners[there]], there)
    assert len(there) == 58  # both cells of the row are broken


def test_partners_are_held_out_together(tmp_path):
    place = columns(tmp_path / "a" / "x.parquet")
    for split in ("train", "test"):
        data = opened(place, split, domain_columns=("ours", "theirs"))
        rows = data.rows(slice(None))
        assert len(rows) > 1
        assert set(data.partners[rows]) == set(rows)
    data = opened(place, domain_columns=("ours", "theirs"))
    rest, held = data.hold_out(10, seed=1)
    assert 8 <= len(held) <= 10
    for part in (rest, held):
        rows = part.rows(slice(None))
        assert set(part.partners[rows]) == set(rows)
    assert set(partner_places(part)) == set(range(len(part)))


def test_a_tenth_of_the_pairs_is_held_out_and_not_of_what_two_keys_agree_on():
    images = noise(2000, 1, 4, 4)
    data = ImageDataset("a", "train", images, partners=np.roll(np.arange(2000), 1000))
    held = sides(data).held
    assert 0.07 < held.mean() < 0.13
    np.testing.assert_array_equal(held[:1000], held[1000:])


def test_groups_and_partners_are_joined_to_the_smallest_parts_that_hold_both():
    groups = np.array([0, 1, 0, 3, 4, 5])
    partners = np.array([3, 1, 2, 0, 5, 4])
    np.testing.assert_array_equal(joined(groups, partners), [0, 1, 0, 0, 4, 4])
    assert joined(groups, np.arange(6)) is groups


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain_columns": ("ours",)}, "name two columns or more"),
        ({"domain_columns": ("ours", "ours")}, "name two columns or more"),
        ({"domain_columns": ("ours", "their")}, "did you mean 'theirs'"),
        ({"domain_columns": ("ours", "theirs"), "image_column": "ours"}, "leave --image-column"),
        ({"domain_columns": ("ours", "theirs"), "pairs": "columns"}, "leave one out"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, options, message):
    with pytest.raises(PthetaError, match=message):
        opened(columns(tmp_path / "a" / "x.parquet"), **options)


def test_a_folder_has_no_columns(tmp_path):
    with pytest.raises(PthetaError, match="--domain-columns"):
        opened(filled(tmp_path / "a", A=3, B=3), domain_columns=("A", "B"))
