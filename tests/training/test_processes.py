"""Several processes: who decides how many, what they say together, and how they end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from tqdm.std import TqdmDefaultWriteLock, tqdm

from ptheta.batch import Batch
from ptheta.errors import Interrupted, PthetaError
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.terminal import signals
from ptheta.terminal.signals import (
    ENDING,
    REPEATED,
    Lasting,
    Request,
    Requests,
    Stopped,
    ending,
    handled,
)
from ptheta.training import checkpoint, ranks
from ptheta.training.averages import NonFinite
from ptheta.training.engine import Engine, Weighing
from ptheta.training.group import Group
from ptheta.training.launchers import started_by
from ptheta.training.processes import launch
from ptheta.training.rank import Done, Ended, Failed, Outcome, Refused
from ptheta.training.ranks import Member, RankFailed
from ptheta.training.settings import TrainSettings

SLURM = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
SLURM |= {"SLURM_NODEID": "0", "SLURM_NODELIST": "node[1-2]", "SLURM_NNODES": "2"}
STEP = {"SLURM_STEP_ID": "0"}
TORCH = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "3", "NODE_RANK": "1", "GROUP_RANK": "1"}
TORCH |= {"MASTER_ADDR": "elsewhere", "MASTER_PORT": "22", "LOCAL_WORLD_SIZE": "4"}
# (variables, how many times who has started this command, as runs of their own)
ENVIRONMENTS: dict[str, tuple[dict[str, str], tuple[str, int] | None]] = {
    "none": ({}, None),
    "sbatch, no srun": (SLURM | {"SLURM_JOB_NAME": "train"}, None),
    "salloc": (SLURM | {"SLURM_JOB_NAME": "interactive"}, None),
    "srun of one task": (SLURM | STEP | {"SLURM_STEP_NUM_TASKS": "1"}, None),
    "srun of two tasks": (SLURM | STEP | {"SLURM_STEP_NUM_TASKS": "2"}, None),
    "torchrun, left over": (TORCH, None),
    "torchrun": (TORCH | {"TORCHELASTIC_RUN_ID": "none", "RANK": "0"}, None),
    "torchrun of one": (TORCH | {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"}, None),
    "Open MPI of one": ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, None),
    "Open MPI": ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, ("mpirun", 2)),
    "MPICH": ({"PMI_SIZE": "3", "PMI_RANK": "0"}, ("mpirun", 3)),
    "LSF": ({"LSB_JOBID": "5", "LSB_HOSTS": "a b", "LSB_DJOB_RANKFILE": "/none"}, None),
    "jsrun": ({"JSM_NAMESPACE_SIZE": "6", "JSM_NAMESPACE_RANK": "0"}, ("jsrun", 6)),
    "PBS": ({"PBS_JOBID": "7", "PBS_NODEFILE": "/none", "PBS_NP": "8"}, None),
    "Kubeflow": ({**TORCH, "KUBERNETES_PORT": "tcp://10.0.0.1:443"}, None),
    "not numbers": ({**STEP, "SLURM_STEP_NUM_TASKS": "", "PMI_SIZE": "many"}, None),
}
SETTINGS = TrainSettings(steps=1, device="cpu")


def itself(group: Group) -> Group:
    return group


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.filterwarnings("ignore:.*trains by itself")
def test_the_settings_say_how_many_processes_there_are(name, monkeypatch):
    """Whatever job or launcher the variables are of: one process is one, on its own, unless `train`
    has joined a run of torchrun or srun before."""
    variables, expected = ENVIRONMENTS[name]
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    found = started_by(os.environ)
    assert (found and (found[0].name, found[1])) == expected
    before = dict(os.environ)
    assert launch(SETTINGS, itself) == Group()
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", [n for n, (_, found) in ENVIRONMENTS.items() if found])
def test_tasks_of_another_launcher_are_told_what_to_do(name, monkeypatch):
    for key, value in ENVIRONMENTS[name][0].items():
        monkeypatch.setenv(key, value)
    with pytest.warns(UserWarning, match=r"trains separately: .* start it once \(.*\) with --proc"):
        launch(SETTINGS, itself)
    two = TrainSettings(steps=1, device="cpu", processes=2)
    with pytest.raises(PthetaError, match=r"would start 2 processes of its own: start it once"):
        launch(two, itself)


# -- what several processes say


@dataclass(frozen=True)
class Fake:
    images: Tensor


class Toy(nn.Module):
    """A game without noise: what two processes with half of the batch each do is what one does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator, self.discriminator = nn.Linear(6, 6), nn.Linear(6, 1)

    def two_players(self) -> Game[Fake]:
        def prepare(batch: Batch, clock: Clock) -> Fake:
            return Fake(self.generator(batch.x))

        def judge(batch: Batch, fake: Fake) -> Terms:
            batch.logs["D(x)"] = self.discriminator(batch.x).sigmoid()
            fooled = self.discriminator(fake.images.detach())[:, 0]
            return {"real": -self.discriminator(batch.x)[:, 0].tanh(), "fake": fooled.tanh()}

        def fool(batch: Batch, fake: Fake) -> Terms:
            return {"fooled": -self.discriminator(fake.images)[:, 0]}

        players = {"D": Player((self.discriminator,)), "G": Player((self.generator,))}
        return Game(players, (Move("D", judge), Move("G", fool)), prepare)

    def one_player(self) -> Game[None]:
        def loss(batch: Batch, _: None) -> Terms:
            code = self.generator(batch.x)
            batch.logs["code"] = code
            return {"kl": code**2, "reconstruction": (code - batch.x).pow(2).mean(1)}

        return Game({"all": Player((self.generator,))}, (Move("all", loss),))


