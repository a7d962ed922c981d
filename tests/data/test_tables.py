"""Tables: what is read of them, what their columns are, and one line for what is odd in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ptheta.data import describe, open_data
from ptheta.data.columns.learn import cells_of, columns_of
from ptheta.data.columns.separated import read_separated
from ptheta.data.columns.write import WRITERS, write_vectors
from ptheta.data.identity import keys
from ptheta.data.request import Learned, Request
from ptheta.data.sources import open_split
from ptheta.data.vector_data import VectorDataset, vectors_of
from ptheta.errors import PthetaError
from ptheta.specs import Column, VectorSpec

NAN = math.nan
PEOPLE = """age,height,pet,club,smoker
31,1.75,cat,7,true
40,,dog,12,false
,1.61,cat,7,NA
25,1.8,owl,null,true
"""


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def opened(path: Path, split: str = "train", **options) -> VectorDataset:
    return vectors_of(open_data(path, split, **options))


def line(path: Path, split: str = "train", **options) -> str:
    with pytest.raises(PthetaError) as error:
        open_data(path, split, **options)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    return str(error.value)


def people(path: Path, n: int = 300, seed: int = 0) -> Path:
    """A table of n rows, one with every kind of column, a label, missing cells and a copy of the
    first five rows at the end."""
    rng = np.random.default_rng(seed)
    rows = [
        f"{rng.integers(1, 90)},{rng.normal(1.7, 0.1):.4f},{rng.choice(['cat', 'dog', 'owl'])},"
        f"{rng.choice(['yes', 'no'])}"
        for _ in range(n - 5)
    ]
    rows[3] = ",1.5,cat,no"
    text = "\n".join(["age,height,pet,label", *rows, *rows[:5]])
    return written(path, text + "\n")


# -- what is read


def test_every_kind_of_column(tmp_path):
    data = opened(written(tmp_path / "a.csv", PEOPLE))
    assert [(c.name, c.kind, c.values, c.missing) for c in data.spec.columns] == [
        ("age", "integer", (), True),
        ("height", "real", (), True),
        ("pet", "category", ("cat", "dog", "owl"), False),
        ("club", "integer", (), True),
        ("smoker", "category", ("false", "true"), True),
    ]
    expected = [
        [31, 1.75, 0, 7, 1],
        [40, NAN, 1, 12, 0],
        [NAN, 1.61, 0, 7, NAN],
        [25, 1.8, 2, NAN, 1],
    ]
    np.testing.assert_array_equal(data.cells, np.array(expected, np.float32))
    age = data.spec.columns[0]
    assert (age.low, age.high, age.center) == (25, 40, 32)
    assert age.scale == pytest.approx(np.std([31, 40, 25]))
    data.spec.check(data.batch(slice(None)).x)


def test_parquet_and_csv_are_the_same_table(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "age": pa.array([31, 40, None, 25], pa.int16()),
            "height": [1.75, None, 1.61, 1.8],
            "pet": pa.array(["cat", "dog", "cat", "owl"]).dictionary_encode(),
            "club": [7.0, 12.0, 7.0, None],
            "smoker": [True, False, None, True],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    parquet = opened(tmp_path / "a.parquet")
    text = opened(written(tmp_path / "a.csv", PEOPLE))
    assert parquet.spec == text.spec
    np.testing.assert_array_equal(parquet.cells, text.cells)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "|"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("cat", '"cat"').replace("\n25", "\n\n25"),
        lambda text: "\ufeff" + text,
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("NA", "nan").replace("null", "N/A"),
    ],
)
def test_ways_to_write_the_same_table(tmp_path, change: Callable[[str], str | bytes]):
    data = opened(written(tmp_path / "a.csv", PEOPLE))
    other = opened(written(tmp_path / "b.csv", change(PEOPLE)))
    assert other.spec == data.spec
    np.testing.assert_array_equal(other.cells, data.cells)


def test_columns_labels_and_categories_by_option(tmp_path):
    file = people(tmp_path / "a.csv")
    data = opened(file)
    assert data.classes == ("no", "yes")
    assert [c.name for c in data.spec.columns] == ["age", "height", "pet"]
    assert any("labels of the column 'label'" in note for note in data.notes)
    chosen = opened(file, columns=("label", "age"), category_columns=("age",))
    assert chosen.labels is None
    assert [c.name for c in chosen.spec.columns] == ["label", "age"]
    assert chosen.spec.columns[1].values[:3] == ("1", "2", "3")
    learned = opened(file, category_columns=("label",))
    assert learned.labels is None
    assert [c.name for c in learned.spec.columns] == ["age", "height", "pet", "label"]
    by_pet = opened(file, label_column="pet", columns=("height",))
    assert by_pet.classes == ("cat", "dog", "owl")
    codes = written(tmp_path / "b.csv", "code,x\n007,1\n07,2\n007,3\n")
    assert opened(codes, category_columns=("code",)).spec.columns[0].values == ("007", "07")
    assert opened(codes).spec.columns[0].kind == "integer"


def test_numbers_first_and_words_further_down(tmp_path):
    text = "a,b\n" + "1,2\n" * 15_000 + "x,2\n02,2\n"
    (a, b) = read_separated(written(tmp_path / "a.csv", text))
    assert a.words == ("1", "02", "x")
    assert np.array_equal(np.unique(a.cells), [0, 1, 2])
    assert not b.words


def test_constants_dates_and_large_numbers(tmp_path):
    data = opened(written(tmp_path / "a.csv", "a,big,c\n0.1,20000001,x\n0.1,20000002,y\n0.1,3,x\n"))
    same, big, _ = data.spec.columns
    assert same.low == same.high == float(np.float32(0.1))
    assert same.scale == 1
    assert big.kind == "real"  # float32 does not tell such whole numbers apart
    data.spec.check_drawn(data.batch(slice(None)).x)


# -- parts


def test_a_tenth_is_held_out_and_copies_are_on_one_side(tmp_path):
    file = people(tmp_path / "a.csv")
    train, val, test = (opened(file, split) for split in ("train", "val", "test"))
    assert len(train) + len(test) == 300
    assert 10 < len(test) < 60
    assert not set(keys(train)) & set(keys(test))
    assert np.array_equal(keys(val), keys(test))
    assert train.spec == test.spec
    ages = train.batch(slice(None)).x[:, 0]
    assert train.spec.columns[0].high == ages[~ages.isnan()].max()


def test_parts_in_files_have_the_columns_of_training(tmp_path):
    people(tmp_path / "d" / "train.csv")
    text = "pet,label,height,age\nowl,no,2.5,200\ndog,yes,,3\n"
    written(tmp_path / "d" / "test.csv", text)
    train, test = (opened(tmp_path / "d", split) for split in ("train", "test"))
    assert test.spec == train.spec
    expected = np.array([[200, 2.5, 2], [3, NAN, 1]], np.float32)
    np.testing.assert_array_equal(test.cells, expected)
    assert test.labels is not None
    assert test.labels.tolist() == [0, 1]
    test.spec.check(test.batch(slice(None)).x)  # beyond the bounds that were learned
    written(tmp_path / "d" / "test.csv", text.replace("owl", "eel"))
    assert "'eel' in column 'pet'" in line(tmp_path / "d", "test")
    written(tmp_path / "d" / "test.csv", "pet,label,height\nowl,no,2.5\ndog,yes,1\n")
    assert "no column 'age' for its test part" in line(tmp_path / "d", "test")
    written(tmp_path / "d" / "test.csv", text.replace("200", "old"))
    assert "'age'" in line(tmp_path / "d", "test")
    people(tmp_path / "d" / "train-2.csv")
    assert "two tables for train" in line(tmp_path / "d")


def test_a_folder_with_one_table_is_that_table(tmp_path):
    table = people(tmp_path / "d" / "anything.csv")
    assert opened(tmp_path / "d").spec == opened(table).spec


def test_rows_that_repeat_training_rows_are_known(tmp_path):
    people(tmp_path / "d" / "train.csv")
    rows = (tmp_path / "d" / "train.csv").read_text().splitlines()
    written(tmp_path / "d" / "test.csv", "\n".join([*rows[:4], "1,9.5,owl,no"]) + "\n")
    test = opened(tmp_path / "d", "test")
    assert test.repeated().tolist() == [True, True, True, False]


# -- with the columns of a run


def test_the_columns_of_a_run_hold_for_whatever_is_read(tmp_path):
    spec = opened(people(tmp_path / "a.csv")).spec
    asked = Request("train", learned=Learned(spec))
    few = written(tmp_path / "b.csv", "pet,more,height,age\nowl,1,2.5,200\ndog,2,,3\n")
    data = vectors_of(open_split(few, asked))
    assert data.spec == spec  # nothing is learned from these
    np.testing.assert_array_equal(data.cells, np.array([[200, 2.5, 2], [3, NAN, 1]], np.float32))
    other = people(tmp_path / "c.csv", 200, seed=1)  # divided, and other bounds
    assert all(open_split(other, replace(asked, split=s)).spec == spec for s in ("train", "test"))
    gone = written(tmp_path / "d.csv", "pet,height,age\nowl,,20\ndog,,30\n")
    assert np.isnan(vectors_of(open_split(gone, asked)).cells[:, 1]).all()
    assert open_split(data.cells, asked).spec == spec
    assert open_split(data, asked).spec == spec
    for text, words in (
        ("pet,age\nowl,20\ndog,3\n", "no column 'height', which the model was trained on"),
        ("pet,age,height\neel,20,1\ndog,3,2\n", "'eel' in column 'pet'"),
        ("pet,age,height\nowl,old,1\ndog,3,2\n", "'age'"),
    ):
        with pytest.raises(PthetaError, match=words):
            open_split(written(tmp_path / "e.csv", text), asked)


# -- what is odd


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "has 0 rows below"),
        ("a,b\n1,2\n", "has 1 rows below"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "5.1 is a number: add a header line"),
        ("a,b,a\n1,2,3\n2,3,4\n", "two columns 'a'"),
        ("a,b\n1,\n2,NA\n", "column 'b' is empty: every cell is missing"),
        ("a,b\n1,inf\n2,3\n", "column 'b' is infinite in row 1"),
        ("a,b\n1,1e300\n2,3\n", "column 'b' is 1e+300 in row 1"),
        ("a,b\n1,2020-01-02\n2,2021-11-30\n", "dates: store numbers"),
        ("a,b\n1,2020-01-02 10:30\n2,2021-11-30 11:00\n", "leave it out: --columns a"),
        (b"a,b\n1,caf\xe9\n", "is not UTF-8"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not UTF-8"),
        ("a,b\n1,2_0\n2,3\n1,2\n" + "1,2_1\n" * 3, ""),
        ('a,b\n1,"2\n3,4\n', "unexpected end of data"),
        ("text\n" + "\n".join(f"sentence {i} of a book" for i in range(50)), "different words"),
        (
            "id,x\n" + "\n".join(f"u{i},{i}" for i in range(50)),
            "--category-columns id); or leave it out",
        ),
        ("label\n1\n2\n", "has only the label column"),
    ],
)
def test_odd_tables_are_told_in_one_line(tmp_path, text, words):
    file = written(tmp_path / "a.csv", text)
    if words:
        assert words in line(file)
    else:
        opened(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ("agee",)}, "no column 'agee' for --columns: did you mean 'age'"),
        (
            {"columns": ("age",), "category_columns": ("pet",)},
            "'pet' is among --category-columns but not among --columns",
        ),
        (
            {"category_columns": ("pets",)},
            "no column 'pets' for --category-columns: did you mean 'pet'",
        ),
        ({"label_column": "pat"}, "no column 'pat' for --label-column: did you mean 'pet'"),
        ({"label_column": "pet", "columns": ("pet", "age")}, "remove it from one"),
        ({"size": 8}, "--size 8"),
        ({"channels": 1}, "--channels 1"),
        ({"white": 255.0}, "--white 255"),
        ({"image_column": "pet"}, "--image-column pet"),
        ({"levels": 2}, "leave out --levels 2"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, words):
    assert words in line(people(tmp_path / "a.csv"), **options)


def test_options_of_tables_are_refused_elsewhere(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 8, 8), np.uint8))
    assert "--columns a" in line(tmp_path / "a.npy", columns=("a",))
    with pytest.raises(PthetaError, match="--category-columns a: digits"):
        open_data("digits", category_columns=("a",))


def test_dates_and_nested_columns_of_parquet(tmp_path):
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "x": [1.0, 2.0],
        "day": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
        "more": [[1, 2], [3]],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert "'day' holds dates" in line(tmp_path / "a.parquet")
    assert "--columns x" in line(tmp_path / "a.parquet")
    assert "'more' holds cells of the type list" in line(tmp_path / "a.parquet", columns=("more",))
    assert len(opened(tmp_path / "a.parquet", columns=("x",))) == 2


# -- arrays


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "uint8", "bool"])
def test_arrays_of_rows(tmp_path, kind):
    rng = np.random.default_rng(0)
    array = (rng.normal(size=(200, 3)) * 3).astype(kind)
    np.save(tmp_path / "a.npy", array)
    data = opened(tmp_path / "a.npy")
    assert {c.kind for c in data.spec.columns} == {"real" if kind[:1] == "f" else "integer"}
    assert data.spec.columns[0].low == -math.inf
    memory = vectors_of(open_data(array))
    assert memory.spec == data.spec
    assert np.array_equal(memory.cells, data.cells)


def test_arrays_by_split_with_labels(tmp_path):
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {f"x_{s}": rng.normal(size=(50, 2)) for s in ("train", "test")}
    parts["x_test"][0, 0] = NAN
    parts |= {f"y_{s}": rng.integers(0, 3, 50) for s in ("train", "test")}
    np.savez(tmp_path / "a.npz", **parts)
    train, test = (opened(tmp_path / "a.npz", split) for split in ("train", "test"))
    assert test.spec == train.spec
    assert np.isnan(test.cells[0, 0])
    assert test.labels is not None
    assert test.labels.tolist() == parts["y_test"].tolist()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[1.0, np.inf], [2, 3]]), "row 0, column 1"),
        (np.array([[1.0, NAN], [2, NAN]]), "column 1 (from 0) is NaN in every row"),
        (np.array([["a", "b"]]), "store numbers"),
        (np.zeros((0, 3)), "at least 2 rows"),
        (np.zeros(5), "(N, D) for rows"),
    ],
)
def test_odd_arrays(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    assert words in line(tmp_path / "a.npy")


def test_an_array_goes_by_its_order_where_names_are_known(tmp_path):
    data = opened(people(tmp_path / "a.csv"))
    bare = vectors_of(open_data(data.cells[:20]))
    assert bare.with_columns(data.spec).spec == data.spec


# -- looked at


def test_a_table_is_described(tmp_path):
    about = describe(people(tmp_path / "a.csv"))
    assert sum(about["rows"].values()) == 300
    words = ["cat", "dog", "owl"]
    assert about["columns"]["pet"] == {"kind": "category", "missing": 0, "words": words}
    assert about["columns"]["age"]["missing"] > 0
    assert set(about["classes"]) == {"yes", "no"}
    odd = "\n".join(["n,same,x", *(f"{i},1,{i % 7}" for i in range(40))])
    advice = " ".join(describe(written(tmp_path / "b.csv", odd))["suggestions"])
    assert "'n' has a different whole number in every row" in advice
    assert "'same' is the same in every row" in advice


def test_a_toy_is_described():
    about = describe("points-moons")
    assert about["rows"] == {"train": 20_000, "val": 5000, "test": 5000}
    assert set(about["classes"]) == {"upper", "lower"}


# -- written

REAL = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.sampled_from(["cat", "a dog", 'quo"te', "com,ma", "semi;colon", "ünïcode", "7 of 9"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, VectorSpec]:
    """Cells and the columns that are learned from them."""
    n = draw(st.integers(4, 12))
    real = draw(st.lists(REAL, min_size=n, max_size=n))
    real[0] = 0.5  # not all whole, which would make another column of it
    whole = draw(st.lists(st.integers(-(2**24), 2**24), min_size=n, max_size=n))
    words = draw(st.lists(WORDS, min_size=n, max_size=n))
    values = tuple(sorted(set(words)))
    gone = np.array(draw(st.lists(st.booleans(), min_size=3 * n, max_size=3 * n))).reshape(n, 3)
    gone[0] = False
    cells = np.array([real, whole, [values.index(w) for w in words]], np.float32).T
    kept = tuple(v for v in values if (cells[~gone[:, 2], 2] == values.index(v)).any())
    cells[:, 2] = [kept.index(w) if w in kept else 0 for w in words]
    cells[gone] = NAN
    columns = (Column("a"), Column("b, c", "integer"), Column("word", "category", kept))
    return cells, VectorSpec(columns)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=tables())
def test_what_is_written_is_read_back(tmp_path, suffix, made):
    cells, spec = made
    write_vectors(tmp_path / f"a{suffix}", torch.from_numpy(cells), spec)
    read = opened(tmp_path / f"a{suffix}")
    assert [(c.name, c.kind, c.values) for c in read.spec.columns] == [
        (c.name, c.kind, c.values) for c in spec.columns
    ]
    np.testing.assert_array_equal(read.cells, cells)
    write_vectors(tmp_path / f"b{suffix}", read.cells, read.vectors)
    again = opened(tmp_path / f"b{suffix}")
    assert again.spec == read.spec
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_an_array_is_written_as_it_is(tmp_path):
    x = torch.randn(20, 2)
    write_vectors(tmp_path / "a.npy", x, VectorSpec.of(2))
    assert np.array_equal(np.load(tmp_path / "a.npy"), x.numpy())


def test_what_cannot_be_written(tmp_path):
    spec = VectorSpec.of(2)
    with pytest.raises(PthetaError, match=r"want \.csv, \.parquet or \.npy, not '\.txt'"):
        write_vectors(tmp_path / "a.txt", torch.zeros(3, 2), spec)
    with pytest.raises(PthetaError, match=r"give float32 \(N, 2\)"):
        write_vectors(tmp_path / "a.csv", torch.zeros(3, 3), spec)
    assert set(WRITERS) == {".csv", ".parquet", ".npy"}


def test_columns_and_cells_are_pure_functions(tmp_path):
    raw = read_separated(written(tmp_path / "a.csv", PEOPLE), ["pet", "age"])
    columns = columns_of(raw, place="a.csv", bounded=False)
    assert [c.name for c in columns] == ["age", "pet"]
    assert columns[0].high == math.inf
    assert cells_of(raw, columns).shape == (4, 2)


def test_rows_that_may_be_flat_images_are_remarked_on():
    array = np.random.default_rng(0).integers(0, 256, (50, 144), dtype=np.uint8)
    assert any("images need the shape (50, 12, 12)" in note for note in open_data(array).notes)
    assert any("(1, 50, 50)" in note for note in open_data(array[:, :50]).notes)
    assert not any("images" in note for note in open_data(array[:, :30]).notes)


def test_rows_that_mostly_repeat_are_remarked_on(tmp_path):
    rows = [f"{i % 5},{'ab'[i % 2]},{i % 3}" for i in range(200)]
    about = describe(written(tmp_path / "a.csv", "\n".join(["x,y,z", *rows]) + "\n"))
    assert any("most rows are duplicates" in line for line in about["suggestions"])
