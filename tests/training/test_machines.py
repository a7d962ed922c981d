"""One run on several machines, by agents of torchrun: the same numbers, and faults in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.machines import (
    ENDLESS,
    FAULTS,
    LOOPBACK,
    SMALL,
    Cable,
    Outcome,
    World,
    alive,
    may_have_hosts,
    once,
    small_disk,
    until_a_checkpoint,
    world,
)
from safetensors.torch import load_file
from torch import Tensor

import ptheta
from ptheta.training import checkpoint
from ptheta.training.group import Group
from ptheta.training.metric_logger import read_metrics
from tests.training.test_sharing import GAMES, all_of_them, compare

pytestmark = pytest.mark.slow

LONG = 600.0  # seconds, on a busy machine
TOLD = [{"PTHETA_TIMEOUT": "30"}] * 2
TRAIN = ["train", "vae", "--data", "digits"]
QUIET: dict[str, Any] = {"evaluate_every": 0, "sample_every": 0, "held_out": 0, "threads": 1}
QUIET |= {"batch_size": 8, "log_every": 25, "checkpoint_every": 25, "device": "cpu"}
QUIET |= {"steps": 50, "schedule": "constant"}  # does not depend on the length
# games without batch statistics, with noise of their own
MODELS: dict[str, dict[str, Any]] = {
    "vae": {"hidden": (8,), "latent": 2},
    "made": {"hidden": (8,), "orders": 2},
}
RUNS = """
import json, sys
import ptheta
games, out = json.loads(sys.argv[1]), sys.argv[-1]
for name, options in games.items():
    run = ptheta.train(name, "digits", f"{out}/{name}", resume=True, **options)
    assert run.plan.train.steps == options["steps"]
"""
EVALUATES = """
import json, os, sys
from pathlib import Path
import ptheta
out = Path(sys.argv[-1])
found = ptheta.evaluate(out / "vae", n=520, is_k=2, extractor="pixels")
drawn = ptheta.sample(out / "vae", 300, out=out / "drawn")
text = json.dumps([found.to_json(), drawn.x.sum().item()])
(out / f"found-{os.environ['RANK']}.json").write_text(text)
"""
GAMES_OF_ALL = """
import json, sys
import torch
from ptheta.training.joining import joined
from ptheta.training.launchers import here
from ptheta.training.settings import TrainSettings
from tests.training.test_sharing import all_of_them

with joined(here(), {}) as member:
    group = member.group(TrainSettings(steps=1, device="cpu"))
    found = all_of_them(group, tuple(json.loads(sys.argv[1])), 50)
    if member.first:
        torch.save(found, sys.argv[-1])
"""


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / "model.safetensors")


def ended(running: World, status: int = 0) -> str:
    """What was said, once all have ended as they should."""
    assert running.wait(LONG) is not None, running.said
    assert running.statuses == [status] * len(running.agents), running.said
    return running.said


def script(place: Path, games: dict[str, dict[str, Any]], out: Path, each: int) -> None:
    """Trains games one after the other in two agents of `each` processes."""
    file = place / "script.py"
    file.write_text(RUNS)
    words = [json.dumps(games)]
    with world(words, [out] * 2, place, each=each, variables=TOLD, program=[str(file)]) as running:
        ended(running)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process learns."""
    out = tmp_path_factory.mktemp("alone")
    for name, options in MODELS.items():
        ptheta.train(name, "digits", out / name, **QUIET, **options)
    return out


def agree(found: Path, expected: Path) -> None:
    """Raises AssertionError if weights differ by more than 1e-6, or what was logged at a step."""
    for name in MODELS:
        mine, one = weights(found / name), weights(expected / name)
        assert mine.keys() == one.keys()
        assert all((mine[key] - one[key]).abs().max() <= 1e-6 for key in one), name
        logged, same = (
            {line["step"]: line for line in read_metrics(out / name)} for out in (found, expected)
        )
        # a run that was interrupted has other intervals
        for step in logged if logged.keys() == same.keys() else ():
            line, other = logged[step], same[step]
            for key in other.keys() - {"seconds", "images_per_s"}:
                if "active" in key:  # units, counted in each process
                    continue
                assert line[key] == pytest.approx(other[key], rel=1e-4, abs=1e-5), (name, key)


@pytest.mark.machines
@pytest.mark.parametrize("each", [1, 2])
def test_two_machines_compute_what_one_process_does(each, alone, tmp_path):
    """2 x 1 and 2 x 2 processes, with several runs in the same processes."""
    games = {name: {**QUIET, **options} for name, options in MODELS.items()}
    script(tmp_path, games, tmp_path / "out", each)
    agree(tmp_path / "out", alone)