GAMES: dict[str, tuple[Callable[[Toy], Game[Any]], dict[str, Any]]] = {
    "one player": (Toy.one_player, {"free_bits": 0.25, "clip": 0.5}),
    "two players": (Toy.two_players, {}),
}


def play(group: Group, images: Tensor) -> dict[str, Any]:
    """What is logged and learned in three steps, of which a process sees its share."""
    found: dict[str, Any] = {}
    for name, (game_of, options) in GAMES.items():
        model = Toy()
        game = game_of(model)
        engine = Engine(model, game, group, Weighing(**options))
        engine.measure_norms = True
        for step in (1, 2, 3):
            engine.step = step
            batch = Batch(images[step][group.rank :: group.size])
            shared = engine.prepare(game, step, batch)
            for move in game.moves:
                engine.gradients(move, batch, shared)
                engine.update(move.player)
        found[name] = (engine.averages.take(), model.state_dict())
    bad = Batch(torch.full((2, 6), float("nan") if group.rank == group.size - 1 else 0.0))
    try:
        engine.gradients(game.moves[0], bad, engine.prepare(game, 4, bad))
    except NonFinite as error:
        found["not finite"] = str(error)
    return found


@pytest.mark.slow
def test_what_two_processes_log_is_of_the_whole_batch():
    """Losses, other numbers and gradient norms of one player and of two; and where one process
    alone sees what is not finite, each says so."""
    images = torch.randn(4, 8, 6, generator=torch.Generator().manual_seed(1))
    whole = play(Group(), images)
    shared = launch(TrainSettings(steps=3, device="cpu", processes=2), play, images)
    for name in GAMES:
        (logged, weights), (expected, same) = shared[name], whole[name]
        assert logged.keys() == expected.keys()
        assert logged == pytest.approx(expected, rel=1e-5, abs=1e-6)
        for key, value in same.items():
            torch.testing.assert_close(weights[key], value, atol=1e-6, rtol=1e-4)
    assert shared["not finite"] == whole["not finite"]


# -- signals


@given(st.lists(st.tuples(st.sampled_from(ENDING), st.floats(0, 2 * REPEATED)), min_size=1))
def test_only_a_later_signal_is_impatient(sent):
    """The first is taken; those of the same moment, and any of a closed session, say no more."""
    now = 0.0
    requests = Requests(clock=lambda: now)
    since: float | None = None
    for number, later in sent:
        now += later
        request = requests.note(number)
        if since is None:
            since = now
            assert request is Request.FIRST
        else:
            again = now - since >= REPEATED and number != signal.SIGHUP
            assert request is (Request.AGAIN if again else Request.REPEATED)
    assert requests.number == sent[0][0]


@pytest.mark.parametrize("number", ENDING)
def test_what_is_ignored_stays_ignored_and_handlers_come_back(number):
    """nohup, and what a shell starts in the background."""
    heard: list[int] = []
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with handled(heard.append):
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_IGN
        signal.signal(number, lambda *_: heard.append(-1))
        with handled(heard.append):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert heard == [number, -1]


