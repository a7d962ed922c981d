"""Sweeps: a run for each setting and seed, resumable, and ranked over the seeds."""

from __future__ import annotations

import json

import pytest
import torch

from ptheta import api
from ptheta.api import sweep
from ptheta.api.comparing import _runs_in
from ptheta.errors import Interrupted, PthetaError
from ptheta.measures.results import Evaluation, Result
from ptheta.report.compare import compare
from ptheta.report.ranking import rank, settings
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import grid, runs_of, unfinished, vary
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

OPTIONS = {**TINY["gan"], **QUIET, "steps": 6}


def test_values_are_read_as_the_option_wants_them():
    values = vary("gan", ["loss=hinge,minimax", "--penalty=,r1+r2", "d-lr=1e-4"])
    assert values == {"loss": ["hinge", "minimax"], "penalty": ["", "r1,r2"], "d_lr": ["1e-4"]}
    assert len(grid(values)) == 4
    assert grid({}) == [{}]
    for text, said in (
        ("loss", "want NAME=VALUE"),
        ("los=hinge", "loss"),
        ("seed=1,2", "--seeds"),
    ):
        with pytest.raises(PthetaError, match=said):
            vary("gan", [text])
    with pytest.raises(PthetaError, match="lr is already varied"):
        vary("gan", ["lr=1", "lr=2"])


def test_a_sweep_trains_every_setting_and_seed_and_goes_on(strokes, tmp_path, monkeypatch):
    table = grid(vary("gan", ["loss=hinge,relativistic"]))
    calls, kept = [], api.train

    def stop_at_third(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise Interrupted("stopped", 2)
        return kept(*args, **options)

    monkeypatch.setattr("ptheta.api.sweeping.train", stop_at_third)
    with pytest.raises(Interrupted):
        sweep("gan", strokes, tmp_path / "s", table, seeds=2, **OPTIONS)
    monkeypatch.undo()
    done = sweep("gan", strokes, tmp_path / "s", table, seeds=2, **OPTIONS)
    names = [f"loss={loss},seed={seed}" for seed in (0, 1) for loss in ("hinge", "relativistic")]
    assert [run.path.name for run in done.runs] == names
    assert done.failed == {}
    assert [str(path) for path in runs_of(tmp_path / "s")] == [str(r.path) for r in done.runs]
    assert runs_of("elsewhere") == ["elsewhere"]
    assert unfinished("elsewhere") == unfinished(tmp_path / "s") == []
    record = json.loads((tmp_path / "s" / "sweep.json").read_text())
    *rest, last = record["runs"]
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(record | {"runs": rest}))
    assert unfinished(tmp_path / "s") == [last]
    with pytest.warns(UserWarning, match=f"1 of the sweep's runs, such as {last}, have not ended"):
        _runs_in(tmp_path / "s")
    (tmp_path / "s" / "sweep.json").unlink()
    with pytest.raises(PthetaError, match="none of a sweep that has ended: wait until one has"):
        _runs_in(tmp_path / "s")
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(record))
    alone = api.train("gan", strokes, tmp_path / "alone", loss="hinge", seed=1, **OPTIONS)
    assert same(alone.path, done.runs[2].path)
    assert not same(done.runs[0].path, done.runs[2].path)
    told = settings([Run.open(r.path) for r in done.runs])
    assert told == ["loss hinge", "loss relativistic"] * 2

    page = compare(done.runs, tmp_path / "report", n=40)
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    rows = report["settings"]["kd_pixels"]
    assert {row["setting"] for row in rows} == {"loss hinge", "loss relativistic"}
    assert all(len(row["values"]) == 2 for row in rows)
    assert "Settings over their seeds" in page.read_text()


def test_a_training_that_fails_is_recorded_and_the_others_go_on(strokes, tmp_path, monkeypatch):
    from ptheta.models.adversarial.gan import GAN

    kept = GAN.discriminator_loss

    def spoiled(self, batch, shared):
        terms = kept(self, batch, shared)
        return terms if self.config.loss != "hinge" else {"a": terms["adversarial"] * torch.nan}

    monkeypatch.setattr(GAN, "discriminator_loss", spoiled)
    done = sweep(
        "gan", strokes, tmp_path / "s", [{"loss": "hinge"}, {"loss": "minimax"}], **OPTIONS
    )
    assert [run.path.name for run in done.runs] == ["loss=minimax,seed=0"]
    assert "is nan" in done.failed["loss=hinge,seed=0"]
    assert json.loads((tmp_path / "s" / "sweep.json").read_text())["failed"] == done.failed


def test_settings_that_cannot_be_trained_are_refused_before_any_training(strokes, tmp_path):
    table = [{"loss": "minimax"}, {"loss": "wasserstein"}]
    with pytest.raises(PthetaError, match="label_smoothing"):
        sweep("gan", strokes, tmp_path / "s", table, label_smoothing=0.1, **OPTIONS)
    assert not (tmp_path / "s").exists()
    with pytest.raises(PthetaError, match="seeds = 0"):
        sweep("gan", strokes, tmp_path / "s", table, seeds=0, **OPTIONS)
    with pytest.raises(PthetaError, match="the number of seeds"):
        sweep("gan", strokes, tmp_path / "s", table, seed=1, **OPTIONS)
    with pytest.raises(PthetaError, match=r"lr=0\.001 is given twice"):
        sweep("gan", strokes, tmp_path / "s", [{"lr": 1e-3}, {"lr": 1e-3}], **OPTIONS)
    with pytest.raises(PthetaError, match=r"lr=1 and lr=1\.0 are the same training"):
        sweep("gan", strokes, tmp_path / "s", [{"lr": "1"}, {"lr": "1.0"}], **OPTIONS)


def test_a_sweep_that_cannot_go_on_keeps_its_record(strokes, tmp_path):
    sweep("gan", strokes, tmp_path / "s", [{"lr": 1e-3}], **OPTIONS)
    before = (tmp_path / "s" / "sweep.json").read_bytes()
    with pytest.raises(PthetaError, match="is a sweep of the model gan, not vae"):
        sweep("vae", strokes, tmp_path / "s", [{"lr": 2e-3}], steps=2)
    with pytest.raises(PthetaError, match=r"beta1 = 0\.25, but the run was started with"):
        sweep("gan", strokes, tmp_path / "s", [{"lr": 1e-3}], **OPTIONS, beta1=0.25)
    assert (tmp_path / "s" / "sweep.json").read_bytes() == before


def scored(*values: float) -> list[Evaluation]:
    return [Evaluation((Result("fd", value, better="lower"),)) for value in values]


def test_ranks_have_students_interval_and_say_what_is_apart():
    groups = {"far": scored(9.0, 9.2, 9.1), "good": scored(1.0, 1.2, 1.1), "one": scored(1.5)}
    groups["near"] = scored(1.0, 1.4, 1.3)
    rows = rank(groups, "fd", "lower")
    assert [row.setting for row in rows] == ["good", "near", "one", "far"]
    assert [row.apart for row in rows] == [False, False, False, True]
    assert rows[0].mean == pytest.approx(1.1)
    assert rows[0].half == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-5)  # t(2), 97.5 %
    assert rows[2].half is None
    assert rank(groups, "fd", "higher")[0].setting == "far"
    assert rank(groups, "other", "lower") == []
    same_numbers = {"a": scored(2.0, 2.0), "b": scored(2.0, 2.0)}
    assert not any(row.apart for row in rank(same_numbers, "fd", "lower"))
