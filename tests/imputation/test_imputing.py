"""Gaps filled: what is there stays, to the byte in a file, and draws are of p(missing | there)."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ptheta
from ptheta.capabilities import capabilities
from ptheta.cli import main
from ptheta.data.columns.gaps import GAPS, gaps_of
from ptheta.errors import PthetaError
from ptheta.files.atomic import temporary
from ptheta.measures import imputation
from ptheta.measures.rivals import NONE, SIGN, WINS, verdict
from ptheta.models import registry
from ptheta.specs import Column, ImageSpec, VectorSpec
from ptheta.tasks.impute import FLOORS, MEASURES, Floor, impute, imputed, score
from ptheta.tasks.impute.score import MODEL, Scored, Trial, hidden_cells, measured
from tests.conftest import MODELS, VECTORS, conditions, examples, pairs, tiny
from tests.laws.test_vectors import WORDS, lively

GAPPED = VectorSpec(tuple(Column(**{**vars(c), "missing": True}) for c in VECTORS.columns))


def able(capability: str) -> list[str]:
    return [m for m in MODELS if capability in capabilities(registry.entry(m).load_model())]


def with_gaps(x: torch.Tensor) -> torch.Tensor:
    return x.masked_fill(hidden_cells(x, 0.5, 0), math.nan)


@pairs(able("completes"), VECTORS)
def test_what_is_drawn_of_a_row_depends_on_its_number_alone(name, spec):
    """Whatever rows stand beside it, and however many there are at a time."""
    model, x = tiny(name, spec).eval(), with_gaps(examples(spec, 7))
    y = conditions(model, 7)
    whole = impute(model, x, draws=2, condition=y, candidates=3, seed=4)
    assert whole.shape == (2, 7, spec.dims)
    for rows in ([0, 1, 2], [5], [6, 3]):
        own = None if y is None else y[torch.tensor(rows)]
        part = impute(model, x[rows], draws=2, condition=own, candidates=3, seed=4, numbers=rows)
        torch.testing.assert_close(part, whole[:, rows], rtol=1e-4, atol=1e-4)
    there = ~x.isnan()
    for draw in whole:
        assert torch.equal(draw[there], x[there])
        spec.check_drawn(draw)
    best = imputed(model, x, condition=y, candidates=2)
    assert torch.equal(best[there], x[there])
    spec.check_drawn(best)


@pairs(able("conditional_mean"), VECTORS, ImageSpec(1, 4, 4, 4))
def test_a_conditional_mean_keeps_what_is_known_and_is_what_draws_average_to(name, spec):
    model, x = lively(name, spec), examples(spec, 3)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    y = conditions(model, 3)
    best = imputed(model, x, known, condition=y, candidates=20)
    assert torch.equal(best[known], x[known])
    several = impute(model, x, known, draws=150, condition=y, candidates=20)
    seen = torch.stack([spec.scaled(draw) for draw in several])
    if isinstance(spec, VectorSpec):
        numbers = torch.tensor([c.width == 1 for c in spec.columns for _ in range(c.width)])
        apart = (seen.mean(0) - spec.scaled(best))[:, numbers].abs()
        assert (apart < 0.1 + 5 * seen[:, :, numbers].std(0) / 150**0.5).all()


def enumerated(model: Any, rows: torch.Tensor, latent: int) -> torch.Tensor:
    """p(x) of rows by a sum over a grid of codes of one dimension: (N,)"""
    z = torch.linspace(-6, 6, 400)[:, None]
    with torch.no_grad():
        prior = model.log_prior(z).exp() * (12 / 399)
        each = [model.log_likelihood(row.expand(400, -1), z).exp() for row in rows]
    return torch.stack([(p * prior).sum() for p in each])


@pytest.mark.parametrize("missing", [False, True])
def test_a_vae_draws_from_the_conditional_by_enumeration(missing):
    """Both by what the encoder is told of gaps and by pseudo-Gibbs: total variation < 0.02."""
    columns = tuple(Column(**{**vars(c), "missing": missing}) for c in WORDS.columns[::2])
    spec = VectorSpec(columns)
    model, n = lively("vae", spec, latent=1), 6000
    rows = torch.tensor([[a, 1.0] for a in range(3)])
    wanted = enumerated(model, rows, 1)
    wanted = wanted / wanted.sum()
    x = torch.tensor([[math.nan, 1.0]]).expand(n // 10, 2)
    drawn = impute(model, x, draws=10, candidates=60, seed=1)
    share = torch.bincount(drawn[:, :, 0].flatten().long(), minlength=3) / n
    assert (share - wanted).abs().sum() / 2 < 0.02
    assert imputed(model, x[:1], candidates=300)[0, 0] == wanted.argmax()


# -- measures


def test_the_energy_score_is_least_for_the_law_of_the_truth():
    draw = torch.Generator().manual_seed(0)
    truth, hidden = torch.randn(400, 2, generator=draw), torch.ones(400, 2, dtype=torch.bool)
    noise = torch.randn(60, 400, 2, generator=draw)
    scores = [imputation.energy_score(s * noise, truth, hidden) for s in (0.0, 0.5, 1.0, 2.0)]
    assert min(scores) == scores[2]
    point = imputation.energy_score(0 * noise[:1], truth, hidden)
    assert point == pytest.approx(scores[0])


@pytest.mark.parametrize("m", [19, 30, 100, 200])
def test_intervals_cover_what_they_say_whatever_the_number_of_draws(m):
    draw = torch.Generator().manual_seed(m)
    truth, draws = torch.randn(4000, 1, generator=draw), torch.randn(m, 4000, 1, generator=draw)
    covered, width = imputation.coverage(draws, truth, torch.ones(4000, 1, dtype=torch.bool), 0.9)
    assert covered == pytest.approx(0.9, abs=0.02)
    assert width > 2


def test_every_measure_is_best_for_the_truth():
    x = examples(VECTORS, 40)
    hidden = hidden_cells(x, 0.3, 0)
    right = measured(Trial(VECTORS, x, hidden, x, x.expand(30, -1, -1)))
    assert right == {"rmse": 0, "energy": 0, "coverage": 1, "width": 0, "accuracy": 1}
    assert right.keys() == MEASURES.keys()


# -- floors


@pytest.mark.parametrize("name", FLOORS)
def test_a_floor_fills_every_gap_and_nothing_else(name):
    x = with_gaps(examples(VECTORS, 60))
    s = VECTORS.scaled(x).double()
    filled = FLOORS[name].fitted(s)(s, 3, torch.Generator().manual_seed(0))
    assert filled.draws.shape == (3, *s.shape)
    for made in (filled.mean, *filled.draws):
        assert made.isfinite().all()
        assert torch.equal(made[~s.isnan()], s[~s.isnan()])


def test_a_model_stands_beside_every_floor_and_a_new_one(monkeypatch):
    zero = Floor(
        fitted=lambda train: lambda x, m, stream: FLOORS["mean"].fitted(train)(x, m, stream)
    )
    monkeypatch.setitem(FLOORS, "another", zero)
    x = examples(VECTORS, 60)
    found = score(
        tiny("gaussian", VECTORS), x, x[:30], repeats=2, draws=5, floors=["mean", "another"]
    )
    assert [one.name for one in found] == [MODEL, "mean", "another"]
    assert found[1].values == found[2].values
    assert all(len(v) == 2 for one in found for v in one.values.values())
    with pytest.raises(PthetaError, match="did you mean 'mean'"):
        score(tiny("gaussian", VECTORS), x, x, floors=["meen"])


# -- files


SPEC = VectorSpec(
    (
        Column("a", low=0, high=9, missing=True),
        Column("b c", "category", ("x,y", 'say "hi"', "plain"), missing=True),
    )
)
CELLS = {
    "a": st.sampled_from(["", "NA", " 1.50", "2e0", '"3"', " ", "0007", '"na"']),
    "b c": st.sampled_from(["", '"x,y"', '"say ""hi"""', "plain", "  plain ", "n/a", "null"]),
    "id": st.sampled_from(["", "k1", '"two\nlines"', '"a,""b"', "é", "NA"]),
}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_byte_of_a_cell_that_is_there_changes(data, tmp_path):
    """Whatever the quotes, spaces, line ends, the order of columns and the mark at the start."""
    names = data.draw(st.permutations(list(CELLS)))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    rows = data.draw(st.lists(st.tuples(*(CELLS[name] for name in names)), min_size=1, max_size=6))
    lines = [",".join(names), *(",".join(row) for row in rows)]
    text = end.join(lines) + data.draw(st.sampled_from(["", end]))
    text = data.draw(st.sampled_from(["", "\ufeff"])) + text
    source, out = tmp_path / "t.csv", tmp_path / "full.csv"
    source.write_bytes(text.encode())
    table = gaps_of(source, SPEC)
    parts = list(table.parts())
    with table.writing(out) as put:
        for part in parts:
            put(part, torch.where(part.cells.isnan(), 1.0, part.cells))
    before, after = text, out.read_bytes().decode()
    filled = {"a": "1.0", "b c": '"say ""hi"""'}
    wanted = [
        [
            filled[n] if n in filled and _gone(cell) else cell
            for n, cell in zip(names, row, strict=True)
        ]
        for row in rows
    ]
    told = end.join([lines[0], *(",".join(row) for row in wanted)])
    mark = "\ufeff" if before.startswith("\ufeff") else ""
    assert after == mark + told + (end if before.endswith(end) else "")
    assert len(list(csv.reader(io.StringIO(after)))) == len(rows) + 1


