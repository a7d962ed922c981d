"""Runs of a sweep as processes of their own: several at a time, here and on a cluster."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import ptheta
from ptheta.compute import threads
from ptheta.errors import CannotWrite, Interrupted, PthetaError
from ptheta.files.atomic import locked
from ptheta.models.variational.vae import VAE
from ptheta.runs import jobs
from ptheta.runs.jobs import Job, Outcome
from ptheta.runs.sweeps import grid, runs_of
from tests.conftest import TINY
from tests.training.test_runs import QUIET, same

OPTIONS = {**TINY["gan"], **QUIET, "steps": 6}
PLAYED = "tests.training.played_job"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PROGRAM", PLAYED)
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))


def job(folder: Path, name: str, do: str) -> Job:
    log = str(folder / "logs" / f"{name}.log")
    return Job("gan", "digits", str(folder / name), "default", {"do": do}, log)


def test_a_job_survives_its_line():
    one = Job(
        "gan", "digits", "x/lr=1,seed=0", "default", {"lr": 1e-4, "hidden": [3]}, "log", ("a",)
    )
    again = Job.of_line(one.line())
    assert (again.options, again.name) == (one.options, "lr=1,seed=0")


def test_every_end_of_a_job_is_told(played, tmp_path, monkeypatch):
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads, "available", lambda: 6)
    ends = {"a": "end", "b": "fail", "c": "leave", "d": "die", "e": "end"}
    asked = [job(tmp_path, name, do) for name, do in ends.items()]
    found = {job.name: outcome for job, outcome in jobs.here(asked, 2)}
    assert found == {
        "a": Outcome("trained"),
        "b": Outcome("failed", "the loss is not finite"),
        "c": Outcome("elsewhere", "it is in use"),
        "d": Outcome("failed", "it was ended by SIGKILL, as happens if memory runs out"),
        "e": Outcome("trained"),
    }
    assert (tmp_path / "logs" / "a.log").read_text() == "begins with 3 threads\n"


def test_a_full_disk_ends_them_all(played, tmp_path):
    asked = [job(tmp_path, "a", "wait"), job(tmp_path, "b", "fill"), job(tmp_path, "c", "end")]
    with pytest.raises(CannotWrite, match="cannot write x: No space left"):
        list(jobs.here(asked, 2))
    assert not (tmp_path / "logs" / "c.log").exists()


def when(there: Path, *signals: int) -> None:
    """Sends signals to this process once a path exists, a second apart."""

    def send() -> None:
        while not there.exists():
            time.sleep(0.05)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(1)

    threading.Thread(target=send, daemon=True).start()


@pytest.mark.parametrize(
    ("do", "signals"),
    [("wait", (signal.SIGTERM,)), ("ignore", (signal.SIGINT, signal.SIGINT))],
)
def test_signals_reach_the_jobs(played, tmp_path, do, signals):
    asked = [job(tmp_path, "a", do), job(tmp_path, "b", "end")]
    when(tmp_path / "a", *signals)
    started = time.monotonic()
    with pytest.raises(Interrupted, match="; the same command goes on") as error:
        list(jobs.here(asked, 1))
    assert error.value.number == signals[0]
    assert time.monotonic() - started < 30
    assert not (tmp_path / "logs" / "b.log").exists()


# -- sweeps


@pytest.mark.slow
def test_jobs_give_the_runs_of_one_process(strokes, tmp_path):
    table = grid({"loss": ["hinge", "minimax"]})
    few = {**OPTIONS, "threads": 1}
    alone = ptheta.sweep("gan", strokes, tmp_path / "alone", table, **few)
    done = ptheta.sweep("gan", strokes, tmp_path / "jobs", table, jobs=2, **few)
    assert done.counts() == "2 runs trained, 0 failed"
    for one, other in zip(alone.runs, done.runs, strict=True):
        assert one.path.name == other.path.name
        assert same(one.path, other.path)
    kept = [json.loads((s / "sweep.json").read_text()) for s in (alone.path, done.path)]
    assert kept[0] == kept[1]
    assert {log.name for log in (done.path / "logs").iterdir()} == {
        f"{run.path.name}.log" for run in done.runs
    }


def test_a_run_in_training_elsewhere_is_left_to_it(strokes, tmp_path):
    table = grid({"loss": ["hinge", "minimax"]})
    held = tmp_path / "s" / "loss=hinge,seed=0"
    with locked(held, "training"):
        done = ptheta.sweep("gan", strokes, tmp_path / "s", table, **OPTIONS)
        assert done.counts() == "1 runs trained, 0 failed, 1 in training by another program"
        assert [Path(path).name for path in runs_of(tmp_path / "s")] == ["loss=minimax,seed=0"]
    again = ptheta.sweep("gan", strokes, tmp_path / "s", table, **OPTIONS)
    assert again.counts() == "2 runs trained, 0 failed"
    assert [Path(path).name for path in runs_of(tmp_path / "s")] == [
        "loss=hinge,seed=0",
        "loss=minimax,seed=0",
    ]


def test_bad_input_is_refused_before_any_job(strokes, tmp_path, monkeypatch):
    def refused(said: str, model: object = "gan", **options: object) -> None:
        with pytest.raises(PthetaError, match=said):
            ptheta.sweep(model, strokes, tmp_path / "s", [{}], **options)  # type: ignore[arg-type]
        assert not (tmp_path / "s").exists()

    refused("jobs = 0: give at least one", jobs=0)
    refused("cluster options need a cluster", cluster_options={"timeout_min": 1})

    class Own(VAE):
        pass

    refused("jobs need the model .* in a module", Own, jobs=2, steps=1)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(PthetaError, match=r"--cluster needs the extra: pip install 'ptheta\[clus"):
        ptheta.sweep("gan", strokes, tmp_path / "s", [{}], cluster="slurm", **OPTIONS)


# -- with processes that train


COMMAND = (sys.executable, "-m", "ptheta.cli", "sweep", "gan", "--data", "digits", "--net", "mlp")
LONG = ("--vary", "loss=hinge,minimax", "--seeds", "1", "--steps", "1000000", "--jobs", "2")


def begun(folder: Path) -> bool:
    names = ("loss=hinge,seed=0", "loss=minimax,seed=0")
    return all((folder / name / "metrics.jsonl").exists() for name in names)


def says(log: Path, text: str) -> bool:
    return text in log.read_text()


def until(there: Callable[[], object], seconds: float = 120) -> None:
    late = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < late
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_job_outlives_its_program_and_each_leaves_a_checkpoint(tmp_path, number):
    folder = tmp_path / "s"
    process = subprocess.Popen(
        [*COMMAND, *LONG, "--log-every", "20", "--out", folder], stderr=subprocess.PIPE, text=True
    )
    until(lambda: begun(folder))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 128 + signal.SIGTERM
        assert said.splitlines()[-1] == "ptheta: stopped by SIGTERM; the same command goes on"
    logs = [*(folder / "logs").iterdir()]
    assert len(logs) == 2
    for log in logs:
        until(partial(says, log, "continue with --resume"), 60)


SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
n = int(re.search(r"--array=0-(\\d+)", text)[1]) + 1 if "--array" in text else 1
state = os.environ["PLAYED_SLURM"]
limit = re.search(r"--array=\\S+?%(\\d+)", text)
open(state + "/limit", "w").write(limit[1] if limit else "")
for i in range(n):
    env = {{**os.environ, "SLURM_JOB_ID": f"7_{{i}}", "SLURM_ARRAY_JOB_ID": "7",
           "SLURM_ARRAY_TASK_ID": str(i), "SLURM_NTASKS": "1", "SLURM_PROCID": "0",
           "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_NUM_NODES": "1"}}
    subprocess.Popen(["bash", script], env=env, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
print("Submitted batch job 7")
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do
  case $1 in --output|--error) shift 2;; *) shift;; esac
done
exec "$@"
"""
SACCT = """#!{python}
import glob, os
print("JobID|State")
folder = os.environ["PLAYED_SLURM"]
for i in range(2):
    done = glob.glob(f"{{folder}}/s/submitit/7_{{i}}_*result.pkl")
    print(f"7_{{i}}|{{'COMPLETED' if done else 'RUNNING'}}")
"""


