"""Trainings as jobs: each one a process of its own, several at a time, here or on a cluster.

A job is described by one line of JSON on its standard input, and runs `python -m ptheta.cli.job`.
Its output goes to a log file. It ends with a checkpoint when its standard input is closed, so that
no job outlives the program that started it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO, Literal, Protocol

from ptheta.compute import threads
from ptheta.errors import CannotWrite, Interrupted, PthetaError
from ptheta.files.atomic import make_folder, writing
from ptheta.terminal.signals import Request, Requests, handled, name_of

PROGRAM = "ptheta.cli.job"  # the module that does a job
IN_USE, CANNOT_WRITE = 75, 74  # exit statuses of a job, as in sysexits.h
TICK = 0.1  # seconds between two looks at the jobs
CLOSING = 60.0  # seconds for jobs to end after another one has failed
ASKED_EVERY = 5.0  # the same on a cluster, seconds
REPLACED = ("%j", "%t", "%a", "%A")  # in the folder of submitit
SEVERAL = ("nodes", "tasks_per_node", "ntasks_per_node")  # options of submitit
MOST_SAID = 300  # characters of an error of submitit
SAID, WARNED = "ptheta: ", "ptheta: warning: "  # how lines of a job begin
Kind = Literal["trained", "failed", "elsewhere"]


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        model, data, recipe, options: As for `ptheta.train`.
        out: The run folder.
        log: The file that its output is appended to.
        plugins: Modules to import first.
    """

    model: str
    data: str
    out: str
    recipe: str
    options: Mapping[str, object]
    log: str
    plugins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return Path(self.out).name

    def line(self) -> bytes:
        """The description that the process reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Job:
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Outcome:
    """How a job ended: trained, failed, or not begun because another program is training the run.

    message: why, in one line
    """

    kind: Kind
    message: str = ""


@dataclass
class Process:
    """A job that runs. begin: where its output begins in the log"""

    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes] = field(repr=False)
    begin: int

    @classmethod
    def start(cls, job: Job, slot: int, at_once: int) -> Process:
        """slot: its number among those that run at once, which chooses its GPU and its share of the
        threads"""
        file = Path(job.log)
        make_folder(file.parent)
        with writing(file):
            log = file.open("ab")
        begin = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **_share(slot, at_once)},
            start_new_session=True,  # Ctrl-C reaches it once, from this process
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has failed, which its status says
            process.stdin.write(job.line())
            process.stdin.flush()
        return cls(job, process, log, begin)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask_to_end(self) -> None:
        """It writes a checkpoint and ends."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def outcome(self) -> Outcome:
        """How it ended. Raises CannotWrite if the disk is full, which no other job survives."""
        self.log.close()
        status = self.process.returncode
        if status == 0:
            return Outcome("trained")
        if status < 0:
            why = ", as happens if memory runs out" if status == -signal.SIGKILL else ""
            return Outcome("failed", f"it was ended by {name_of(-status)}{why}")
        said = _said(Path(self.job.log), self.begin)
        if status == CANNOT_WRITE:
            raise CannotWrite(said)
        return Outcome("elsewhere" if status == IN_USE else "failed", said)