def _gone(cell: str) -> bool:
    return cell.strip().strip('"').lower() in ("", "na", "n/a", "nan", "null")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A Gaussian of the columns of a table, and rows of it with gaps."""
    folder = tmp_path_factory.mktemp("impute")
    rng = np.random.default_rng(0)
    lines = ["name,height,age,pet"]
    for i in range(120):
        height = "" if i % 5 == 0 else f"{rng.normal(1.7, 0.1):.3f}"
        pet = "" if i % 7 == 0 else ("cat", "dog", "owl")[rng.integers(3)]
        lines.append(f"n{i},{height},{rng.integers(2, 90)},{pet}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    run = ptheta.train(
        "gaussian",
        folder / "t.csv",
        folder / "run",
        recipe="table",
        epochs=5.0,
        columns=("height", "age", "pet"),
        sample_every=0,
    )
    return folder, run


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_table_is_filled_several_times_and_every_file_reads_as_whole(trained, tmp_path):
    folder, run = trained
    left = temporary(tmp_path)  # by a process that was killed
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{gone()}-"))
    left.mkdir()
    done = ptheta.impute(run, folder / "t.csv", out=tmp_path / "full.csv", m=3)
    assert [p.name for p in done.paths] == ["full-1.csv", "full-2.csv", "full-3.csv"]
    assert done.missing == {"height": 24, "pet": 18}
    texts = [path.read_text() for path in done.paths]
    assert len(set(texts)) == 3
    old = (folder / "t.csv").read_text().splitlines()
    for text in texts:
        for before, after in zip(old, text.splitlines(), strict=True):
            pairs_ = zip(before.split(","), after.split(","), strict=True)
            assert all(b in ("", a) and a for b, a in pairs_)
    again = ptheta.impute(run, folder / "t.csv", out=tmp_path / "b.csv", m=3)
    assert [p.read_text() for p in again.paths] == texts
    best = ptheta.impute(run, folder / "t.csv", out=tmp_path / "best.csv", mean=True)
    assert best.paths[0].read_text() not in texts
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_parquet_and_arrays_are_filled_in_kind(trained, tmp_path):
    import pyarrow.csv
    import pyarrow.parquet as pq

    folder, run = trained
    table = pyarrow.csv.read_csv(
        folder / "t.csv", convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    )
    pq.write_table(table, tmp_path / "t.parquet")
    ptheta.impute(run, tmp_path / "t.parquet", out=tmp_path / "full.parquet")
    full = pq.read_table(tmp_path / "full.parquet")
    assert full.schema.types == table.schema.types
    for name in table.column_names:
        old, new = table[name].to_pylist(), full[name].to_pylist()
        assert all(o in (None, n) and n is not None for o, n in zip(old, new, strict=True))
    spec = VectorSpec((Column("x0", missing=True), Column("x1")))
    x = np.array([[np.nan, 1.0], [2.5, 3.0]])
    np.save(tmp_path / "x.npy", x)
    file = gaps_of(tmp_path / "x.npy", spec)
    with file.writing(tmp_path / "y.npy") as put:
        for part in file.parts():
            put(part, torch.full_like(part.cells, 7.0))
    assert np.load(tmp_path / "y.npy").tolist() == [[7.0, 1.0], [2.5, 3.0]]


def test_every_kind_of_parquet_column_keeps_its_type_and_cells(tmp_path):
    """Decimals, truth values, codes and whole numbers that no float64 holds, too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "decimal": [pa.decimal128(10, 2), *map(Decimal, ("1.25", "7.50", "3.00"))],
        "truth": [pa.bool_(), True, False, True],
        "code": [pa.int64(), 7, 3, 7],
        "large": [pa.int64(), 2**60 + 1, 2**60 + 2**50, 2**59],
        "half": [pa.float16(), 0.5, 0.25, 2.0],
        "coded": [pa.dictionary(pa.int32(), pa.string()), "a", "b", "a"],
    }
    arrays = {name: pa.array([*cells, None], kind) for name, (kind, *cells) in kinds.items()}
    table = pa.table(arrays)
    pq.write_table(table, tmp_path / "t.parquet")
    spec = ptheta.open_data(tmp_path / "t.parquet", category_columns=("code",)).spec
    assert isinstance(spec, VectorSpec)
    assert spec.categories == ("truth", "code", "coded")
    file = gaps_of(tmp_path / "t.parquet", spec)
    with file.writing(tmp_path / "full.parquet") as put:
        for part in file.parts():
            put(part, spec.unscaled(torch.full((4, spec.width), 0.0)))
    full = pq.read_table(tmp_path / "full.parquet")
    assert full.schema == table.schema
    for name in kinds:
        *old, _ = table[name].to_pylist()
        *kept, new = full[name].to_pylist()
        assert kept == old
        assert new is not None


