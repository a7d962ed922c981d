"""`ptheta launch slurm`: a script that shellcheck likes, and that queues itself again."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ptheta
from ptheta.cli import main
from ptheta.cli.commands import cli
from ptheta.errors import PthetaError
from ptheta.training import checkpoint
from tests.conftest import TINY
from tests.training.test_processes import until_a_checkpoint
from tests.training.test_runs import QUIET

WORDS = ["vae", "--data", "digits", "--out", "runs/my vae", "--steps", "9"]


def printed(*words: str) -> str:
    done = CliRunner().invoke(cli, ["launch", "slurm", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_job_asks_for_what_was_asked_for():
    text = printed(
        *WORDS, "--nodes", "2", "--gpus", "4", "--time", "4:00:00", "--sbatch=--partition=a"
    )
    asked = [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]
    assert {"--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4", "--time=4:00:00"} <= set(asked)
    assert {"--signal=B:USR1@120", "--requeue", "--partition=a"} <= set(asked)
    assert text.startswith("#!/bin/bash\n#SBATCH ")
    assert shlex.join(["ptheta", "train", *WORDS, "--device", "cuda", "--resume"]) in text
    assert text == ptheta.launch(
        "slurm", WORDS, nodes=2, gpus=4, time="4:00:00", directives=["--partition=a"]
    )


def test_each_process_has_its_cores():
    assert "srun --kill-on-bad-exit=0 --cpus-per-task=4 ptheta" in printed(*WORDS, "--cpus", "4")


def test_without_gpus_one_process_of_each_machine():
    text = printed(*WORDS, "--resume", "--setup", "module load python")
    assert "gpus" not in text
    assert "--device" not in text
    assert "--ntasks-per-node=1" in text
    assert text.count("--resume") == 1
    assert "\nmodule load python\n" in text


def test_a_run_goes_on_with_its_own_batches(strokes, tmp_path):
    how: dict[str, Any] = {**QUIET, "batch_size": 9, "levels": 2, "device": "cpu"}
    ptheta.train("vae", strokes, tmp_path / "run", steps=1, **TINY["vae"], **how)
    words = ["launch", "slurm", "vae", "--out", str(tmp_path / "run"), "--nodes"]
    for nodes, words_of_it in (("3", "--resume"), ("2", "batch_size = 9 does not divide")):
        done = CliRunner().invoke(cli, [*words, nodes])
        assert words_of_it in f"{done.output}{done.exception}"


@pytest.mark.parametrize("device", [["--device", "cuda"], ["--device=cuda"]])
def test_gpus_are_trained_on(device):
    text = printed(*WORDS, *device, "--gpus", "2")
    assert text.count("--device") == 1
    assert shlex.join([*WORDS, *device]) in text
    assert shlex.join(["--device", "cpu"]) in printed(*WORDS, "--device", "cpu")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("more", [[], ["--nodes", "2", "--gpus", "8", "--cpus", "4"]])
def test_shells_read_it(more, tmp_path):
    job = tmp_path / "job.sh"
    job.write_text(printed(*WORDS, *more))
    assert subprocess.run(["bash", "-n", job]).returncode == 0
    check = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if check is not None:
        found = subprocess.run([check, job], capture_output=True, text=True)
        assert found.stdout == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "no model to train"),
        (["--data", "digits"], "no model to train"),
        (["vae", "--processes", "2"], "--processes is not for a job"),
        (["vae", "--out", "runs/none"], "none contains no run to continue: give a name or a path"),
        (["vae", "--dry-run"], "--dry-run is not for a job"),
        ([*WORDS, "--step", "3"], "did you mean '--steps'"),
        (["vea", *WORDS[1:]], "did you mean 'vae'"),
        ([*WORDS, "--time", "soon"], "--time soon: want minutes"),
        ([*WORDS, "--setup", "a\nb"], "want one line"),
        (
            [*WORDS, "--gpus", "3"],
            "divide among 3 processes: use a multiple of 3, such as --batch-size 129",
        ),
        (
            [*WORDS, "--batch-size", "6", "--nodes", "2", "--tasks", "2"],
            "6 does not divide among 4 processes",
        ),
        ([*WORDS, "--lr", "fast"], "lr"),
        (["ptheta", "train", *WORDS], "ptheta is no model: give what follows `ptheta train`"),
        (["train", *WORDS], "train is no model: give what follows `ptheta train`"),
        ([*WORDS, "--gpus", "2", "--device"], "--gpus 2 and --device '': the processes"),
        ([*WORDS, "--gpus", "2", "--device", "cpu"], "--gpus 2 and --device cpu: the processes"),
        ([*WORDS, "--gpus", "2", "--device=mps"], "--gpus 2 and --device mps: the processes"),
        ([*WORDS, "--gpus", "2", "--device", "auto"], "--gpus 2 and --device auto: the processes"),
        ([*WORDS, "--time", "\u0661:00"], "want minutes"),
        ([*WORDS, "--sbatch", "partition=gpu"], "want an option, such as --partition=gpu"),
    ],
)
def test_a_job_that_would_fail_is_not_written(words, text, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["launch", "slurm", *words])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert len(err.splitlines()) == 1


def test_other_schedulers_are_not_known():
    with pytest.raises(PthetaError, match="unknown scheduler 'pbs': known: slurm"):
        ptheta.launch("pbs", WORDS)
    with pytest.raises(PthetaError, match="--nodes 0: want a number from 1"):
        ptheta.launch("slurm", WORDS, nodes=0)


# -- with a srun and a scontrol of our own

# starts the command SLURM_NTASKS times, and passes USR1 on, as srun does
SRUN = """
import os, signal, subprocess, sys
size = int(os.environ["SLURM_NTASKS"])
words = [word for word in sys.argv[1:] if not word.startswith("--kill")]
def task(rank):
    own = {"SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_STEP_NUM_TASKS": size}
    own |= {"SLURM_STEP_ID": 0, "SLURM_NODEID": 0, "SLURM_STEP_TASKS_PER_NODE": size}
    return subprocess.Popen(words, env=os.environ | {k: str(v) for k, v in own.items()})
