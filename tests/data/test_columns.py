"""Columns of tables, wherever the table is: found by their usual names, or named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ptheta.data import describe, hub, open_images
from ptheta.data.arrow import Parquet
from ptheta.data.request import DataSettings
from ptheta.data.sources import open_image_set, settings_for
from ptheta.errors import PthetaError
from ptheta.runs import plan
from ptheta.runs.from_plan import open_plan_data
from tests.data.makers import COLOUR, GREY, LABELS, png, write_folder, write_parquet
from tests.data.test_faults import line

KINDS = ["cat", "dog", "emu", "fox"]
ROWS = [
    {"kind": KINDS[LABELS[i]], "said": f"number {i}", "odd": str(i % 3)} for i in range(len(GREY))
]


def beside(folder: Path, write: Callable[[Path, list[dict[str, str]]], None]) -> Path:
    """A flat folder of pictures and the table that `write` puts there."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(GREY):
        (folder / f"{i:02d}.png").write_bytes(png(image))
    write(folder, [{"file_name": f"{i:02d}.png"} | row for i, row in enumerate(ROWS)])
    return folder


def write_csv(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def write_jsonl(folder: Path, rows: list[dict[str, str]]) -> None:
    text = "\n".join(map(json.dumps, rows))
    (folder / "metadata.jsonl").write_text(text + "\n\n", encoding="utf-16")


def as_parquet(folder: Path) -> Path:
    columns: dict[str, Any] = {key: [row[key] for row in ROWS] for key in ROWS[0]}
    return write_parquet(folder / "a.parquet", GREY, **columns)


def as_saved(folder: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    rows: dict[str, Any] = {key: [row[key] for row in ROWS] for key in ROWS[0]}
    rows["image"] = [{"bytes": png(image), "path": None} for image in GREY]
    features = datasets.Features(
        {"image": datasets.Image(), **{key: datasets.Value("string") for key in ROWS[0]}}
    )
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(folder / "saved"))
    return folder / "saved"


SOURCES: dict[str, Callable[[Path], Path]] = {
    "metadata.csv": lambda root: beside(root / "csv", write_csv),
    "metadata.jsonl": lambda root: beside(root / "jsonl", write_jsonl),
    "parquet": as_parquet,
    "saved by datasets": as_saved,
}


@pytest.mark.parametrize("name", SOURCES)
def test_named_columns_are_taken_from_every_table(tmp_path, name):
    source = SOURCES[name](tmp_path)
    named = open_images(source, label_column="kind", caption_column="said")
    assert named.classes == tuple(KINDS)
    assert named.labels is not None
    assert np.array_equal(named.images[:, 0], GREY)
    assert named.labels.tolist() == LABELS.tolist()
    assert list(named.captions or ()) == [f"number {i}" for i in range(len(GREY))]
    assert open_images(source, label_column="odd").classes == ("0", "1", "2")
    for kind in ("image", "label", "caption"):
        said = line(source, **{f"{kind}_column": "kid"})
        assert f"no column 'kid' for --{kind}-column (did you mean 'kind'?)" in said
        assert all(column in said for column in ROWS[0])
    assert describe(source, label_column="kind")["classes"].keys() == set(KINDS)


def test_a_table_without_captions_says_how_to_name_them(tmp_path):
    found = open_images(beside(tmp_path, write_csv))
    assert any(
        "choose the caption column with --caption-column NAME" in note for note in found.notes
    )


def test_usual_names_are_found(tmp_path):
    def write(folder: Path, rows: list[dict[str, str]]) -> None:
        rows = [{"label": row["kind"], "text": row["said"], **row} for row in rows]
        write_csv(folder, rows)

    found = open_images(beside(tmp_path, write))
    assert found.classes == tuple(KINDS)
    assert (found.captions or ())[3] == "number 3"
    assert found.left_out == ()
    assert (
        "metadata.csv: labels from the column 'label' and captions from the column 'text'; "
        "other columns: kind, said, odd"
    ) in found.notes


@pytest.mark.parametrize("above", [False, True])
def test_tables_of_splits(tmp_path, above):
    """In each split, or one above them; the classes are those of all splits."""
    for split, part in (("train", slice(0, 15)), ("test", slice(15, 20))):
        folder = tmp_path / split
        folder.mkdir()
        rows = []
        for i, image in enumerate(GREY[part]):
            (folder / f"{i}.png").write_bytes(png(image))
            name = f"{split}/{i}.png" if above else f"{i}.png"
            rows.append({"file_name": name, "label": KINDS[0 if split == "train" else 1 + i % 3]})
        if above:
            old = tmp_path / "metadata.jsonl"
            before = list(map(json.loads, old.read_text("utf-16").split())) if old.exists() else []
            text = "\n".join(json.dumps(row, separators=(",", ":")) for row in (*before, *rows))
            old.write_text(text, "utf-16")
        else:
            write_csv(folder, rows)
    train, test = open_images(tmp_path), open_images(tmp_path, "test")
    assert train.classes == test.classes == tuple(KINDS)
    assert train.labels is not None
    assert test.labels is not None
    assert set(train.labels) == {0}
    assert test.labels.tolist() == [1, 2, 3, 1, 2]
    assert not any("rows name a picture" in note for note in (*train.notes, *test.notes))


def test_rows_and_pictures_that_do_not_meet_are_told(tmp_path):
    folder = beside(tmp_path, lambda f, rows: write_csv(f, [{**r, "label": "a"} for r in rows]))
    (folder / "03.png").rename(folder / "new.png")
    found = open_images(folder)
    told = "1 of 20 rows name a picture that does not exist; the first names "
    assert any(note.startswith(told) for note in found.notes)
    assert "no labels are read: the column 'label' is missing for some images" in found.notes
    assert found.labels is None


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("metadata.jsonl", b"{}\n[1]\n", "line 2 is not a JSON object"),
        ("metadata.jsonl", b"[" * 10**5, "line 1 is not a JSON object"),
        ("metadata.csv", b"name,label\n1,2\n", "the columns name, label: none is file_name"),
        ("metadata.csv", b"file_name,label\n\xff,2\n", "is not UTF-8"),
        ("metadata.csv", b"file_name\n" + b'"' + b"x" * 200_000, "is not a valid CSV table"),
    ],
)
def test_damaged_tables(tmp_path, name, data, words):
    write_folder(tmp_path, GREY)
    (tmp_path / name).write_bytes(data)
    assert words in line(tmp_path)


