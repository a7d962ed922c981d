"""What a training shows: lines that fit any terminal, by the clock where steps are slow."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import termios
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tqdm.utils import disp_len

import ptheta
from ptheta.batch import Batch
from ptheta.dynamics import alternating
from ptheta.errors import Interrupted
from ptheta.games import Game, Move, Player
from ptheta.runs.folder import Run
from ptheta.terminal.screen import PLAIN, clock, cut, figure, fitting, loss_texts, shortened
from ptheta.training import checkpoint
from ptheta.training import display as displays
from ptheta.training.ahead import Ahead
from ptheta.training.display import Display, Pace
from ptheta.training.engine import Engine
from ptheta.training.grids import Pauses
from ptheta.training.group import Group
from ptheta.training.metric_logger import MetricLogger
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

LOSSES = {
    "one": {"nll": 300.25},
    "two": {"generator": 0.693147, "discriminator": -1.386294},
    "four": {"encoder": 7.2, "decoder": 1234.5, "discriminator": 2.0, "critic": 0.25},
}
UNUSUAL = "vae on " + "pictures\x1b[2J\n" * 9
WIDTHS = (40, 47, 60, 80, 120, 200)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(losses: dict[str, float], width: int, title: str, step: int = 1234) -> str:
    display = Display(title, 12000, None, stream=Terminal())
    for at in range(step - 100, step + 1):
        display.advance(at, at / 10)
    display.show(losses, rate=512.0)
    display.measure({"bits_per_dim": 0.5, "classes": 8.0})
    look = display.look(width)
    return " | ".join(filter(None, look[:2]))


@pytest.mark.parametrize("title", ["gan on digits", UNUSUAL])
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_line_fits_its_terminal_and_has_the_losses(kind: str, width: int, title: str) -> None:
    line = shown(LOSSES[kind], width, title)
    assert disp_len(line) <= width
    assert line.isprintable()
    assert "1234/12000" in line
    numbers = [text.split()[1][:3] for text in loss_texts(LOSSES[kind])]
    there = [number for number in numbers if number in line]
    assert there == numbers[: len(there)]
    assert len(there) >= (len(numbers) if width >= 60 else min(2, len(numbers)))
    assert "left" in line or width < 60


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_real_terminal_shows_the_losses_on_one_line(columns: int, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    out = bytearray()

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                out.extend(part)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stream:
        journal = MetricLogger(
            tmp_path / "m.jsonl", title="gan on digits", total=200, seconds=None, stream=stream
        )
        losses = {"generator": 0.6931, "discriminator": 1.386}
        values = {"generator/adversarial": 0.6931, "discriminator/adversarial": 1.386}
        for step in range(1, 101):
            journal.advance(step, 0.1 * step)
            if step % 10 == 0:
                journal.report(step, 0.1 * step, values, losses)
        journal.close()
    reader.join(10)
    os.close(master)
    frames = [frame for frame in re.split(r"[\r\n]+", out.decode()) if frame.strip()]
    assert all(disp_len(frame) < columns for frame in frames)
    last = frames[-1]
    assert "100/200" in last
    assert re.search(r"gen\w* 0\.693\d? +dis\w* 1\.3[89]", last)
    assert "0:10 left" in last


def test_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    journal = MetricLogger(tmp_path / "m.jsonl", title="toy", total=10, seconds=None, stream=out)
    values = {"toy/loss": 0.25, "toy/gradient_norm": 3.0, "images_per_s": 100.0}
    for step in range(1, 6):
        journal.advance(step, 15.0 * step)
    journal.report(5, 75.0, values, {"loss": 0.25})
    journal.report(5, 75.0, {"held_out/bits_per_dim": 0.5, "held_out/classes": 8.0})
    journal.report(10, 150.0, values, {"loss": 0.25})
    journal.close()
    assert out.getvalue().splitlines() == [
        "toy  step 5/10  loss 0.2500  100.0 images/s  1:15 left",
        "toy  step 5/10  held-out bits_per_dim 0.5000  classes 8.000",
        "toy  step 10/10  loss 0.2500  100.0 images/s  in 2:30",
    ]
    line = json.loads((tmp_path / "m.jsonl").read_text().splitlines()[0])
    assert line == {"step": 5, "seconds": 75.0, **values}


@pytest.mark.parametrize("kind", LOSSES)
def test_plain_lines_are_short(kind: str) -> None:
    out = io.StringIO()
    display = Display(UNUSUAL, 10**7, None, stream=out)
    for step in (1, 2, 3):
        display.advance(step, 1.0 * step)
    display.show(LOSSES[kind], rate=1234.5)
    display.measure({f"metric_{i}": float(i) for i in range(30)})
    for line in out.getvalue().splitlines():
        assert len(line) <= PLAIN
        assert line.isprintable()
    assert len(out.getvalue().splitlines()) == 2


@given(st.lists(st.floats(1e-3, 50), min_size=3, max_size=60), st.integers(0, 10**6))
def test_the_time_left_is_that_of_the_steps_of_this_process(took: list[float], at: int) -> None:
    """Whatever the first step took, and whatever came before a resume."""
    pace = Pace(at, 1e5)
    step, seconds = at, 1e5
    assert pace.of_a_step(step, seconds) is None
    for i, each in enumerate(took):
        step, seconds = step + 1, seconds + each
        pace.mark(step, seconds)
        found = pace.of_a_step(step, seconds)
        assert (found is None) == (i == 0)
        if found is not None:
            assert min(took[1 : i + 1]) * 0.999 <= found <= max(took[1 : i + 1]) * 1.001


def test_the_pace_follows_a_run_that_slows_down_and_keeps_few_marks() -> None:
    pace, seconds = Pace(0, 0.0), 0.0
    for step in range(1, 20_001):
        seconds += 0.01 if step <= 5000 else 0.1
        pace.mark(step, seconds)
    assert pace.of_a_step(20_000, seconds) == pytest.approx(0.1, rel=0.02)
    assert len(pace.marks) < 4 * displays.MARKS


@given(st.floats(0, 1e6))
def test_no_time_is_said_only_of_no_time(seconds: float) -> None:
    assert (clock(seconds) == "0:00") == (seconds == 0)


def test_words_of_lines() -> None:
    assert clock(3725) == "1:02:05"
    assert [figure(x) for x in (0.7, 1.3, 1234, 123456.7, -0.25)] == [
        *("0.7000", "1.300", "1234", "123457", "-0.2500")
    ]
    assert cut("abcdefghijk", 9) == "abc...ijk"
    assert shortened(["generator", "discriminator"]) == ["gen", "dis"]
    assert shortened(["encoder", "decoder", "critic", "kl"]) == ["enc", "dec", "crit", "kl"]
    assert fitting(9, [("long enough", "x"), ("where", "abc", "d")]) == "where abc"


@given(st.lists(st.text("abe_", min_size=1, max_size=8), unique=True, max_size=5))
def test_short_names_stay_apart(names: list[str]) -> None:
    short = shortened(names)
    assert len(set(short)) == len(names)
    assert all(name.startswith(s) for s, name in zip(short, names, strict=True))


BESIDE = {"seconds", "images_per_s"}


def metrics(run: Run) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k not in BESIDE} for line in run.metrics()]


def drawn(run: Run) -> list[str]:
    return sorted(path.name for path in (run.path / "samples").glob("*"))


@pytest.mark.parametrize("name", ["gan", "vae", "pixelcnn"])
def test_slow_steps_are_seen_and_drawn_and_change_nothing(
    name: str, strokes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    how = {**TINY[name], **QUIET, "steps": 5, "log_every": 4, "ema": 0.9, "levels": 4}
    plain = ptheta.train(name, strokes, tmp_path / "plain", **how)
    assert drawn(plain) == []
    capfd.readouterr()
    monkeypatch.setattr(displays, "EVERY", 0.0)
    monkeypatch.setattr(displays, "FIRST", 0.0)
    monkeypatch.setattr(Pauses, "due", lambda self, minutes: minutes > 0)
    how |= {"sample_every": 1000, "sample_minutes": 0.1}
    seen = ptheta.train(name, strokes, tmp_path / "seen", **how)
    assert drawn(seen) == [f"step-{step:08d}.png" for step in range(1, 6)]
    lines = [line for line in capfd.readouterr().err.splitlines() if "  step " in line]
    for step in range(1, 6):
        assert any(f"step {step}/5  " in line for line in lines)
    assert same(plain.path, seen.path)
    assert metrics(plain) == metrics(seen)
    assert {line["step"] for line in seen.metrics()} == {4, 5}


@pytest.mark.parametrize("name", ["gan", "vae", "ae"])
def test_lines_show_what_the_players_minimise(
    name: str, strokes: Path, tmp_path: Path, capfd: Any
) -> None:
    how: dict[str, Any] = {**TINY[name], **QUIET, "steps": 2, "log_every": 1}
    run = ptheta.train(name, strokes, tmp_path / "r", **how)
    shown = next(x for x in capfd.readouterr().err.splitlines() if "  step 2/2  " in x)
    assert any(key.endswith("gradient_norm") for line in run.metrics() for key in line)
    loss_texts = {"gan": ["generator", "discriminator"], "vae": ["reconstruction", "kl"]}
    for word in loss_texts.get(name, ["reconstruction"]):
        assert f"  {word} " in shown
    assert "gradient_norm" not in shown
    assert "/" not in shown.replace("step 2/2", "").replace("images/s", "")


@pytest.mark.parametrize(
    ("options", "stop"),
    [({"steps": 3}, None), ({"minutes": 0.005}, None), ({"steps": 500}, 2)],
    ids=["few steps", "minutes", "signal"],
)
def test_every_run_ends_with_a_grid_of_its_last_weights(
    options: dict[str, float], stop: int | None, strokes: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    how = {**TINY["vae"], **QUIET, **options, "sample_every": 400}
    kept = Ahead.take

    def take(ahead: Ahead, step: int) -> Batch:
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return kept(ahead, step)

    monkeypatch.setattr(Ahead, "take", take)
    if stop is None:
        ptheta.train("vae", strokes, tmp_path / "r", **how)
    else:
        with pytest.raises(Interrupted):
            ptheta.train("vae", strokes, tmp_path / "r", **how)
    run = Run.open(tmp_path / "r")
    last = checkpoint.latest(run.path / "state")
    assert last is not None
    assert drawn(run) == [f"{last.name}.png"]
    picture = run.path / "samples" / drawn(run)[0]
    when = picture.stat().st_mtime_ns
    if stop is None:  # nothing to do: nothing is drawn anew
        ptheta.train("vae", strokes, tmp_path / "r", resume=True, **how)
        assert picture.stat().st_mtime_ns == when


def test_drawing_takes_a_tenth_of_the_time_at_most(monkeypatch: Any) -> None:
    now = 0.0
    monkeypatch.setattr("ptheta.training.grids.time.monotonic", lambda: now)
    pauses = Pauses()
    now = 61.0
    assert pauses.due(1.0)
    assert not pauses.due(0.0)
    with pauses.drawing(7):
        now += 30.0
    assert pauses.step == 7
    now += 100.0
    assert not pauses.due(1.0)
    now += 171.0
    assert pauses.due(1.0)


def test_a_player_who_moves_no_more_is_not_in_the_line() -> None:
    """Though the interval holds numbers of it; and who has not yet moved is not, either."""
    model = torch.nn.ModuleDict({name: torch.nn.Linear(1, 1) for name in ("early", "late", "all")})
    players = {name: Player((model[name],), partial(torch.optim.SGD, lr=0.1)) for name in model}
    spans = {"early": (0.0, 0.5), "late": (0.5, 1.0), "all": (0.0, 1.0)}

    def loss(name: str) -> Any:
        return lambda batch, _: {"t": model[name](batch.x)[:, 0]}

    moves = tuple(Move(name, loss(name), span=span) for name, span in spans.items())
    engine = Engine(model, Game(players, moves), Group())
    early, late = {"early", "all"}, {"late", "all"}
    for step, moving in enumerate((early, early, late, late), start=1):
        engine.step, engine.share = step, (step - 1) / 4
        alternating(engine, engine.game, step, Batch(torch.ones(3, 1)))
        assert set(engine.by_player(engine.averages.so_far())) == moving
    assert "early/t" in engine.averages.take()