tasks = [task(rank) for rank in range(size)]
signal.signal(signal.SIGUSR1, lambda *_: [t.send_signal(signal.SIGUSR1) for t in tasks])
ends = [t.wait() for t in tasks]
sys.exit(max(128 - end if end < 0 else end for end in ends))
"""


@contextmanager
def cluster(place: Path, size: int, program: str) -> Iterator[dict[str, str]]:
    """The environment of a job. program: what `ptheta` is there"""
    tools = place / "bin"
    tools.mkdir(exist_ok=True)
    for name, text in {
        "srun": f"#!{sys.executable}\n{SRUN}",
        "scontrol": f'#!/bin/sh\n[ "$1" = show ] && echo 127.0.0.1 || echo "$@" >> {place}/asked\n',
        "ptheta": program,
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": str(size), "SLURM_JOB_NODELIST": "here[1-2]"}
    yield {**os.environ, **job, "PATH": f"{tools}:{os.environ['PATH']}"}


def start(job: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", job],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL),
    )


@pytest.mark.parametrize(
    ("program", "told", "status"),
    [
        ("trap 'exit 138' USR1\ntouch started\nwhile true; do sleep 0.05; done", True, 138),
        ("trap 'exit 2' USR1\ntouch started\nwhile true; do sleep 0.05; done", True, 2),
        ("trap 'exit 0' USR1\ntouch started\nwhile true; do sleep 0.05; done", True, 0),
        ("exit 3", False, 3),
        ("exit 0", False, 0),
    ],
)
def test_only_what_was_preempted_is_queued_again(program, told, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = tmp_path / "job.sh"
    job.write_text(printed(*WORDS))
    with cluster(tmp_path, 1, f"#!/bin/bash\n{program}\n") as environment:
        process = start(job, environment)
        if told:
            deadline = time.monotonic() + 30
            while not (tmp_path / "started").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.2)
            process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=30)
    assert process.returncode == status
    asked = tmp_path / "asked"
    assert asked.exists() == (status == 138)
    assert status != 138 or asked.read_text() == "requeue 17\n"


@pytest.mark.slow
def test_a_job_of_two_tasks_goes_on_where_it_was_preempted(strokes, tmp_path):
    """One run of both; USR1 comes to the script only."""
    out, job = tmp_path / "r", tmp_path / "job.sh"
    words = ["vae", "--data", str(strokes), "--out", str(out), "--hidden", "8", "--batch-size", "8"]
    words += ["--checkpoint-every", "20", "--evaluate-every", "0", "--sample-every", "0"]
    words += ["--threads", "1", "--device", "cpu", "--log-every", "20"]
    program = f'#!/bin/sh\nexec {sys.executable} -m ptheta "$@"\n'
    with cluster(tmp_path, 2, program) as environment:
        job.write_text(printed(*words, "--steps", "1000000"))
        process = start(job, environment)
        until_a_checkpoint(out)
        process.send_signal(signal.SIGUSR1)
        _, err = process.communicate(timeout=100)
        assert process.returncode == 128 + signal.SIGUSR1, err
        assert (tmp_path / "asked").read_text() == "requeue 17\n"
        said = [line for line in err.splitlines() if line.startswith("ptheta: ")]
        assert len(said) == 1
        assert "stopped by SIGUSR1; the checkpoint of step" in said[0]
        assert "srun has started 2 processes on 1 machine for this run" in err
        last = checkpoint.latest(out / "state")
        assert last is not None
        job.write_text(printed(*words, "--steps", str(checkpoint.step_of(last) + 20)))
        again = start(job, environment)
        _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert len((tmp_path / "asked").read_text().splitlines()) == 1
    assert f"step {checkpoint.step_of(last) + 20}" in err
