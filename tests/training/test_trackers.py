"""Runs written to trackers, after their training and during it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import ptheta
from ptheta.callbacks import options_of
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.trackers import TRACKERS, Place, Tracked, TrackerEntry
from ptheta.trackers.sink import Option
from ptheta.training.metric_logger import read_metrics
from tests.training.test_callbacks import FEW
from tests.training.test_runs import same, train


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self, place: Place) -> None:
        self.place, self.calls, self.closed = place, list[tuple[Any, ...]](), 0
        KEPT.append(self)

    def options(self, table: Mapping[str, Option]) -> None:
        self.calls.append(("options", dict(table)))

    def values(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append(("values", step, dict(values)))

    def picture(self, step: int, file: Path) -> None:
        self.calls.append(("picture", step, file))

    def results(self, step: int, values: Mapping[str, float]) -> None:
        self.calls.append(("results", step, dict(values)))

    def close(self) -> None:
        self.closed += 1

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == kind]


KEPT: list[Kept] = []


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    KEPT.clear()
    monkeypatch.setitem(TRACKERS, "kept", TrackerEntry("", Kept, lambda: None))
    return KEPT


@pytest.fixture(scope="module")
def run(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> ptheta.Run:
    found = train("vae", strokes, tmp_path_factory.mktemp("tracked") / "r", **FEW)
    ptheta.evaluate(found, n=20)
    return found


def without(row: Mapping[str, float]) -> dict[str, float]:
    """Of a line of metrics, what does not depend on the time."""
    return {k: v for k, v in row.items() if k not in ("step", "seconds", "images_per_s")}


def test_a_run_is_written_whole_and_in_order(run, kept):
    found = ptheta.log(run, "kept", project="some")
    (sink,) = kept
    assert sink.place == Place("r", run.path / "kept", "some")
    assert sink.closed == 1
    assert sink.of("options") == [(options_of(run.path),)]
    rows, steps = read_metrics(run.path), [call[0] for call in sink.of("values")]
    assert steps == sorted({int(row["step"]) for row in rows})
    written: dict[int, dict[str, float]] = {step: {} for step in steps}
    for row in rows:
        written[int(row["step"])] |= {k: v for k, v in row.items() if k != "step"}
    assert dict(sink.of("values")) == written
    assert [call[0] for call in sink.of("picture")] == [3, 6]
    ((last, results),) = sink.of("results")
    assert last == 6
    assert results["bits_per_dim"] > 0
    order = [call[1] for call in sink.calls if call[0] != "options"]
    assert order == sorted(order)
    assert (found.written.lines, found.written.pictures) == (len(rows), 2)
    assert "r in kept, project some: " in str(found)


def test_what_is_written_while_training_is_what_is_written_after(run, strokes, tmp_path, kept):
    live = train("vae", strokes, tmp_path / "r", **FEW, track=("kept",))
    assert same(live.path, run.path)
    ptheta.log(live, "kept")
    during, after = kept
    assert during.closed == after.closed == 1
    assert during.of("picture") == after.of("picture")
    assert during.of("options") == after.of("options")
    merged: dict[int, dict[str, float]] = {}
    for step, values in during.of("values"):
        merged.setdefault(step, {}).update(without(values))
    assert merged == {step: without(values) for step, values in after.of("values")}


def test_what_cannot_be_written_is_one_line(run, tmp_path, monkeypatch, strokes):
    with pytest.raises(PthetaError, match="unknown tracker 'wand': did you mean 'wandb'"):
        ptheta.log(run, "wand")
    for name in ("wandb", "mlflow", "trackio"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(PthetaError, match=rf"pip install 'ptheta\[{name}\]'"):
            ptheta.log(run, name)
        with pytest.raises(PthetaError, match=rf"pip install 'ptheta\[{name}\]'"):
            train("vae", strokes, tmp_path / name, **FEW, track=(name,))
        assert not (tmp_path / name / "state").exists()
    with pytest.raises(PthetaError, match="unknown tracker"):
        Tracked("none")


def test_a_tracker_that_fails_is_one_line(run, kept, monkeypatch):
    def refuse(self: Kept, step: int, values: Mapping[str, float]) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(Kept, "values", refuse)
    with pytest.raises(PthetaError, match=r"kept failed \(ConnectionError: no route to host\)"):
        ptheta.log(run, "kept")
    assert kept[0].closed == 1


def module(monkeypatch: pytest.MonkeyPatch, name: str, **parts: object) -> list[tuple[Any, ...]]:
    """A package of this name that keeps the calls of its functions."""
    calls: list[tuple[Any, ...]] = []
    made = ModuleType(name)

    def function(what: str) -> Any:
        return lambda *args, **options: calls.append((what, *args, options))

    for what, part in parts.items():
        setattr(made, what, function(what) if part is None else part)
    monkeypatch.setitem(sys.modules, name, made)
    return calls


def test_trackio_is_opened_with_the_options(run, monkeypatch):
    calls = module(monkeypatch, "trackio", init=None, log=None, finish=None, Image=str)
    ptheta.log(run, "trackio", name="mine")
    names = [call[0] for call in calls]
    assert names[0] == "init"
    assert names[-1] == "finish"
    assert set(names[1:-1]) == {"log"}
    assert calls[0][-1]["name"] == "mine"
    assert calls[0][-1]["config"]["model"] == "vae"


def test_wandb_gets_values_with_steps_and_results_as_its_summary(run, monkeypatch, tmp_path):
    summary: dict[str, float] = {}
    logged: list[tuple[dict[str, Any], int]] = []
    opened = SimpleNamespace(
        config=SimpleNamespace(update=lambda table, allow_val_change: None),
        log=lambda values, step: logged.append((values, step)),
        summary=summary,
        finish=lambda: None,
    )
    module(monkeypatch, "wandb", init=lambda **how: opened, Image=str)
    ptheta.log(run, "wandb", out=tmp_path / "w")
    assert (tmp_path / "w").is_dir()
    assert [step for _, step in logged] == sorted(step for _, step in logged)
    assert "results/bits_per_dim" in summary


def test_the_command_says_what_was_written(run, tmp_path):
    from click.testing import CliRunner

    pytest.importorskip("tensorboard")
    done = CliRunner().invoke(
        cli, ["log", str(run.path), "--to", "tensorboard", "--out", str(tmp_path / "events")]
    )
    assert done.exit_code == 0, done.output
    assert "lines of metrics, 2 sample grids" in done.output
    assert list((tmp_path / "events").glob("events.*"))