def test_text_files_beside_pictures_are_captions(tmp_path):
    folder = write_folder(tmp_path, GREY)
    for i in range(1, 20):
        text = b"\xef\xbb\xbf" * (i == 4) + f" number {i}\n".encode()
        (folder / f"class{LABELS[i]}" / f"{i:02d}.txt").write_bytes(text)
    (folder / "readme.txt").write_text("not a caption")
    found = open_images(folder)
    captions = [(found.captions or ())[row] for row in range(20)]
    ordered = sorted(range(20), key=lambda i: (LABELS[i], i))
    assert captions == [f"number {i}" if i else "" for i in ordered]
    assert found.left_out == ("1 file of suffix .txt",)
    assert any("19 of 20 have one" in note for note in found.notes)
    assert describe(folder)["captions"]


def test_pictures_as_numbers_bytes_or_paths(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_folder(tmp_path / "p", GREY)
    folder = [f"p/class{LABELS[i]}/{i:02d}.png" for i in range(20)]
    columns = {
        "lists": [image.tolist() for image in GREY],
        "rgb": [image.tolist() for image in COLOUR],
        "flat": [image.ravel().tolist() for image in GREY],
        "floats": [(image / 255.0).tolist() for image in GREY],
        "raw": [png(image) for image in GREY],
        "struct": [{"bytes": None, "path": name} for name in folder],
        "file_name": folder,
        "number": list(range(20)),
        "large": [(image.astype(int) * 9).tolist() for image in GREY],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    for column in ("lists", "flat", "floats", "raw", "struct", "file_name"):
        found = open_images(tmp_path / "a.parquet", image_column=column)
        assert np.array_equal(found.images[:, 0], GREY), column
    colour = open_images(tmp_path / "a.parquet", image_column="rgb")
    assert np.array_equal(colour.images, COLOUR.transpose(0, 3, 1, 2))
    assert "of type int, not a picture" in line(tmp_path / "a.parquet", image_column="number")
    large = open_images(tmp_path / "a.parquet", image_column="large").images[:, 0]
    assert np.array_equal(large, np.rint(GREY * (9 * 255 / 4095)))  # as of 12 bits
    for name in ("lists", "file_name"):  # found where there is nothing better
        pq.write_table(pa.table({name: columns[name]}), tmp_path / f"{name}.parquet")
        assert len(open_images(tmp_path / f"{name}.parquet").images) == 20


def test_rows_that_contradict_others_and_folders_are_told(tmp_path):
    folder = write_folder(tmp_path, GREY)  # class0/00.png and so on
    pictures = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))
    rows = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(pictures)]
    table = folder / "metadata.csv"
    table.write_text("\n".join(["file_name,label", *rows, f"{pictures[0]},b", "../x.png,a"]))
    notes = " | ".join(open_images(folder).notes)
    assert "labels from the column 'label', not from the folders" in notes
    assert "1 rows repeat a picture with different values" in notes
    assert "the first names ../x.png" in notes
    table.write_text(table.read_text().replace(",", ";"))
    assert "is separated by ';': separate the columns by commas" in line(folder)


