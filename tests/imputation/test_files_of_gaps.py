"""Tables as people have them: without gaps, with flags, codes and whole numbers of every type, and
odd numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ptheta import tasks
from ptheta.data.columns.gaps import gaps_of
from ptheta.errors import PthetaError
from ptheta.specs import Column, VectorSpec
from tests.conftest import VECTORS, examples, tiny

AB = VectorSpec((Column("a"), Column("b", "integer")))


@pytest.mark.parametrize("name", ["gaussian", "nade"])
def test_no_rows_are_no_rows(name):
    """A part of a table in which every row is whole."""
    model, x = tiny(name, VECTORS), examples(VECTORS, 4)[:0]
    assert tasks.impute(model, x, draws=3).shape == (3, 0, VECTORS.dims)
    assert tasks.imputed(model, x).shape == x.shape


def _filled(path, spec, value):
    """What is written where every gap takes `value`, as the numbers of a spec."""
    table, out = gaps_of(path, spec), path.with_name(f"out{path.suffix}")
    with table.writing(out) as put:
        for part in table.parts():
            put(part, torch.where(part.cells.isnan(), value, part.cells))
    return out


def test_columns_of_arrow_keep_their_type_whatever_it_is(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = ("0", "1")
    table = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "code": pa.array([0, None, 1], pa.int8()),
            "kind": pa.array(["0", None, "1"]).dictionary_encode(),
            "long": pa.array(["1", None, "0"], pa.large_string()),
            "text": pa.array(["1.5", None, "2"]),
            "whole": pa.array([10**12 + 1, None, 3]),
            "half": pa.array(np.array([1.5, np.nan, 2], np.float16)),
            "note": pa.array([[1], None, []]),
        }
    )
    pq.write_table(table.replace_schema_metadata({"of": "us"}), tmp_path / "t.parquet")
    spec = VectorSpec(
        (
            Column("flag", "category", ("false", "true"), missing=True),
            *(Column(name, "category", words, missing=True) for name in ("code", "kind", "long")),
            *(Column(name, missing=True) for name in ("text", "whole", "half")),
        )
    )
    out = pq.read_table(_filled(tmp_path / "t.parquet", spec, 1.0))
    assert out.schema.equals(table.schema)
    assert out.schema.metadata == {b"of": b"us"}
    filled = [True, 1, "1", "1", "1", 1, 1.0, None]
    for name, new in zip(table.column_names, filled, strict=True):
        old, cells = table[name].to_pylist(), out[name].to_pylist()
        assert cells == [old[0], new, old[2]], name


def test_a_whole_number_of_arrow_is_rounded_and_what_does_not_fit_is_said(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": pa.array([1, None], pa.int8())}), tmp_path / "t.parquet")
    spec = VectorSpec((Column("a", missing=True),))
    out = pq.read_table(_filled(tmp_path / "t.parquet", spec, 6.7))
    assert out["a"].to_pylist() == [1, 7]
    with pytest.raises(PthetaError, match="'a' of the type int8: it cannot store"):
        _filled(tmp_path / "t.parquet", spec, 300.0)


def test_damaged_files_of_arrow_and_two_columns_of_a_name_are_one_line(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    twice = pa.Table.from_arrays([pa.array([1.0])] * 3, names=["a", "a", "b"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    for name, told in (("bad", "cannot read .*download"), ("twice", "two columns 'a'")):
        with pytest.raises(PthetaError, match=told) as error:
            list(gaps_of(tmp_path / f"{name}.parquet", AB).parts())
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1e39,2", r"holds 1e39: give a number up to 3\.4e\+38"),
        ("inf,2", "holds inf: give a number up to"),
        ("1,2,3", "row 2 has 3 cells, and the first line names 2 columns"),
        ("1", "row 2 has 1 cells"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_rows_that_are_none_are_one_line(row, told, tmp_path):
    """One cell too many is a comma without quotes: all behind it stand in the wrong column."""
    (tmp_path / "t.csv").write_text(f"a,b\n{row}\n")
    with pytest.raises(PthetaError, match=told):
        list(gaps_of(tmp_path / "t.csv", AB).parts())


def test_an_odd_nan_is_a_gap(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n-nan,+NaN\n")
    (part,) = gaps_of(tmp_path / "t.csv", AB).parts()
    assert part.cells.isnan().all()


@pytest.mark.filterwarnings("error")
def test_an_array_beyond_float32_is_refused_with_its_place(tmp_path):
    x = np.ones((2500, 2))
    x[2100, 1] = 1e300
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(PthetaError, match=r"row 2100, column 1 \(from 0\) is infinite or beyond"):
        list(gaps_of(tmp_path / "x.npy", AB).parts())
