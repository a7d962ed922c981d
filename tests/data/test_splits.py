"""No image of train is in another split, and splits agree on shapes and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ptheta.data import describe, open_data
from ptheta.data.sources import open_image_set
from ptheta.data.splits import named
from ptheta.errors import PthetaError
from tests.data.makers import GREY, LABELS, noise, write_folder, write_parquet


def pictures(source: Path | str, split: str) -> set[bytes]:
    return {x.numpy().tobytes() for x in open_data(source, split).batch(slice(None)).x}


def one_part(root: Path) -> Path:
    return write_folder(root, GREY)


def train_and_test(root: Path) -> Path:
    np.savez(root.with_suffix(".npz"), x_train=GREY[:15], x_test=GREY[15:])
    return root.with_suffix(".npz")


def train_and_val(root: Path) -> Path:
    write_folder(root / "Train", GREY[:14])
    write_folder(root / "valid", GREY[14:])
    return root


def all_three(root: Path) -> Path:
    for split, part in (("train", GREY[:12]), ("validation", GREY[12:16]), ("test", GREY[16:])):
        write_parquet(root / "data" / f"{split}-00000-of-00001.parquet", part, LABELS[: len(part)])
    return root


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (one_part, {"train", "test"}),
        (train_and_test, {"train", "test"}),
        (train_and_val, {"train", "val", "test"}),
        (all_three, {"train", "val", "test"}),
    ],
)
def test_train_is_in_no_other_split_and_nothing_is_lost(tmp_path, make, own):
    source = make(tmp_path / "data")
    train, val, test = (pictures(source, split) for split in ("train", "val", "test"))
    assert not train & (val | test)
    assert train | val | test == {image.tobytes() for image in GREY}
    assert pictures(source, "test") == test  # the same at every call
    assert set(describe(source)["images"]) == own
    if make is all_three:
        assert not val & test
        assert open_data(source, "val").notes == ()
    else:
        assert val == test
        other = "test" if make is train_and_val else "val"
        notes = " ".join(open_data(source, other).notes)
        assert notes.startswith(("no splits: 2 of 20", f"no {other} split: the"))


def test_words_of_names():
    assert named("data/train-00000-of-00002.parquet") == "train"
    assert named("my_test/train.parquet") == "train"
    assert named("x_test") == named("test01") == "test"
    assert named("Validation") == named("dev") == "val"
    assert named("contest/trainer/values.bin") is None


def test_embedded_sets_have_no_val():
    with pytest.raises(PthetaError, match=r"the splits train and test, not val: hold .*hold_out"):
        open_data("digits", "val")


def test_a_source_without_training_images_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x_test=GREY, y_test=LABELS)
    with pytest.raises(PthetaError, match="only a test part"):
        open_data(tmp_path / "a.npz")


def test_a_folder_named_train_may_be_a_class(tmp_path):
    for name in ("train", "plane", "bus"):
        write_folder(tmp_path / name, GREY[:4])
    data = open_data(tmp_path)
    assert data.classes == ("bus", "plane", "train")
    assert len(data) == 12
    assert "train: named like a split but read as a class" in data.notes


def test_every_split_has_the_shape_of_train(tmp_path):
    write_folder(tmp_path / "train", GREY)
    write_folder(tmp_path / "test", [noise(20 + i, 30, 3) for i in range(6)])
    assert open_data(tmp_path, "test").spec == open_data(tmp_path).spec
    assert open_data(tmp_path).spec.shape == (1, 12, 12)
    write_folder(tmp_path / "train", [noise(14, 14, 3)])  # train changes: so must test
    assert open_data(tmp_path, "test").spec.shape == open_data(tmp_path).spec.shape == (3, 64, 64)


def test_every_split_numbers_its_labels_alike(tmp_path):
    words = np.array(["ant", "bee", "cat", "dog"])
    x, y = GREY[:16], words[LABELS[:16]]
    x_test, y_test = GREY[16:18], np.array(["dog", "cat"])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    write_parquet(tmp_path / "p" / "train.parquet", x, list(y))
    write_parquet(tmp_path / "p" / "test.parquet", GREY[16:18], ["dog", "cat"])
    for i, word in enumerate((*y, "dog", "cat")):
        place = tmp_path / "f" / ("train" if i < 16 else "test")
        write_folder(place / "x", GREY[i : i + 1])
        (place / str(word)).mkdir(exist_ok=True)
        (place / "x" / "class0" / "00.png").rename(place / str(word) / f"{i}.png")
        (place / "x" / "class0").rmdir()
        (place / "x").rmdir()
    for source in ("a.npz", "p", "f"):
        train, test = open_data(tmp_path / source), open_data(tmp_path / source, "test")
        assert train.classes == test.classes == tuple(words), source
        assert train.labels is not None
        assert test.labels is not None
        assert sorted(test.labels) == [2, 3], source
        assert sorted(train.labels) == sorted(LABELS[:16]), source


def test_classes_with_numbers_for_names_are_in_their_order(tmp_path):
    for i in range(12):
        write_folder(tmp_path / "x", GREY[i : i + 1])
        (tmp_path / "x" / "class0").rename(tmp_path / str(i))
    (tmp_path / "x").rmdir()
    assert open_data(tmp_path).classes == tuple(map(str, range(12)))


def test_a_class_that_is_only_in_the_test_part_is_refused(tmp_path):
    write_folder(tmp_path / "train", GREY[:2])
    write_folder(tmp_path / "test", GREY[:4])
    with pytest.raises(PthetaError, match=r"no such class among the training images \(class0, "):
        open_data(tmp_path, "test")


def test_missing_labels_are_no_labels(tmp_path):
    write_parquet(tmp_path / "train.parquet", GREY)
    write_parquet(tmp_path / "test.parquet", GREY[:5], [-1] * 5)  # as the hub marks them
    assert open_data(tmp_path).classes == ("a", "b", "c", "d")
    assert open_data(tmp_path, "test").labels is None
    one = write_parquet(tmp_path / "one.parquet", GREY, [*LABELS[:19].tolist(), None])
    assert open_data(one).labels is None


def test_large_numbers_are_names_of_classes(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY, labels=10**12 + LABELS)
    data = open_data(tmp_path / "a.npz")
    assert data.classes == tuple(str(10**12 + i) for i in range(4))


@pytest.mark.parametrize("n", [1, 2, 10])
def test_of_few_images_none_is_held_out(tmp_path, n):
    source = write_folder(tmp_path, noise(n, 12, 12, 3))
    data = open_data(source)
    assert len(data) == n
    assert data.notes[0].startswith("nothing is held out")
    for split in ("val", "test"):
        with pytest.raises(PthetaError, match=f"has no {split} images .* add some"):
            open_data(source, split)
    about = describe(source)
    assert about["images"] == {"train": n}
    assert f"{n} training images only" in " ".join(about["suggestions"])
    if n > 1:
        assert len(open_image_set(source).images) == n
    else:
        with pytest.raises(PthetaError, match="holds 1 image"):
            open_image_set(source)


@pytest.mark.parametrize(
    "parts",
    [
        ("",),
        ("val",),
        ("test", "val"),
        ("train", "test", "extra"),
        ("train/a", "train/b", "test/a", "test/c"),
        ("a", "b", ""),
        ("train", "test", ""),
    ],
)
def test_images_to_be_measured_are_all_that_a_folder_holds(tmp_path, parts):
    """Another program calls its folders as it likes."""
    images = noise(3 * len(parts), 8, 8)
    for i, image in enumerate(images):
        (tmp_path / "made" / parts[i % len(parts)]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "made" / parts[i % len(parts)] / f"{i}.png")
    found = open_image_set(tmp_path / "made").images.numpy()[:, 0]
    assert sorted(map(np.ndarray.tobytes, found)) == sorted(map(np.ndarray.tobytes, images))


def test_images_to_be_measured_are_all_parts_of_an_archive_of_arrays(tmp_path):
    x = noise(9, 8, 8)
    for keys in (("x_test", "x_val"), ("x_train", "x_test"), ("images",)):
        arrays: dict[str, Any] = {key: x + i for i, key in enumerate(keys)}
        np.savez(tmp_path / "a.npz", **arrays)
        assert len(open_image_set(tmp_path / "a.npz").images) == 9 * len(keys)