def test_a_file_of_a_split_without_a_column_is_named(tmp_path):
    """Of the split that is read; the labels of others are numbered by what files have them."""

    def write(name: str, images: np.ndarray, *columns: str) -> None:
        every = {"img": [png(x) for x in images], "label": LABELS, "caption": ["a"] * len(images)}
        table = {name: every[name] for name in ("img", *columns)}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")

    write("train-0", GREY, "label", "caption")
    write("test-0", GREY)
    assert open_images(tmp_path).labels is not None
    assert open_images(tmp_path, "test").labels is None
    write("train-1", 255 - GREY)
    assert "train-1.parquet has no column 'label'" in line(tmp_path)
    assert len(open_image_set(tmp_path).images) == 3 * len(GREY)  # to be measured: without labels
    write("train-1", 255 - GREY, "label")
    assert "train-1.parquet has no column 'caption'" in line(tmp_path)


@pytest.mark.parametrize(
    "error",
    [OSError("gone"), ValueError("odd"), pa.ArrowNotImplementedError("no"), pa.ArrowTypeError("t")],
)
def test_whatever_arrow_raises_names_the_file(tmp_path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    write_parquet(tmp_path / "a.parquet", GREY)
    for method in ("schema", "groups", "batches"):
        with monkeypatch.context() as patch:
            patch.setattr(Parquet, method, fail)
            assert f"a.parquet: {error}; download the file again" in line(tmp_path / "a.parquet")


def test_a_plan_keeps_its_columns_and_reads_other_data_without(tmp_path):
    source = as_parquet(tmp_path)
    options = {"label_column": "kind", "image_column": "img", "steps": 1}
    made = plan.Plan.from_json(plan.make("cvae", source, options).to_json())
    assert open_plan_data(made, "train").classes == tuple(KINDS)
    moved = source.rename(tmp_path / "b.parquet")
    assert open_plan_data(made, "train", moved).classes == tuple(KINDS)
    other = write_folder(tmp_path / "other", GREY)
    assert len(open_plan_data(made, "train", other).classes) == 4
    missing = plan.make("cvae", moved, {"label_column": "kid", "steps": 1})
    with pytest.raises(PthetaError, match="did you mean 'kind'"):
        open_plan_data(missing, "train")


@pytest.mark.parametrize("source", ["digits", "a.npz", "a.npy", "folder"])
def test_what_has_no_columns_says_so(tmp_path, source):
    np.save(tmp_path / "a.npy", GREY)
    np.savez(tmp_path / "a.npz", images=GREY)
    write_folder(tmp_path / "folder", GREY)
    place: str | Path = source if source == "digits" else tmp_path / source
    assert "has no columns; leave it out" in line(place, label_column="kind")
    # what a run was trained on may have columns that other data has not
    assert settings_for(place, DataSettings(label_column="kind")) == DataSettings()


def test_saved_splits_and_what_leads_out_of_the_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = {"image": [{"bytes": png(i), "path": None} for i in GREY], "label": LABELS.tolist()}
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=KINDS)}
    table = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    parts = datasets.DatasetDict({"train": table, "validation": table.select(range(5))})
    parts.save_to_disk(str(tmp_path / "d"))
    train, test = open_images(tmp_path / "d"), open_images(tmp_path / "d", "val")
    assert (len(train), len(test), train.classes) == (20, 5, tuple(KINDS))
    state = tmp_path / "d" / "train" / "state.json"
    for change, words in (
        (
            {"_data_files": [{"filename": "../train/dataset_info.json"}]},
            "which is not in the same folder",
        ),
        ({"_data_files": [{"filename": "dataset_info.json"}]}, "cannot read"),
        ({"_data_files": [1]}, "not a list of names"),
        ({"_data_files": []}, "names no data file"),
        ({"_indices_files": [{"filename": "i.arrow"}]}, "selection of rows apart"),
    ):
        kept = state.read_text()
        state.write_text(json.dumps(json.loads(kept) | change))
        assert words in line(tmp_path / "d")
        state.write_text(kept)


def test_a_library_that_runs_programs_of_a_repository_is_refused(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "__version__", "2.19.0")
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("it was asked"))
    with pytest.raises(PthetaError, match=r"pip install 'datasets>=4'"):
        open_images(next(iter(hub.ALIASES)))
