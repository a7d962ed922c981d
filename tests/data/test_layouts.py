"""Which folders are splits, classes, or nothing; names beside folders; what ptheta wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ptheta.data import EMBEDDED, describe, hub, open_data
from ptheta.data.names import Name, record, recorded
from ptheta.data.own import JUNK_FOLDERS
from ptheta.data.sources import open_image_set, reader_of
from ptheta.errors import PthetaError
from ptheta.files.images import grid, write_png
from tests.conftest import write_images
from tests.data.makers import noise


def fill(root: Path, *folders: str, n: int = 12) -> Path:
    for name in folders:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.fromarray(noise(8, 8)).save(root / name / f"{i}.png")
    return root


LAYOUTS = {
    "plain": ("train", "test"),
    "years": ("train2017", "val2017", "test2015"),
    "suffix": ("train_images", "test_images"),
    "prefix": ("DIV2K_train_HR", "DIV2K_valid_HR"),
    "sets": ("training_set", "test_set"),
    "images": ("images/train", "images/val"),
    "down": ("set/train/cat", "set/test/cat"),
    "masks": ("images/train", "images/val", "masks/train", "masks/val"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_known_layouts_are_splits(tmp_path, name):
    folder = fill(tmp_path, *LAYOUTS[name])
    n = sum("mask" not in part for part in LAYOUTS[name])
    about = describe(folder)
    assert len(open_data(folder)) == len(open_data(folder, "test")) == 12
    assert len(open_image_set(folder).images) == 12 * n
    if name == "masks":
        assert "masks/: next to the splits" in about["left out"]


def test_domains_and_classes_with_splits_of_their_own_are_labels(tmp_path):
    domains = fill(tmp_path / "a", "trainA", "trainB", "testA", "testB")
    classes = fill(tmp_path / "b", "cat/train", "cat/test", "dog/train", "dog/test")
    for folder, names in ((domains, ("A", "B")), (classes, ("cat", "dog"))):
        for split in ("train", "test"):
            data = open_data(folder, split)
            assert data.classes == names
            assert data.labels is not None
            assert np.bincount(data.labels).tolist() == [12, 12]


def test_other_words_are_classes(tmp_path):
    data = open_data(fill(tmp_path, "train_station", "test_tube", "train", "car"))
    assert data.classes == ("car", "test_tube", "train", "train_station")
    assert any("read as a class" in note for note in data.notes)


@pytest.mark.parametrize("junk", sorted(JUNK_FOLDERS))
def test_what_systems_put_beside_data_is_nothing(tmp_path, junk):
    about = describe(fill(tmp_path, "a", "b", f"a/{junk}", junk, n=6))
    assert list(about["classes"]) == ["a", "b"]
    assert sum(about["images"].values()) == 12
    assert f"{junk}/: of the operating system" in about["left out"]


def test_what_ptheta_wrote_is_no_data_unless_it_is_named(tmp_path):
    folder = fill(tmp_path / "data", "a", "b")
    first = describe(folder)
    x = torch.from_numpy(noise(12, 1, 8, 8))
    write_images(x, folder / "made")
    write_images(x, folder / "grid.png")
    write_png(folder / "a" / "grid.png", grid(x), 3)
    keys = ("format", "model", "recipe", "source", "spec")
    fill(folder / "run", "samples")
    (folder / "run" / "config.json").write_text(json.dumps(dict.fromkeys(keys, 0)))
    (folder / "a" / "config.json").write_text("{}")  # another program's
    about = describe(folder)
    for key in ("images", "size", "classes"):
        assert about[key] == first[key]
    assert {
        "made/: samples, written by ptheta",
        "run/: a run, written by ptheta",
        "2 pictures drawn by ptheta",
        "1 file of suffix .json",
    } <= set(about["left out"])
    assert torch.equal(open_image_set(folder / "made").images, x)
    write_images(x, tmp_path / "only" / "grid.png")
    with pytest.raises(PthetaError, match="skipped: 1 picture drawn by ptheta"):
        open_data(tmp_path / "only")
    with pytest.raises(PthetaError, match="samples are not mixed with them: choose a new folder"):
        write_images(x, folder)


@pytest.mark.parametrize("name", [*EMBEDDED, *hub.ALIASES])
def test_a_name_never_turns_into_a_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    kept, kind = record(name), reader_of(name).kind
    fill(tmp_path / name, "a")
    assert kept == name
    assert isinstance(recorded(kept), Name)
    again = reader_of(recorded(kept))
    assert again.kind == kind
    assert f"{name} is the built-in data set of that name" in again.notes[0]
    for path in (f"./{name}", Path(name), tmp_path / name):
        assert reader_of(path).kind == "folder of images"
        assert recorded(record(path)) == tmp_path / name
    assert (reader_of(name).kind == kind) == (name in EMBEDDED)  # a folder wins over the hub
    assert reader_of(name).notes  # and that is said
