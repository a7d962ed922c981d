"""Runs survive: one process at a time, kills, damaged checkpoints, full disks, links."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import ptheta
from ptheta import api
from ptheta.cli import main
from ptheta.errors import CannotWrite, InUse, PthetaError
from ptheta.files import atomic as files
from ptheta.files import tensors
from ptheta.files.atomic import LOCK, TEMPORARY, locked, temporary, write_text
from ptheta.files.tensors import save_tensors
from ptheta.games import END, Remembering
from ptheta.models.adversarial import monitor
from ptheta.models.adversarial.monitor import GANMonitor
from ptheta.schemas import Row, Warned, lines
from ptheta.training import checkpoint, reporter
from ptheta.training.loop import Trainer
from tests.training.test_runs import same, train

PARTS = ("model", "ema", "optimizers", "rng-0")
TIMES = ("seconds", "images_per_s")


class Killed(BaseException):
    """Ends a training where a kill would: nothing is written any more."""


def dies_at(monkeypatch, step: int) -> None:
    """Kills a training once a step's work is done."""
    kept = Trainer._at_intervals

    def die(self, at):
        kept(self, at)
        if at == step:
            raise Killed

    monkeypatch.setattr(Trainer, "_at_intervals", die)


def told(run: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a file but for what are times."""
    rows = lines(run / f"{name}.jsonl", Row if name == "metrics" else Warned)
    return [{k: v for k, v in row.model_dump().items() if k not in TIMES} for _, row in rows]


# -- one process at a time


def test_a_folder_is_held_by_one_process_and_freed_by_its_death(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from ptheta.files.atomic import locked\n"
        "with locked(Path(sys.argv[1]), 'training'): print('held', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "a" / "run"
    holder = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(InUse, match=rf"process {holder.pid} on .* is training there; wait"):
        train("vae", tmp_path / "none.npy", folder, steps=2, resume=True)
    holder.kill()
    holder.wait()
    with locked(folder, "training"):
        pass
    assert list(folder.iterdir()) == []


def test_what_is_refused_leaves_no_folder(tmp_path):
    for out in ("run", "some/where/run"):
        with pytest.raises(PthetaError, match=r"none\.npy"):
            train("vae", tmp_path / "none.npy", tmp_path / out, steps=2)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_died_before_it_wrote_its_config_blocks_nothing(strokes, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / LOCK).write_text("process 1 on elsewhere is training there")
    (out / temporary(out).name).write_bytes(b"half a fi")
    train("vae", strokes, out, steps=2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(PthetaError, match="is not empty and not a run"):
        train("vae", strokes, tmp_path / "other", steps=2)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


# -- kills


@pytest.mark.parametrize("at", [3, 8, 17, 20])
def test_a_killed_run_tells_what_an_uninterrupted_one_tells(at, strokes, tmp_path, monkeypatch):
    """Every line of metrics and warnings, the intervals of the log that a kill falls into, and each
    warning once, whatever it depends on."""
    monkeypatch.setattr(monitor, "STILL", 3)
    monkeypatch.setattr(reporter, "SETTLED", 1)
    monkeypatch.setattr(monitor, "FEW", 1e9)  # every run is a collapse
    options = {"steps": 20, "log_every": 3, "checkpoint_every": 8, "evaluate_every": 5}
    whole = train("gan", strokes, tmp_path / "whole", **options, held_out=24)
    with monkeypatch.context() as patch:
        dies_at(patch, at)
        with pytest.raises(Killed):
            train("gan", strokes, tmp_path / "parts", **options, held_out=24)
    parts = train("gan", strokes, tmp_path / "parts", resume=True, **options, held_out=24)
    assert same(whole.path, parts.path)
    assert told(parts.path, "metrics") == told(whole.path, "metrics")
    assert told(parts.path, "warnings") == told(whole.path, "warnings")
    assert len(told(whole.path, "warnings")) == 1


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "generator/diversity": st.floats(0, 2),
                "discriminator/critic_gap": st.sampled_from([0.0, 1.0]),
                "held_out/classes_digits": st.floats(1, 10),
                "held_out/real_classes_digits": st.floats(1, 10),
            },
        ),
        max_size=60,
    ),
    st.integers(0, 60),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_an_alarm_remembers_all_that_it_warns_by(lines, split, probability):
    for line in lines:
        line.setdefault("discriminator/adversarial", 1.386)
    whole, before = GANMonitor(probability), GANMonitor(probability)
    assert isinstance(whole, Remembering)
    wanted = [whole(line) for line in [*lines, {END: 1.0}]]
    got: list[Mapping[str, str]] = [before(line) for line in lines[:split]]
    after = GANMonitor(probability)
    after.recall(json.loads(json.dumps(before.memory())))
    got += [after(line) for line in [*lines[split:], {END: 1.0}]]
    assert got == wanted


def test_the_checkpoint_of_a_step_stays_until_the_new_one_is_there(strokes, tmp_path, monkeypatch):
    """A run that ends on one of its intervals, or goes on for nothing, writes that step again."""
    run = train("vae", strokes, tmp_path / "r", steps=8, checkpoint_every=4)
    state = run.path / "state"
    assert [p.name for p in checkpoint.checkpoints(state)] == ["step-00000004", "step-00000008"]

    def die(beside, folder):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "commit_folder", die)
        with pytest.raises(Killed):
            train("vae", strokes, run.path, steps=8, resume=True)
    assert checkpoint.latest(state) == state / "step-00000008"
    train("vae", strokes, run.path, steps=8, resume=True)
    assert [p.name for p in checkpoint.checkpoints(state)] == ["step-00000004", "step-00000008.1"]
    assert not list(state.glob(".*"))


# -- damage


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "empty": empty,
    "flipped": flip,
    "missing": Path.unlink,
}


@pytest.fixture(scope="module")
def twelve(strokes, tmp_path_factory) -> tuple[Path, Path]:
    """(a run of 12 steps, the same one when it was at 8)"""
    place = tmp_path_factory.mktemp("twelve")
    options = {"checkpoint_every": 4, "ema": 0.9, "schedule": "constant"}
    for name, steps in (("whole", 12), ("eight", 8)):
        train("vae", strokes, place / name, steps=steps, **options)
    return place / "whole", place / "eight"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", [*(f"{p}.safetensors" for p in PARTS), "progress.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(file, damage, twelve, strokes, tmp_path):
    whole, eight = twelve
    shutil.copytree(eight, tmp_path / "r")
    state = tmp_path / "r" / "state"
    newest = checkpoint.latest(state)
    assert newest is not None
    DAMAGE[damage](newest / file)
    with pytest.warns(UserWarning, match=rf"step-00000008/{file}.* resumes from step 4"):
        run = train("vae", strokes, tmp_path / "r", steps=12, resume=True)
    assert same(whole, run.path)
    lines = [line for line in told(run.path, "metrics") if line["step"] == 12]
    assert lines == told(whole, "metrics")[-len(lines) :]
    assert [p.name for p in checkpoint.checkpoints(state)] == ["step-00000004", "step-00000012"]
    for folder in checkpoint.checkpoints(state):
        DAMAGE[damage](folder / file)
    with pytest.raises(PthetaError, match="no other checkpoint can be read"):
        train("vae", strokes, tmp_path / "r", steps=20, resume=True)


def test_a_checkpoint_of_another_model_is_refused(twelve, strokes, tmp_path):
    """Whole files, which do not belong together."""
    shutil.copytree(twelve[1], tmp_path / "r")
    values = json.loads((tmp_path / "r" / "config.json").read_text())
    values["config"]["hidden"] = [7]
    (tmp_path / "r" / "config.json").write_text(json.dumps(values))
    with pytest.raises(PthetaError, match=r"does not fit the model that config\.json describes"):
        train("vae", strokes, tmp_path / "r", steps=12, resume=True, hidden=(7,))
    for wrong in ({}, {"vae/0/step": torch.zeros(2)}, {"vae/99/step": torch.zeros(())}):
        shutil.rmtree(tmp_path / "r")
        shutil.copytree(twelve[1], tmp_path / "r")
        for folder in checkpoint.checkpoints(tmp_path / "r" / "state"):
            (folder / checkpoint.WHOLE).unlink()
            save_tensors(folder / "optimizers.safetensors", wrong, {})
        with pytest.raises(PthetaError, match="optimizer"):
            train("vae", strokes, tmp_path / "r", steps=12, resume=True)


def test_a_run_that_has_lost_its_checkpoints_does_not_begin_anew(twelve, strokes, tmp_path):
    shutil.copytree(twelve[0], tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "state")
    before = (tmp_path / "r" / "metrics.jsonl").read_bytes()
    options = {"steps": 20, "resume": True, "checkpoint_every": 4}
    with pytest.raises(PthetaError, match=r"is from step 12, and .*state has no checkpoint"):
        train("vae", strokes, tmp_path / "r", **options)
    (tmp_path / "r" / "state").write_text("x")
    with pytest.raises(PthetaError, match="state is not a folder"):
        train("vae", strokes, tmp_path / "r", **options)
    assert (tmp_path / "r" / "metrics.jsonl").read_bytes() == before


# -- disks


@pytest.mark.parametrize("nth", [1, 2, 5, 9, 14, 20])
def test_a_full_disk_ends_a_run_with_one_line_and_it_goes_on(nth, strokes, tmp_path, monkeypatch):
    options = {"steps": 12, "checkpoint_every": 4, "schedule": "constant"}
    whole = train("vae", strokes, tmp_path / "whole", **options)
    left, flush = [nth], files._flush

    def full(path: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush", full)
        with pytest.raises(CannotWrite, match="No space left on device; free space there"):
            train("vae", strokes, tmp_path / "parts", **options)
    parts = train("vae", strokes, tmp_path / "parts", resume=True, **options)
    assert same(whole.path, parts.path)
    assert not list(parts.path.rglob(f"{TEMPORARY}*"))
    assert told(parts.path, "metrics") == told(whole.path, "metrics")


def test_numbers_that_cannot_be_written_are_printed(strokes, tmp_path, monkeypatch, capsys):
    run = train("vae", strokes, tmp_path / "r", steps=2)

    def full(path, value):
        raise CannotWrite(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ptheta.measures.results.write_json", full)
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", str(run.path), "-n", "20", "--is-k", "2", "--json"])
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert len(json.loads(out)["results"]) > 5
    assert "cannot write" in err.splitlines()[-1]
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)  # a file system that is read-only
        with pytest.warns(UserWarning, match="no evaluation.json is written"):
            found = ptheta.evaluate(run.path, n=20, is_k=2)
        assert found.results
        assert not (run.path / "evaluation.json").exists()
        with pytest.raises(CannotWrite, match="permission denied"):
            api.fit(run.path)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_files_have_the_mode_of_the_users_umask(mask, strokes, tmp_path):
    before = os.umask(mask)
    try:
        run = train("vae", strokes, tmp_path / "r", steps=2, sample_every=2)
    finally:
        os.umask(before)
    for path in run.path.rglob("*"):
        want = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.stat().st_mode & 0o777 == want, path


def test_only_a_file_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "fifo"):
        with pytest.raises(CannotWrite, match="not a file"):
            write_text(tmp_path / name, "text")
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to("theirs")
    write_text(tmp_path / "link", "mine")
    assert (tmp_path / "theirs").read_text() == "theirs"


@pytest.mark.parametrize("name", ["metrics.jsonl", "warnings.jsonl", "samples", "state", "x/y"])
def test_a_run_with_a_link_in_it_is_not_gone_on_with(name, twelve, strokes, tmp_path):
    run, outside = tmp_path / "r", tmp_path / "outside"
    shutil.copytree(twelve[1], run)
    outside.mkdir()
    link = run / name
    link.parent.mkdir(exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / "new" if link.suffix else outside)
    with pytest.raises(PthetaError, match=r"is a link to .*outside"):
        train("vae", strokes, run, steps=12, resume=True)
    assert list(outside.iterdir()) == []
    (tmp_path / "way").symlink_to(twelve[0].parent)  # the way to a run may be a link
    assert ptheta.load(tmp_path / "way" / "eight")


def test_temporary_files_are_never_written_through_links(tmp_path, monkeypatch):
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setattr("ptheta.files.atomic.secrets.token_hex", lambda n: "0" * 2 * n)
    temporary(tmp_path).symlink_to(tmp_path / "theirs")
    with pytest.raises(CannotWrite, match="File exists"):
        write_text(tmp_path / "mine", "mine")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_whatever_is_written_of_tensors_says_whose_it_is(tmp_path, monkeypatch):
    """The library makes a temporary file of its own, which a kill would leave for ever."""
    seen: set[str] = set()

    def watched(*args):
        save_file(*args)
        seen.update(path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*"))
        (args[1].parent / ".tmpAbCdEf").write_text("left by a kill")

    monkeypatch.setattr(tensors, "save_file", watched)
    save_tensors(tmp_path / "x.safetensors", {"w": torch.ones(3)}, {})
    assert seen
    assert all(name.startswith(TEMPORARY) for name in seen)
    assert [path.name for path in tmp_path.rglob("*")] == ["x.safetensors"]
