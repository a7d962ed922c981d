"""Callbacks see what a run tells, and change nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import ptheta
from ptheta.callbacks import Callback, Moment, Tracker, options_of
from ptheta.errors import PthetaError
from ptheta.trackers import TensorBoard
from ptheta.training.metric_logger import read_metrics
from tests.training.test_runs import same
from tests.training.test_runs import train as trained

FEW: dict[str, Any] = {"hidden": (8,), "latent": 2, "steps": 6, "log_every": 2, "levels": 2}
FEW |= {"checkpoint_every": 3, "sample_every": 3, "held_out": 24, "evaluate_every": 3}


class Noted(Callback):
    def __init__(self) -> None:
        self.calls: list[tuple[str, Moment]] = []
        self.values: list[dict[str, float]] = []

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self.calls.append(("log", moment))
        self.values.append(dict(values))

    def on_checkpoint(self, moment: Moment) -> None:
        assert (moment.folder / "model.safetensors").exists()
        self.calls.append(("checkpoint", moment))

    def on_end(self, moment: Moment) -> None:
        self.calls.append(("end", moment))


def run(data: Path, out: Path, *callbacks: Callback, **options: Any) -> ptheta.Run:
    return trained("vae", data, out, **FEW, **options, callbacks=callbacks)


def test_callbacks_are_told_all_that_is_logged_and_change_no_weight(strokes, tmp_path):
    plain = run(strokes, tmp_path / "plain")
    noted = Noted()
    told: list[dict[str, float]] = []
    found = run(strokes, tmp_path / "r", noted, Tracker(log=told.append))
    assert same(plain.path, found.path)
    lines = read_metrics(found.path)
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in told] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in lines
    ]
    assert [m.step for what, m in noted.calls if what == "checkpoint"] == [3, 6]
    assert noted.calls[-1][0] == "end"
    assert [what for what, _ in noted.calls].count("end") == 1
    assert all(moment.folder == found.path for _, moment in noted.calls)
    assert [m.step for what, m in noted.calls if what == "log"] == [row["step"] for row in lines]


class Broken(Callback):
    calls = 0

    def on_log(self, moment: Moment, values: Mapping[str, float]) -> None:
        self.calls += 1
        raise ConnectionError("no route\nto host")


def test_a_callback_that_fails_costs_a_line_and_no_training(strokes, tmp_path, capfd):
    broken = Broken()
    plain = run(strokes, tmp_path / "plain")
    assert same(run(strokes, tmp_path / "r", broken).path, plain.path)
    assert broken.calls == 1
    said = capfd.readouterr().err
    assert said.count("Broken failed (ConnectionError: no route to host): it is disabled") == 1


class Failing(Noted):
    """Ends where a training does, whatever ended it."""


def test_the_end_is_told_where_a_training_fails(strokes, tmp_path):
    noted = Failing()
    with pytest.raises(PthetaError, match=r"is (nan|inf)"):
        run(strokes, tmp_path / "r", noted, lr=1e30)
    assert [what for what, _ in noted.calls][-1:] == ["end"]


def test_callbacks_are_of_one_process(strokes, tmp_path):
    with pytest.raises(PthetaError, match="processes is 2: leave processes out"):
        run(strokes, tmp_path / "r", Noted(), processes=2)


def test_tensorboard_has_numbers_pictures_and_options(strokes, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = run(strokes, tmp_path / "r", tensorboard=True)
    run(strokes, tmp_path / "s", TensorBoard(tmp_path / "elsewhere"))
    for place in (found.path / "tensorboard", tmp_path / "elsewhere"):
        events = EventAccumulator(str(place))
        events.Reload()
        tags = events.Tags()
        assert {"vae/reconstruction", "held_out/bits_per_dim"} <= set(tags["scalars"])
        assert [e.step for e in events.Images("samples")] == [3, 6]
        assert tags["tensors"] == ["options/text_summary"]
    assert options_of(found.path)["config/latent"] == 2
    assert options_of(found.path)["model"] == "vae"


def test_tensorboard_that_is_not_there_is_said_before_the_first_step(
    strokes, tmp_path, monkeypatch
):
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PthetaError, match=r"pip install 'ptheta\[tensorboard\]'"):
        TensorBoard()
    with pytest.raises(PthetaError, match="TensorBoard events need the extra"):
        run(strokes, tmp_path / "r", tensorboard=True)
    assert not (tmp_path / "r" / "state").exists()