def test_what_cannot_stand_in_a_parquet_column_is_one_line(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": pa.array([1, None], pa.int8())}), tmp_path / "t.parquet")
    file = gaps_of(tmp_path / "t.parquet", VectorSpec((Column("a", "integer", missing=True),)))
    with file.writing(tmp_path / "full.parquet") as put, pytest.raises(PthetaError) as error:
        put(next(file.parts()), torch.full((2, 1), 1000.0))
    assert "'a' of the type int8" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_fills_and_measures(trained, tmp_path, capsys):
    folder, run = trained
    words = ["impute", str(run.path), str(folder / "t.csv"), "--out", str(tmp_path / "f.csv")]
    assert _ends(words) == 0
    assert "42 cells of 120 rows filled" in capsys.readouterr().out
    assert _ends([*words, "--json", "--force"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 120
    hide = ["impute", str(run.path), "--hide", "0.3", "--repeats", "2", "--draws", "5", "--json"]
    assert _ends(hide) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == [MODEL, *FLOORS]
    assert all(len(of["rmse"]) == 2 for of in told.values())


def test_a_table_says_where_a_floor_is_better():
    near: dict[str, tuple[float, ...]] = {
        "rmse": (1.0, 2.0),
        "width": (3.0, 3.0),
        "coverage": (0.8, 0.8),
        "accuracy": (0.5, 0.5),
    }
    model = Scored("model", near)
    floor = Scored("mean", near | {"rmse": (1.0, 1.0), "width": (1.0, 1.0), "coverage": (0.9, 0.9)})
    assert floor.cells(model)[0] == "1.000 +- 0.000 *"
    assert [cell.endswith(SIGN) for cell in floor.cells(model)] == [True, False, False, False]
    assert verdict([model.cells(model), floor.cells(model)]) == WINS
    assert verdict([model.cells(model)]) == NONE
    worse = Scored("mean", near | {"accuracy": (0.4999, 0.5), "rmse": (1.5, 1.4999)})
    assert verdict([worse.cells(model)]) == NONE  # level as far as digits are shown


def _ends(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"out": "t.csv", "force": True}, "this is the table itself"),
        ({"out": "there.csv"}, "already exists: give another name, or --force"),
        ({"out": "x.parquet"}, "is written as .csv"),
        ({"out": "x.csv", "m": 2, "mean": True}, "--mean gives a single completion"),
        ({"out": "x.csv", "m": 0}, "-m 0: want 1 or more"),
        ({"out": "x.csv", "table": "odd.csv"}, "row 2, column 'pet' holds emu, and the run"),
        (
            {"out": "x.csv", "table": "less.csv"},
            "has no column 'pet', which the model was trained on",
        ),
        ({"out": "x.csv", "table": "text.csv"}, "column 'age' holds old: give a whole number"),
        ({"out": "x.csv", "table": "none.csv"}, "is no file: give a table"),
        ({"out": "x.csv", "table": "comma.csv"}, "row 2 has 4 cells, and the first line names 3"),
        ({"out": "x.csv", "table": "end.csv"}, "row 3 has 4 cells, and the first line names 3"),
        ({"out": "x.csv", "table": "behind.csv"}, "text after the closing quotes"),
        ({"out": "x.parquet", "table": "damaged.parquet"}, "cannot read .* 3 bytes"),
        ({"out": "x.npy", "table": "damaged.npy"}, "cannot read .* write the file again"),
    ],
)
def test_what_cannot_be_filled_is_one_line(given_, words, trained, tmp_path):
    folder, run = trained
    (tmp_path / "t.csv").write_text((folder / "t.csv").read_text())
    (tmp_path / "there.csv").write_text("")
    (tmp_path / "odd.csv").write_text("height,age,pet\n1.7,3,emu\n")
    (tmp_path / "less.csv").write_text("height,age\n1.7,3\n")
    (tmp_path / "text.csv").write_text("height,age,pet\n1.7,old,cat\n")
    (tmp_path / "comma.csv").write_text("height,age,pet\n1,7,3,cat\n")
    (tmp_path / "end.csv").write_text("height,age,pet\n1.7,3,cat\n1.7,,cat,\n")
    (tmp_path / "behind.csv").write_text('height,age,pet\n1.7,,"c"at\n')
    for name in ("damaged.parquet", "damaged.npy"):
        (tmp_path / name).write_bytes(b"abc")
    options = dict(given_)
    table = tmp_path / options.pop("table", "t.csv")
    with pytest.raises(PthetaError, match=words) as error:
        ptheta.impute(run, table, out=tmp_path / options.pop("out"), **options)
    assert "\n" not in str(error.value)
    assert not Path(tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a,b,"c\n1,2,3\n', r"t\.csv is not a valid table .*: correct it"),
        ('a,b,c\n1,2,"3\n' + "4,5,6\n" * 9, r"t\.csv ends within a quoted cell: close the quotes"),
    ],
)
def test_quotes_that_do_not_end_are_said(tmp_path, text, words):
    spec = VectorSpec((Column("a"), Column("b")))
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(PthetaError, match=words):
        list(gaps_of(tmp_path / "t.csv", spec).parts())