def _share(slot: int, at_once: int) -> dict[str, str]:
    """Environment variables that give a job its share of the cores and of the GPUs, where the user
    has not divided them."""
    import torch

    share = {}
    if not threads.given() and at_once > 1:
        share[threads.VARIABLE] = str(max(1, threads.available() // at_once))
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    count = torch.cuda.device_count()
    if count and at_once > 1:
        every = devices.split(",") if devices else [str(i) for i in range(count)]
        share["CUDA_VISIBLE_DEVICES"] = every[slot % len(every)]
    return share


def _said(log: Path, begin: int) -> str:
    """The message of a job that failed: the last line of its log, but rather one with a message,
    since another program that trains the run writes to the same log."""
    try:
        with log.open("rb") as file:
            file.seek(max(begin, log.stat().st_size - 10_000))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log {log} cannot be read: {error.strerror}"
    lines = [line.strip().rpartition("\r")[2] for line in text.split("\n") if line.strip()]
    messages = [line for line in lines if line.startswith(SAID) and not line.startswith(WARNED)]
    return (messages or lines or ["it said nothing"])[-1].removeprefix(SAID)


def here(jobs: Sequence[Job], at_once: int) -> Iterator[tuple[Job, Outcome]]:
    """Does the jobs on this machine, `at_once` at a time; yields each with its outcome.

    After an ending signal, the jobs that run write their checkpoints; after a second one they are
    killed. Raises Interrupted then, and CannotWrite if a job cannot write.
    """
    waiting, running = deque(jobs), dict[int, Process]()
    requests, news = Requests(), deque[Request]()
    with handled(lambda number: news.append(requests.note(number))):
        try:
            while running or (waiting and requests.number is None):
                _fill(running, waiting if requests.number is None else deque(), at_once)
                _pass_on(news, running.values())
                ended = [running.pop(s) for s in list(running) if not running[s].alive]
                yield from (
                    (process.job, process.outcome())
                    for process in ended
                    if requests.number is None or process.process.returncode == 0
                )
                time.sleep(TICK)
        finally:
            _end(running.values())
    if requests.number is not None:
        raise Interrupted(
            f"stopped by {name_of(requests.number)}; the same command goes on", requests.number
        )


def _fill(running: dict[int, Process], waiting: deque[Job], at_once: int) -> None:
    """Starts jobs in the free slots."""
    free = sorted(set(range(at_once)) - running.keys())
    for slot in free[: len(waiting)]:
        running[slot] = Process.start(waiting.popleft(), slot, at_once)


def _pass_on(news: deque[Request], running: Collection[Process]) -> None:
    """The first signal asks the jobs to end, another one kills them."""
    told = {Request.FIRST: Process.ask_to_end, Request.AGAIN: Process.kill}
    while news:
        request = news.popleft()
        for process in running if request in told else ():
            told[request](process)


def _end(running: Collection[Process]) -> None:
    """Ends jobs after a failure, with time to write their checkpoints."""
    for process in running:
        process.ask_to_end()
    late = time.monotonic() + CLOSING
    for process in running:
        try:
            process.process.wait(max(0.0, late - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
        process.log.close()


# -- clusters


class Submitted(Protocol):
    """A job of submitit."""

    @property
    def job_id(self) -> str: ...

    def done(self) -> bool: ...

    def result(self) -> Outcome: ...


class OnNode:
    """What submitit calls on a node: the job as a process, as on this machine."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.running: Process | None = None

    def __call__(self) -> Outcome:
        parent = os.getppid()
        try:
            self.running = running = Process.start(self.job, 0, 1)
            # in a thread: `checkpoint` interrupts this one, and would wait for its lock
            waiting = threading.Thread(target=running.process.wait, daemon=True)
            waiting.start()
            while waiting.is_alive() and os.getppid() == parent:
                waiting.join(1)
            if waiting.is_alive():  # no job outlives the program that started it
                running.ask_to_end()
                waiting.join()
            return running.outcome()
        except (OSError, PthetaError) as error:
            return Outcome("failed", str(error))

    def checkpoint(self) -> object:
        """Before the node is taken away: the job writes its checkpoint, and is queued again."""
        if self.running is not None:
            self.running.ask_to_end()
            self.running.process.wait()
        return submitit().helpers.DelayedSubmission(OnNode(self.job))


def submitit() -> ModuleType:
    """The package. Raises PthetaError if it is not installed."""
    try:
        import submitit
    except ImportError:
        raise PthetaError("--cluster needs the extra: pip install 'ptheta[cluster]'") from None
    return submitit


def on_cluster(
    jobs: Sequence[Job], at_once: int, cluster: str, options: Mapping[str, object], folder: Path
) -> Iterator[tuple[Job, Outcome]]:
    """Submits the jobs to a cluster through submitit, `at_once` at a time; yields each with its
    outcome. Jobs go on if this process ends.

    Args:
        jobs: Trainings.
        at_once: How many run at the same time; a limit of the job array.
        cluster: "slurm", or "local" to try it on this machine.
        options: Parameters of submitit, such as `slurm_partition`.
        folder: For its scripts and logs.

    Raises:
        PthetaError: if submitit is not installed, or refuses
        Interrupted: after an ending signal; the jobs stay in the queue
    """
    package = submitit()
    _check(cluster, options, folder)
    with _refusing(cluster), _apart():
        executor = package.AutoExecutor(folder=folder, cluster=cluster)
        limit = {"slurm_array_parallelism": at_once} if executor.cluster == "slurm" else {}
        executor.update_parameters(name="ptheta", **limit, **options)
        waiting, queued = deque(jobs), deque[tuple[Job, Submitted]]()
        if limit:
            with executor.batch():
                queued += [(job, executor.submit(OnNode(job))) for job in jobs]
            waiting.clear()

    def submit() -> None:
        while waiting and len(queued) < at_once:
            with _refusing(cluster), _apart():
                queued.append((waiting[0], executor.submit(OnNode(waiting[0]))))
            waiting.popleft()

    yield from _awaited(queued, submit)


def _check(cluster: str, options: Mapping[str, object], folder: Path) -> None:
    """Raises PthetaError for what submitit would misunderstand."""
    if any(text in str(folder) for text in REPLACED):
        raise PthetaError(
            f"{folder}: submitit replaces {', '.join(REPLACED)} in paths: choose another --out"
        )
    for name, value in options.items():
        if name.removeprefix(f"{cluster}_") in SEVERAL and value != 1:
            raise PthetaError(
                f"{name} = {value}: each run of a sweep is one job of one task: leave it out, and "
                "give --processes for several processes of a run"
            )


@contextmanager
def _refusing(cluster: str) -> Iterator[None]:
    """Context in which a refusal of submitit is a PthetaError."""
    try:
        yield
    except PthetaError:
        raise
    except Exception as error:  # the library raises many kinds
        raise PthetaError(
            f"the jobs cannot be submitted to {cluster} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:MOST_SAID]}): check --cluster and --cluster-option"
        ) from error


@contextmanager
def _apart() -> Iterator[None]:
    """Context in which processes are started that go on after Ctrl-C or the end of the session,
    which reach every process of a terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _awaited(
    queued: deque[tuple[Job, Submitted]], submit: Callable[[], None]
) -> Iterator[tuple[Job, Outcome]]:
    """Each job with its outcome, in the order in which they end.

    submit: adds jobs that are still to be submitted, as far as possible
    """
    requests = Requests()
    with handled(requests.note):
        submit()
        while queued and requests.number is None:
            for pair in [pair for pair in queued if pair[1].done()]:
                queued.remove(pair)
                yield pair[0], _result(pair[1])
            if requests.number is None:
                submit()
            time.sleep(ASKED_EVERY if queued else 0)
    if requests.number is not None:
        ids = ", ".join(sorted({job.job_id for _, job in queued}))
        left = f"the jobs {ids} go on: the same command, once they have ended, collects their runs"
        raise Interrupted(
            f"stopped by {name_of(requests.number)}; "
            f"{left if queued else 'the same command goes on'}",
            requests.number,
        )


def _result(job: Submitted) -> Outcome:
    try:
        return job.result()
    except Exception as error:  # whatever ended the job
        kind = type(error).__name__
        return Outcome("failed", f"job {job.job_id}: {kind}: {_reason(str(error))}")


def _reason(text: str) -> str:
    """An error of submitit in one line: what comes before the output of the job, or the last line
    of a traceback between two lines of dashes."""
    before, *framed = re.split(r"^-{5,}$", text, flags=re.MULTILINE)
    lines = framed[0].strip().splitlines() if len(framed) == 2 else []
    return " ".join((lines[-1] if lines else before).split())[:MOST_SAID]