class Careless:
    """Libraries that lose exceptions."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)


def swallow() -> None:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    except BaseException:
        pass


@pytest.mark.parametrize("lose", [swallow, Careless])
def test_a_swallowed_stop_is_raised_again(lose, monkeypatch, capsys):
    monkeypatch.setattr(signals, "INSISTING", 0.02)
    cleaned = []

    def work() -> None:
        with ending():
            try:
                lose()
                time.sleep(10)
            finally:
                time.sleep(0.1)  # what cleans up is left in peace
                cleaned.append(True)

    with pytest.raises(Stopped) as stopped:
        work()
    assert stopped.value.number == signal.SIGTERM
    assert cleaned == [True]
    assert capsys.readouterr().err == ""


def test_messages_outlive_their_reader():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", closefd=False) as stream:
        lasting = Lasting(stream)
        print("said to nobody", file=lasting, flush=True)
        assert lasting.fileno() == write
        assert not lasting.isatty()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # what was not written goes on closing


def test_what_is_shown_leaves_no_semaphore_behind():
    """One that a killed process had would be told of by Python, in lines of its own."""
    assert tqdm.get_lock() is tqdm._lock
    assert not isinstance(tqdm.get_lock(), TqdmDefaultWriteLock)


# -- the end of the processes


@dataclass
class Fallen:
    exitcode: int


KILLED, ENDED = -signal.SIGKILL, -99  # by whom it may be, and by the launcher
ENDS: dict[str, tuple[list[tuple[int, Outcome[int] | None]], Any]] = {
    "all done": ([(0, Done(7)), (0, Done(8))], 7),
    "a refusal, and the other loses its connection": (
        [(1, Failed("gloo: closed")), (1, Refused(PthetaError("no")))],
        PthetaError,
    ),
    "a refusal that all raise": ([(1, Refused(NonFinite(1, "a", "b", 2.0)))] * 2, NonFinite),
    "lost": ([(1, Failed("gloo: closed")), (KILLED, None)], 9),
    "stopped before the first step": ([(1, Failed("closed")), (1, Ended(15))], 15),
    "a fault": ([(1, Failed("ZeroDivisionError")), (0, Done(1))], RankFailed),
    "a fault, and the other had to be ended": ([(ENDED, None), (1, Failed("Zero"))], RankFailed),
    "silent, and the other had to be ended": ([(ENDED, None), (3, None)], PthetaError),
    "silent": ([(0, Done(1)), (3, None)], PthetaError),
    "silent, without a fault": ([(0, None), (0, Done(1))], PthetaError),
}


@pytest.mark.parametrize("name", ENDS)
def test_of_several_ends_the_cause_is_told(name):
    found, expected = ENDS[name]
    members = [
        Member(rank, Fallen(code), None, outcome)  # type: ignore[arg-type]
        for rank, (code, outcome) in enumerate(found)
    ]
    for member in members:
        member.ended_here = member.process.exitcode == ENDED
    if isinstance(expected, type):
        with pytest.raises(expected) as caught:
            ranks._verdict(members, Requests(), False)
        assert type(caught.value) is expected
    elif all(isinstance(outcome, Done) for _, outcome in found):
        assert ranks._verdict(members, Requests(), False) == expected
    else:
        with pytest.raises(Interrupted) as ended:
            ranks._verdict(members, Requests(), False)
        assert ended.value.number == expected


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(PthetaError, match="cannot be pickled for other processes"):
        launch(TrainSettings(steps=1, device="cpu", processes=2), lambda group: group)


def one_fails(rank: int, how: str) -> int:
    """Rank 1 does; the other would go on for long."""
    if rank == 0:
        time.sleep(60)
    if how == "refuses":
        raise NonFinite(3, "player", "loss", float("nan"))
    if how == "faults":
        raise ZeroDivisionError
    os.kill(os.getpid(), {"killed": signal.SIGKILL, "asked": signal.SIGTERM}[how])
    time.sleep(60)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("refuses", PthetaError),
        ("faults", RankFailed),
        ("killed", Interrupted),
        ("asked", Interrupted),
    ],
)
def test_the_end_of_one_is_the_end_of_all(how, error, capfd):
    with pytest.raises(error) as caught:
        ranks.spread(one_fails, (how,), 2)
    if error is not RankFailed:
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert not running(os.getpid())


class HangsInStart:
    """What a new process reads before its work begins, and does not come to an end with."""

    def __reduce__(self) -> tuple[Any, tuple[float]]:
        return time.sleep, (60.0,)


def takes(rank: int, what: object) -> int:
    return rank


def test_a_process_that_hangs_in_its_start_does_not_outlive_a_signal():
    asked = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    asked.start()
    started = time.monotonic()
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        ranks.spread(takes, (HangsInStart(),), 1)
    assert time.monotonic() - started < 20


def running(parent: int) -> list[int]:
    """The ranks that a process started, of whichever it is the first one."""
    found = []
    for about in Path("/proc").glob("[0-9]*"):
        try:
            words = (about / "cmdline").read_bytes()
            up = int((about / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has just ended
            continue
        if b"spawn_main" in words and up == parent:
            found.append(int(about.name))
    return sorted(found)


def gone(pids: list[int]) -> bool:
    """Within seconds."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def command(data: Path, out: Path, processes: int) -> list[str]:
    words = [sys.executable, "-m", "ptheta.cli", "train", "vae", "--data", str(data)]
    words += ["--out", str(out), "--steps", "1000000", "--hidden", "8", "--processes"]
    words += [str(processes), "--batch-size", "8", "--log-every", "20", "--checkpoint-every", "20"]
    return [*words, "--evaluate-every", "0", "--sample-every", "0", "--threads", "1"]


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """In a session of its own, with the signals of a program that a user starts: this one may
    itself have been started to ignore some."""

    def usual() -> None:
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        start_new_session=True,
        preexec_fn=usual,
    )