def test_a_row_without_an_end_is_not_read_to_the_end_of_the_file(tmp_path):
    """Nor over and over: each line would be a longer row."""
    (tmp_path / "t.csv").write_text('a,b\n1,"2\n' + '4,"",6\n' * 300_000)
    with pytest.raises(
        PthetaError, match=r"t\.csv has a row of over .* characters: check its quotes"
    ):
        list(gaps_of(tmp_path / "t.csv", VectorSpec((Column("a"), Column("b")))).parts())


def test_cells_in_quotes_may_hold_ends_of_lines(tmp_path):
    text = '\n"a","b\nc",d\n1,"x\ny\nz",\n2,"plain",3\n'
    (tmp_path / "t.csv").write_text(text)
    table = gaps_of(tmp_path / "t.csv", VectorSpec((Column("a"), Column("d"))))
    (part,) = table.parts()
    assert part.cells.isnan().tolist() == [[False, True], [False, False]]
    with table.writing(tmp_path / "out.csv") as put:
        put(part, torch.tensor([[1.0, 7.5], [2.0, 3.0]]))
    assert (tmp_path / "out.csv").read_text() == text.replace('z",\n', 'z",7.5\n')


def test_a_parquet_file_needs_the_extra(tmp_path, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PthetaError, match="pip install 'ptheta\\[parquet\\]'"):
        gaps_of(tmp_path / "t.parquet", VectorSpec((Column("a"),)))


def test_the_kinds_of_tables_are_those_that_a_run_of_rows_writes():
    from ptheta.data.columns.write import WRITERS

    assert set(WRITERS) <= set(GAPS)