@pytest.mark.machines
def test_fifty_steps_of_every_kind_of_game_are_the_same_on_two_machines(tmp_path):
    """2 x 2 processes and one: see test_sharing for those of one machine."""
    file, out = tmp_path / "script.py", tmp_path / "out"
    file.write_text(GAMES_OF_ALL)
    told = [{**TOLD[0], "PYTHONPATH": os.pathsep.join(sys.path)}] * 2
    words = [json.dumps(list(GAMES))]
    with world(words, [out] * 2, tmp_path, variables=told, program=[str(file)]) as running:
        ended(running)
    compare(torch.load(out), all_of_them(Group(), tuple(GAMES), 50))


@pytest.mark.machines
def test_a_run_goes_on_with_other_processes_and_the_same_order(alone, tmp_path):
    """25 steps of 2 x 2 processes, 15 of one, and 10 of two on one machine."""
    out = tmp_path / "out"
    games = {name: {**QUIET, **options, "steps": 25} for name, options in MODELS.items()}
    script(tmp_path, games, out, 2)
    for steps, processes in ((40, 1), (50, 2)):
        for name in MODELS:
            more = {"steps": steps, "processes": processes, "resume": True}
            ptheta.train(name, "digits", out / name, **more)  # type: ignore[arg-type]
    agree(out, alone)


def test_the_folder_need_not_be_shared(tmp_path):
    """The other machine has neither the run nor its checkpoints, and gets what it needs."""
    out = [tmp_path / "a" / "r", tmp_path / "b" / "r"]
    words = [*TRAIN, *SMALL.split(), "--resume"]
    for steps in (40, 60):
        with world([*words, "--steps", str(steps)], out, tmp_path, variables=TOLD) as running:
            said = ended(running)
    assert "step 60/60" in said
    assert not out[1].parent.exists()
    with world(
        [*TRAIN, *SMALL.split(), "--steps", "60"], [tmp_path / "c"] * 2, tmp_path
    ) as running:
        ended(running)
    mine, whole = weights(out[0]), weights(tmp_path / "c")
    assert all(mine[key].equal(whole[key]) for key in whole)


def test_an_evaluation_is_shared_and_the_first_process_writes_it(alone, tmp_path):
    """The second machine has no run, and gets the numbers and samples of one process."""
    expected = ptheta.evaluate(alone / "vae", n=520, is_k=2, extractor="pixels").to_json()
    samples = ptheta.sample(alone / "vae", 300).x
    out, file = [tmp_path / "a", tmp_path / "b"], tmp_path / "script.py"
    for folder in out:
        folder.mkdir()
    shutil.copytree(alone / "vae", out[0] / "vae")
    file.write_text(EVALUATES)
    with world([], out, tmp_path, each=1, variables=TOLD, program=[str(file)]) as running:
        said = ended(running)
    assert "ptheta:" not in said
    assert [path.name for path in out[1].iterdir()] == ["found-1.json"]
    assert len(list((out[0] / "drawn").glob("*.png"))) == 300
    for rank, folder in enumerate(out):
        found, total = json.loads((folder / f"found-{rank}.json").read_text())
        assert values(found) == values(expected)
        assert total == samples.sum()
    assert values(json.loads((out[0] / "vae" / "evaluation.json").read_text())) == values(expected)


def values(evaluation: dict[str, Any]) -> dict[str, Any]:
    """By metric, without those of a clock."""
    results = evaluation["results"]
    return {r["metric"]: (r["value"], r["error"]) for r in results if "speed" not in r["metric"]}


@pytest.mark.machines
def test_static_agents_join_as_well(tmp_path):
    words = [*TRAIN, *SMALL.split(), "--steps", "20"]
    with world(words, [tmp_path / "r"] * 2, tmp_path, variables=TOLD, static=True) as running:
        said = ended(running)
    assert said.count("step 20/20") == 1
    assert said.count(": trained; next:") == 1
    assert "torchrun has started 4 processes on 1 machine for this run" in said