def until_a_checkpoint(out: Path) -> None:
    deadline = time.monotonic() + 100
    while checkpoint.latest(out / "state") is None:
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.05)


def twice(process: subprocess.Popen[str], members: list[int]) -> None:
    for pid in members:  # so that they cannot obey the first one
        os.kill(pid, signal.SIGSTOP)
    process.send_signal(signal.SIGTERM)
    time.sleep(2 * REPEATED)
    process.send_signal(signal.SIGTERM)


Act = Callable[["subprocess.Popen[str]", list[int]], object]
# (what is done to a launcher and its ranks, the status of the launcher, what it says)
STOPS: dict[str, tuple[Act, int, str]] = {
    "SIGTERM": (lambda p, _: p.terminate(), 143, "stopped by SIGTERM"),
    "Ctrl-C": (lambda p, _: os.killpg(p.pid, signal.SIGINT), 130, "stopped by SIGINT"),
    "session": (lambda p, _: os.killpg(p.pid, signal.SIGHUP), 129, "stopped by SIGHUP"),
    "one rank": (lambda _, pids: os.kill(pids[1], signal.SIGTERM), 143, "stopped by SIGTERM"),
    "twice": (twice, 143, "stopped at once by SIGTERM"),
    "kill of a rank": (
        lambda _, pids: os.kill(pids[1], signal.SIGKILL),
        137,
        "the process of rank 1 was ended by SIGKILL",
    ),
    "kill of the first rank": (
        lambda _, pids: os.kill(pids[0], signal.SIGKILL),
        137,
        "the process of rank 0 was ended by SIGKILL",
    ),
    "kill of all": (lambda p, _: p.kill(), -9, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", STOPS)
def test_however_a_training_is_ended_it_leaves_a_checkpoint_and_nothing_else(
    how, strokes, tmp_path
):
    act, status, text = STOPS[how]
    out = tmp_path / "r"
    process = start(command(strokes, out, 2), tmp_path)
    try:
        until_a_checkpoint(out)
        members = running(process.pid)
        assert len(members) == 2
        act(process, members)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert gone(members)
    memory = [name for name in os.listdir("/dev/shm") for pid in members if f"_{pid}_" in name]
    assert not memory  # torch names what it shares by the process
    said = [line for line in err.splitlines() if line.startswith("ptheta: ")]
    rest = [line for line in err.splitlines() if line not in said]
    assert all(line.startswith("vae on strokes") for line in rest), err
    assert len(said) == bool(text)
    assert all(line.startswith(f"ptheta: {text}") for line in said)
    assert all(line.endswith(f"is in {out}: continue with --resume") for line in said)
    assert checkpoint.latest(out / "state") is not None


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_training_whose_terminal_goes_writes_a_checkpoint(processes, strokes, tmp_path):
    out = tmp_path / "r"
    pid, terminal = pty.fork()
    if pid == 0:
        words = command(strokes, out, processes)
        os.execv(words[0], words)
    until_a_checkpoint(out)
    before = checkpoint.latest(out / "state")
    members = running(pid)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert before is not None
    last = checkpoint.latest(out / "state")
    assert last is not None
    assert checkpoint.step_of(last) >= checkpoint.step_of(before)
    assert gone(members)


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("delay", [1.0, 3.0])
@pytest.mark.parametrize(
    "verb",
    [
        ("train", "vae", "--out", "r", "--steps", "1000000", "--hidden", "8"),
        ("train", "vae", "--out", "r", "--steps", "1000000", "--hidden", "8", "--processes", "2"),
        ("sweep", "vae", "--out", "r", "--vary", "latent=2,3", "--steps", "1000000"),
        ("demo", "--out", "r"),
    ],
    ids=lambda verb: " ".join(verb[:2]),
)
def test_every_verb_ends_with_a_line(verb, delay, number, strokes, tmp_path):
    words = [sys.executable, "-m", "ptheta.cli", *verb, "--data", str(strokes)]
    process = start(words, tmp_path)
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    said = [line for line in err.splitlines() if line.startswith("ptheta: ")]
    assert len(said) == 1
    assert f"stopped by {signals.name_of(number)}" in said[0]
    assert "Traceback" not in err


UNGUARDED = """
import ptheta
options = {"steps": 2, "processes": 2, "hidden": (4,), "device": "cpu"}
try:
    ptheta.train("vae", %r, %r, **options)
except ptheta.PthetaError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_script_that_every_process_would_run_again_is_told_so(strokes, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED % (str(strokes), str(tmp_path / "r")))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    assert 'guard the script by if __name__ == "__main__":' in done.stdout
    assert len(done.stdout.splitlines()) == 1