@pytest.mark.slow
def test_a_sweep_on_a_played_cluster(tmp_path, monkeypatch):
    """Programs of SLURM that run what they are given on this machine."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT)):
        (tools / name).write_text(text.format(python=sys.executable) if "python" in text else text)
        (tools / name).chmod(0o755 | stat.S_IXUSR)
    env = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PLAYED_SLURM": str(tmp_path),
    }
    words = [*COMMAND, "--vary", "loss=hinge,minimax", "--seeds", "1", "--steps", "20"]
    words += ["--jobs", "1", "--cluster", "slurm", "--cluster-option", "timeout_min=5"]
    done = subprocess.run(
        [*words, "--out", tmp_path / "s"], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "2 runs trained, 0 failed" in done.stdout
    assert (tmp_path / "limit").read_text() == "1"


def test_a_job_that_a_cluster_takes_away_goes_on(played, tmp_path):
    """What submitit does before it queues a job again, in a handler that interrupts the waiting."""
    node, again = jobs.OnNode(job(tmp_path, "a", "wait")), list[object]()
    before = signal.signal(signal.SIGUSR2, lambda *_: again.append(node.checkpoint()))
    try:
        when(tmp_path / "a", signal.SIGUSR2)
        assert node() == Outcome("failed", "begins with 1 threads")
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert again[0].function.job == node.job  # type: ignore[attr-defined]


def test_a_job_ends_with_the_program_that_started_it(played, tmp_path, monkeypatch):
    parents = iter([1, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 2))
    assert jobs.OnNode(job(tmp_path, "a", "wait"))().kind == "failed"


def test_a_job_on_a_node_that_cannot_write_says_so(played, tmp_path):
    found = jobs.OnNode(job(tmp_path, "a", "fill"))()
    assert found == Outcome("failed", "cannot write x: No space left on device")


def test_the_message_of_a_job_is_told_from_the_output_of_others(played, tmp_path):
    one = job(tmp_path, "a", "leave")
    log = Path(one.log)
    log.parent.mkdir()
    log.write_text("ptheta: an earlier message\n")
    running = jobs.Process.start(one, 0, 1)
    running.process.wait()
    with log.open("a") as other:
        other.write("gan on digits  step 7/9\n")
    assert running.outcome() == Outcome("elsewhere", "it is in use")


@pytest.mark.parametrize(
    ("folder", "options", "said"),
    [
        ("x%j", {}, "submitit replaces %j"),
        ("x", {"slurm_ntasks_per_node": 2}, "slurm_ntasks_per_node = 2: each run"),
        ("x", {"nodes": 2}, "nodes = 2: each run"),
    ],
)
def test_what_submitit_would_misunderstand_is_refused(folder, options, said, tmp_path):
    with pytest.raises(PthetaError, match=said):
        next(jobs.on_cluster([], 1, "slurm", options, tmp_path / folder))


def test_an_error_of_submitit_is_one_line():
    frame = "-" * 22
    failed = f"Job failed with trace:\n{frame}\nTraceback\nKeyError: 'x'\n{frame}\nSee the log"
    assert jobs._reason(failed) == "KeyError: 'x'"
    lost = f"Job 7 has not produced any output\n(state: KILLED)\n{'-' * 40}\nstep 1\nstep 2"
    assert jobs._reason(lost) == "Job 7 has not produced any output (state: KILLED)"


class Played:
    """A job of submitit that has ended."""

    job_id = "7"

    def done(self) -> bool:
        return True

    def result(self) -> Outcome:
        return Outcome("trained")


class Executor:
    """An executor of submitit of this machine, which notes how processes would be started."""

    cluster, blocked = "local", list[set[signal.Signals]]()

    def __init__(self, **_: object) -> None: ...

    def update_parameters(self, **_: object) -> None: ...

    def submit(self, _: object) -> Played:
        self.blocked.append({signal.Signals(n) for n in signal.pthread_sigmask(0, ())})
        return Played()


def test_jobs_on_this_machine_come_in_turn_and_survive_ctrl_c(tmp_path, monkeypatch):
    package = types.SimpleNamespace(AutoExecutor=Executor)
    monkeypatch.setitem(sys.modules, "submitit", package)
    monkeypatch.setattr(jobs, "ASKED_EVERY", 0)
    asked = [job(tmp_path, name, "end") for name in "abc"]
    ends = jobs.on_cluster(asked, 2, "local", {}, tmp_path)
    assert next(ends) == (asked[0], Outcome("trained"))
    assert len(Executor.blocked) == 2  # the third waits
    assert [one.name for one, _ in ends] == ["b", "c"]
    assert all({signal.SIGINT, signal.SIGHUP} <= blocked for blocked in Executor.blocked)
