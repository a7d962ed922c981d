"""Captions of every source, and what is said where some images have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import ptheta
from ptheta.conditions import Text
from ptheta.data.image_data import ImageDataset
from ptheta.data.metadata import MOST_TEXT
from ptheta.errors import PthetaError

N = 6
SAID = ["a red dot", "", "ein roter Punkt", "", "красная точка", "赤い点"]


def picture(i: int) -> np.ndarray:
    return np.full((8, 8, 3), 20 * i, np.uint8) + np.arange(8, dtype=np.uint8)[:, None, None]


def pictures(place: Path) -> None:
    place.mkdir()
    for i in range(N):
        Image.fromarray(picture(i)).save(place / f"{i}.png")


def beside(place: Path) -> None:
    pictures(place)
    for i, text in enumerate(SAID):
        if text:
            (place / f"{i}.txt").write_text(f"{text}\n", encoding="utf-8")


def listed(place: Path) -> None:
    pictures(place)
    rows = [{"file_name": f"{i}.png", "caption": text or None} for i, text in enumerate(SAID)]
    lines = [json.dumps(row) for i, row in enumerate(rows) if i != 3]  # 3.png is in no row
    (place / "metadata.jsonl").write_text("\n".join(lines))


def in_columns(place: Path) -> None:
    place.mkdir()
    for i in range(N):
        Image.fromarray(picture(i)).save(place / f"{i}.png")
    images = [{"bytes": (place / f"{i}.png").read_bytes()} for i in range(N)]
    for file in place.iterdir():
        file.unlink()
    captions = [text or None for text in SAID]
    pq.write_table(pa.table({"image": images, "caption": captions}), place / "train.parquet")


@pytest.mark.parametrize("write", [beside, listed, in_columns])
def test_captions_are_read_and_missing_ones_counted_and_named(
    write: Callable[[Path], None], tmp_path: Path
):
    write(tmp_path / "data")
    data = ptheta.open_data(tmp_path / "data")
    said = [SAID[int(row)] for row in data.rows(slice(None))]
    assert data.caption_texts() == said
    which = "row 1, row 3" if write is in_columns else "1.png, 3.png"
    assert f"2 of 6 images have no caption ({which})" in data.notes
    text = Text.of_data(data, "data")
    assert {"red", "punkt", "красная", "赤い点"} <= set(text.vocabulary)
    learned = text.adapted(data)
    assert "2 of 6 captions are empty: they contain no word" in learned.notes
    batch = learned.batch(range(N)).condition
    assert batch is not None
    assert text.describe(batch) == [caption.lower() for caption in said]


def test_a_caption_that_is_none_is_empty():
    captions: list[Any] = ["a b", None, "b"]
    data = ImageDataset("x", "train", np.zeros((3, 1, 8, 8), np.uint8), captions=captions)
    assert data.caption_texts() == ["a b", "", "b"]
    text = Text.of_data(data, "x")
    assert text.vocabulary == ("b", "a")
    assert text.describe(text.take(data, np.arange(3))) == ["a b", "", "b"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0, "0"),
        (False, "False"),
        (1.5, "1.5"),
        (float("nan"), ""),
        (b"caf\xc3\xa9", "café"),
        ([None, "", "a dot", "b"], "a dot"),
        ([], ""),
    ],
)
def test_what_stands_for_a_caption_is_read_as_one(cell: Any, text: str):
    images = np.zeros((2, 1, 8, 8), np.uint8)
    data = ImageDataset("x", "train", images, captions=[cell, "b"])
    assert data.caption_texts() == [text, "b"]


@pytest.mark.parametrize(
    "cell", [{"raw": "a dot"}, [{"raw": "a"}], b"\xff", "\ud800 dot", object()]
)
def test_what_is_no_text_is_refused_where_captions_are_read(cell: Any):
    images = np.zeros((2, 1, 8, 8), np.uint8)
    data = ImageDataset("x", "train", images, captions=["a", cell])
    assert data.batch(range(2)).condition is None
    with pytest.raises(PthetaError, match=r"^x, row 1: a caption is .*, not a text: correct it"):
        Text.of_data(data, "x")


def test_a_table_whose_captions_are_no_text_still_has_images(tmp_path: Path):
    pictures(tmp_path / "data")
    rows = [{"file_name": f"{i}.png", "caption": {"raw": "a"}} for i in range(N)]
    (tmp_path / "data" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(ptheta.open_data(tmp_path / "data")) == N
    assert "of type dict" in ptheta.data.describe(tmp_path / "data")["captions"]


def test_a_caption_file_is_in_a_known_encoding_or_named(tmp_path: Path):
    beside(tmp_path / "data")
    (tmp_path / "data" / "0.txt").write_text("ein Punkt é", encoding="utf-16")
    data = ptheta.open_data(tmp_path / "data")
    assert (data.caption_texts() or [])[0] == "ein Punkt é"
    long = ("é" * MOST_TEXT).encode()[: MOST_TEXT + 1]  # its last letter is cut in two
    (tmp_path / "data" / "0.txt").write_bytes(b"x" + long)
    assert len((data.caption_texts() or [])[0]) == MOST_TEXT // 2
    (tmp_path / "data" / "0.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(PthetaError, match=r"0\.txt is not UTF-8"):
        data.caption_texts()


def test_captions_that_all_say_the_same_are_remarked_on():
    said = ["A dot", "a dot", " a DOT "]
    data = ImageDataset("x", "train", np.zeros((3, 1, 8, 8), np.uint8), captions=said)
    text = Text.of_data(data, "x")
    assert text.adapted(data).notes == (
        "all 3 captions are identical: the model cannot learn to use them",
    )
    assert text.adapted(replace(data, split="test")).notes == ()


def test_a_caption_of_any_length_is_shown_in_a_line():
    said = ["r" * 10_000, "a dot"] * 2
    data = ImageDataset("x", "train", np.zeros((4, 1, 8, 8), np.uint8), captions=said)
    assert len(ptheta.data.describe(data)["captions"]) < 120


def test_what_is_cut_of_a_caption_is_said():
    captions = ["a b c", "a b", "c"]
    data = ImageDataset("x", "train", np.zeros((3, 1, 8, 8), np.uint8), captions=captions)
    assert Text.of_data(data, "x").adapted(data).notes == ()
    notes = Text(("a", "b", "c"), 1).adapted(data).notes
    assert notes == ("2 of 3 captions are longer than 1 words: the rest is cut off",)


@pytest.mark.parametrize("n", [2, 4])
def test_there_is_a_caption_for_each_image(n: int):
    images = np.zeros((3, 1, 8, 8), np.uint8)
    with pytest.raises(PthetaError, match=f"x: {n} captions of 3 examples: give one for each"):
        ImageDataset("x", "train", images, captions=["a"] * n)
    with pytest.raises(PthetaError, match=f"x: {n} labels of 3 examples"):
        ImageDataset("x", "train", images, labels=np.zeros(n, np.int64), classes=("a",))
