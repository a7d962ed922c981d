"""Damaged and odd sources: one line with the value, the reason and the cure; never a traceback."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ptheta.data import decode, describe, open_images
from ptheta.errors import PthetaError
from tests.data.makers import COLOUR, GREY, LABELS, idx_bytes, noise, write_folder, write_parquet


def line(source: Path | str, split: str = "train", **options) -> str:
    """The message of the error that opening a source gives."""
    with pytest.raises(PthetaError) as error:
        open_images(source, split, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_damaged_archives(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY, labels=LABELS)
    whole = (tmp_path / "a.npz").read_bytes()
    for n in (0, 100, len(whole) // 2):
        (tmp_path / "cut.npz").write_bytes(whole[:n])
        assert "cannot read" in line(tmp_path / "cut.npz")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    assert "cannot read" in line(tmp_path / "cut.npy")


@pytest.mark.parametrize("where", [0.02, 0.5, 0.999])
def test_damaged_parquet(tmp_path, where):
    file = write_parquet(tmp_path / "a.parquet", noise(20, 40, 40))
    data = bytearray(file.read_bytes())
    at = int(len(data) * where)
    data[at : at + 400] = b"\xff" * len(data[at : at + 400])
    file.write_bytes(data)
    # a page is unreadable, or single pictures in it are
    assert any(words in line(file, max_broken=0) for words in ("cannot read", "cannot be read"))


def test_damaged_idx(tmp_path):
    good = idx_bytes(GREY)
    for fault, data, words in (
        ("short", good[:-1], "cut short: 2879 bytes where its header says 2880"),
        ("header", good[:9], "cut short"),
        ("long", good + b"x", "too long"),
        ("empty", b"", "not an IDX file"),
        ("type", b"\0\0\x0d" + good[3:], "not an IDX file"),
        ("huge", good[:4] + b"\xff" * 12 + good[16:], "cut short"),
        ("none", idx_bytes(GREY[:0]), r"shape (0, 12, 12)"),
        ("labels", idx_bytes(LABELS), r"shape (20,)"),
        ("gzip", gzip.compress(good)[:-200], "cannot read"),
    ):
        file = tmp_path / f"{fault}-images-idx3-ubyte"
        file.write_bytes(data)
        assert words in line(file), fault
    file.write_bytes(good)
    file.with_name("gzip-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:7]))
    assert "7 labels for 20 images" in line(file)


def test_odd_arrays(tmp_path):
    def saved(array: np.ndarray) -> Path:
        np.save(tmp_path / "a.npy", array)
        return tmp_path / "a.npy"

    assert "store (x + 1) / 2" in line(saved(GREY / 127.5 - 1))
    assert "values reach 300" in line(saved(GREY.astype(np.float64) * (300 / GREY.max())))
    assert "floats from nan" in line(saved(np.full((4, 8, 8), np.nan, dtype=np.float32)))
    late = np.zeros((3000, 8, 8), dtype=np.float32)
    late[2900] = 7
    assert "values reach 7" in line(saved(late))
    assert "int64 from -1 to" in line(saved(GREY.astype(np.int64) - 1))
    assert "holds complex64" in line(saved(GREY.astype(np.complex64)))
    assert "holds no image" in line(saved(GREY[:0]))
    assert "shape (12, 12, 3)" in line(saved(COLOUR[0]))  # one picture, not twelve
    assert np.array_equal(
        np.sort(open_images(saved(GREY > 99)).images, axis=None),
        np.sort((GREY > 99) * np.uint8(255), axis=None),
    )


def test_pictures_too_large_to_be_honest_are_broken_files(tmp_path, monkeypatch, recwarn):
    folder = write_folder(tmp_path, GREY)
    Image.new("1", (1000, 900)).save(folder / "class0" / "bomb.png")
    for limit in (144, 500_000, 899_999):  # the last is where Pillow itself only warns
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        data = open_images(folder, cache_dir=tmp_path / f".cache{limit}")
        assert len(data.skipped) == 1
        assert data.skipped[0].startswith("class0/bomb.png: ")
    assert not [w for w in recwarn if issubclass(w.category, Image.DecompressionBombWarning)]


def test_links(tmp_path):
    folder = write_folder(tmp_path / "f", GREY)
    (folder / "class0" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "class0" / "nowhere.png").symlink_to(folder / "missing.png")
    data = open_images(folder)
    assert len(data) == 18
    assert data.skipped == ("class0/nowhere.png: no such file (a broken link?)",)


def test_files_of_no_concern(tmp_path):
    folder = write_folder(tmp_path, GREY)
    for name in (".hidden.png", "notes.txt", "Thumbs.db", "class1/.DS_Store", ".git/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    data = open_images(folder)
    assert (len(data), data.skipped, len(data.classes)) == (18, (), 4)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    folder = write_folder(tmp_path, GREY)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("class2"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    data = open_images(folder)
    assert data.classes == ("class0", "class1", "class3")
    assert data.left_out == ("class2/: cannot be read (Permission denied)",)
    assert any("class2/: cannot be read" in note for note in data.notes)
    refused = folder / "class2"
    assert line(refused).endswith("class2: Permission denied; give a folder that you can read")


def test_nothing_to_read(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    said = line(tmp_path)
    assert "none of the 1 images can be read" in said
    assert "x.png: not an image" in said
    assert "none of the 1" in line(tmp_path, max_broken=1.0)


def test_describe_tells_of_broken_files_whatever_their_share(tmp_path):
    folder = write_folder(tmp_path, GREY)
    for name in ("00", "04", "08", "12"):
        (folder / "class0" / f"{name}.png").write_bytes(b"nonsense")
    about = describe(folder)
    assert about["skipped files"] == 4
    assert about["skipped"][0] == "class0/00.png: not an image"
    assert any("--max-broken" in advice for advice in about["suggestions"])
    assert "4 of 20" in line(folder)


def test_suggestions(tmp_path):
    def advice(images: np.ndarray) -> str:
        np.save(tmp_path / "a.npy", images)
        return " ".join(describe(tmp_path / "a.npy")["suggestions"])

    assert "--levels 2" in advice((GREY > 99) * np.uint8(255))
    assert "--channels 1" in advice(np.repeat(GREY[..., None], 3, 3))
    assert "every sampled pixel is 0" in advice(np.zeros((20, 8, 8), dtype=np.uint8))


def test_colours_that_are_dropped_are_told(tmp_path):
    files = [noise(12, 12) for _ in range(20)]
    write_folder(tmp_path, files)
    names = sorted(p for p in tmp_path.rglob("*.png"))
    decode_peek = decode.PEEK
    assert decode_peek >= len(names)  # so that all are looked at
    Image.fromarray(COLOUR[0]).save(names[3])
    assert open_images(tmp_path).spec.channels == 3
    grey = open_images(tmp_path, channels=1)
    assert grey.notes[0].startswith("no splits")  # asked for, so not worth a note


def test_the_sample_is_from_all_over(tmp_path):
    """Grey pictures first by name, coloured ones last: colour it is."""
    for i in range(100):
        image = noise(8, 8) if i < 90 else noise(8, 8, 3)
        Image.fromarray(image).save(tmp_path / f"{i:03d}.png")
    assert open_images(tmp_path).spec.channels == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "size = 0: choose"),
        ({"channels": 2}, "channels = 2: choose 1"),
        ({"max_broken": 2.0}, "max_broken = 2.0: choose"),
    ],
)
def test_odd_options(options, words):
    assert words in line("digits", **options)


def test_without_the_extras(tmp_path, monkeypatch):
    file = write_parquet(tmp_path / "a.parquet", GREY)
    for module in ("pyarrow", "pyarrow.parquet", "datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    assert "pip install 'ptheta[parquet]'" in line(file)
    assert "pip install 'ptheta[hub]'" in line("cifar10")


def test_columns(tmp_path):
    extra = [{"bytes": png_, "path": None} for png_ in _pngs(255 - GREY)]
    other = write_parquet(tmp_path / "a.parquet", GREY, other=extra, raw=_pngs(GREY))
    first, second = open_images(other), open_images(other, image_column="other")
    assert np.array_equal(first.images, 255 - np.asarray(second.images))
    assert "images of the column 'img'; also there: other" in first.notes
    assert "did you mean 'other'" in line(other, image_column="othr")
    assert "has only the label column" in line(_without_images(tmp_path / "b.parquet"))


def _pngs(images: np.ndarray) -> list[bytes]:
    from tests.data.makers import png

    return [png(image) for image in images]


def _without_images(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"label": LABELS}), path)
    return path