def test_torchrun_starts_a_killed_run_again_to_the_same_bits(tmp_path):
    words = [*TRAIN, *SMALL.split(), "--steps", "300"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with world(words, [whole] * 2, tmp_path, variables=TOLD) as running:
        ended(running)
    with world(
        words, [parts] * 2, tmp_path, variables=TOLD, more=["--max-restarts", "1"]
    ) as running:
        until_a_checkpoint(parts, running)
        os.kill(running.ranks()[3], signal.SIGKILL)
        said = ended(running)
    assert "attempt 2" in said
    mine, one = weights(parts), weights(whole)
    assert all(mine[key].equal(one[key]) for key in one)
    states = [checkpoint.latest(out / "state") for out in (parts, whole)]
    assert states[0] is not None
    assert states[1] is not None
    optimizers = [load_file(state / "optimizers.safetensors") for state in states if state]
    assert all(optimizers[0][key].equal(optimizers[1][key]) for key in optimizers[1])


@pytest.mark.machines
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_some_stops_all_with_a_checkpoint(number, tmp_path):
    """To the processes of one machine, as torchrun passes on SIGTERM."""
    out = tmp_path / "r"
    with world([*TRAIN, *ENDLESS.split()], [out] * 2, tmp_path, variables=TOLD) as running:
        until_a_checkpoint(out, running)
        for pid in running.ranks(1):
            os.kill(pid, number)
        said = ended(running, 1)
    (line,) = running.lines
    assert line.startswith(f"ptheta: stopped by {number.name}; the checkpoint of step")
    assert f"exitcode  : {128 + number}" in said
    assert "exitcode  : -" not in said


@pytest.mark.machines
@pytest.mark.parametrize("name", ["kill of rank 3", "kill of the first agent", "the cable is cut"])
def test_a_fault_ends_all_with_one_line_of_each(name, tmp_path):
    """All kinds, often: benchmarks.faults."""
    if not may_have_hosts():
        if name == "the cable is cut":
            pytest.skip("no right to make network namespaces")
        found: Outcome = once(name, LOOPBACK, None, tmp_path)
    else:
        with Cable() as cable:
            found = once(name, cable.hosts, cable, tmp_path)
    assert not found.faults
    assert found.seconds < FAULTS[name][1]


@pytest.mark.machines
@pytest.mark.parametrize(
    ("own", "text"),
    [
        (["--lr", "0.1"], "--lr is 0.1, and not given in rank 0"),
        (["--data", "fashion"], "the training data of ranks 2 and 3 is not that of rank 0"),
    ],
)
def test_machines_that_differ_say_so_in_every_process(own, text, tmp_path):
    words = [*TRAIN, *SMALL.split(), "--steps", "20"]
    out = tmp_path / "r"
    with world(words, [out] * 2, tmp_path, variables=TOLD, own=[(), own]) as running:
        ended(running, 1)
    assert len(running.lines) == 4
    assert all(text in line for line in running.lines), running.lines
    assert not out.exists()


@pytest.mark.machines
def test_a_second_trainer_is_refused_in_every_process(tmp_path):
    out = tmp_path / "r"
    words = [*TRAIN, *ENDLESS.split()]
    logs = [tmp_path / "one", tmp_path / "two"]
    for folder in logs:
        folder.mkdir()
    with world(words, [out] * 2, logs[0], each=1, variables=TOLD) as first:
        until_a_checkpoint(out, first)
        with world([*words, "--resume"], [out] * 2, logs[1], each=1, variables=TOLD) as second:
            ended(second, 1)
        assert len(second.lines) == 2
        assert all("is in use: process" in line for line in second.lines)
        assert all(map(alive, first.ranks()))


@pytest.mark.machines
@pytest.mark.skipif(not may_have_hosts(), reason="no right to mount a small disk")
def test_a_full_temporary_disk_of_one_machine_is_told_by_all(tmp_path):
    """Where the other machine keeps the checkpoint while it resumes."""
    out = tmp_path / "r"
    words = [*TRAIN, *SMALL.split(), "--resume"]
    with world([*words, "--steps", "20"], [out] * 2, tmp_path, each=1, variables=TOLD) as running:
        ended(running)
    with small_disk(tmp_path / "small", "16k"):
        told = [TOLD[0], {**TOLD[0], "TMPDIR": str(tmp_path / "small")}]
        with world(
            [*words, "--steps", "40"], [out] * 2, tmp_path, each=1, variables=told
        ) as running:
            ended(running, 1)
    assert len(running.lines) == 2
    assert all("No space left on device" in line for line in running.lines)
    assert running.lines[0].startswith("ptheta: rank 1 on ")
    last = checkpoint.latest(out / "state")
    assert last is not None
    assert checkpoint.step_of(last) == 20


@pytest.mark.machines
@pytest.mark.parametrize("other", [False, True])
def test_without_a_way_to_rank_0_a_process_says_so_in_time(other, tmp_path):
    """Nothing listens there, or another program does."""
    server = socket.create_server(("127.0.0.1", 0))
    place = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    place |= {"MASTER_PORT": str(server.getsockname()[1]), "TORCHELASTIC_RUN_ID": "r"}

    def answer() -> None:
        with suppress(OSError):
            while True:
                server.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    if other:
        threading.Thread(target=answer, daemon=True).start()
    else:
        server.close()
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ptheta", *TRAIN, "--steps", "1", "--out", str(tmp_path / "r")],
        env={**os.environ, **place, "PTHETA_TIMEOUT": "2"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    server.close()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "did not meet rank 0 at 127.0.0.1:" in done.stderr
    assert time.monotonic() - start < 60
    assert not (tmp_path / "r").exists()
