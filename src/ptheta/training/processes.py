"""Devices, precision and several processes (see docs/distributed.md)."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar, TypeVarTuple

import torch
from torch import distributed

from ptheta.errors import PthetaError
from ptheta.training.group import Group
from ptheta.training.ranks import spread
from ptheta.training.settings import TrainSettings

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
COMPILERS = ("g++", "clang++")


@dataclass(frozen=True)
class Device:
    """A kind of device.

    most: processes that share a training on it, or None for any number
    own: whether each process has one of its own; backend: how they talk
    """

    available: Callable[[], bool]
    has_bfloat16: Callable[[], bool] = lambda: False
    most: Callable[[], int | None] = lambda: None
    own: bool = False
    backend: str = "gloo"


DEVICES: dict[str, Device] = {
    "cuda": Device(
        lambda: torch.cuda.is_available(),
        lambda: torch.cuda.is_bf16_supported(),
        lambda: torch.cuda.device_count(),
        own=True,
        backend="nccl",
    ),
    "mps": Device(lambda: torch.backends.mps.is_available(), most=lambda: 1),
    "cpu": Device(lambda: True),
}
AUTOMATIC = ("cuda", "cpu")  # the first that is there; mps has no float64, and is to be asked for
HERE = "127.0.0.1"
# The others wait as long as the first one evaluates; one that has died is noticed without a clock.
PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Launcher:
    """A program that starts a command several times, known by its variables.

    command: how it starts the command once; tasks, rank: its variables; mark: one that is there
        only in what it started itself, where `tasks` may be left over from elsewhere
    """

    name: str
    command: str
    tasks: str
    rank: str
    mark: str


LAUNCHERS = (
    Launcher("srun", "srun --ntasks=1", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_ID"),
    Launcher("torchrun", "python -m ptheta.cli", "WORLD_SIZE", "RANK", "TORCHELASTIC_RUN_ID"),
    Launcher(
        "mpirun",
        "mpirun -n 1",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
    ),
    Launcher("mpirun", "mpirun -n 1", "PMI_SIZE", "PMI_RANK", "PMI_SIZE"),
    Launcher(
        "jsrun", "jsrun -n 1", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"
    ),
)


def launch(settings: TrainSettings, work: Callable[[Group, *Ts], T], *args: *Ts) -> T:
    """Calls work(group, *args) in each of the processes; returns what the first one returns.

    No variable of a job or of another launcher says how many there are: the settings do. With
    several, `args` and the result are pickled.
    Raises PthetaError where the device or the number of processes cannot be had; Interrupted where
    a signal ended one of several processes before its work was done.
    """
    device = device_name(settings)
    if settings.compile and device == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise PthetaError(
            f"--compile needs a C++ compiler ({' or '.join(COMPILERS)}) on the PATH: "
            "install one, or drop --compile"
        )
    _heed(os.environ, settings.processes)
    half = _half(settings, device)
    if settings.processes > 1:
        return _several(settings.processes, device, half, work, args)
    return work(Group(_place(device, 0), half=half), *args)


def started_by(environment: Mapping[str, str]) -> tuple[Launcher, int] | None:
    """(the launcher that started this command several times, how often), or None."""
    for launcher in LAUNCHERS:
        tasks = environment.get(launcher.tasks, "")
        if launcher.mark in environment and tasks.isdecimal() and int(tasks) > 1:
            return launcher, int(tasks)
    return None


def _heed(environment: Mapping[str, str], processes: int) -> None:
    """Refuses several processes in each of several tasks; says that the tasks train apart."""
    found = started_by(environment)
    if found is None:
        return
    launcher, tasks = found
    text = f"{launcher.name} has started this command {tasks} times, and each"
    once = f"start it once ({launcher.command}) with --processes"
    if processes > 1:
        raise PthetaError(f"{text} would start {processes} processes of its own: {once}")
    if environment.get(launcher.rank, "0") == "0":
        warnings.warn(f"{text} trains by itself: for one training, {once} {tasks}", stacklevel=3)


def _half(settings: TrainSettings, device: str) -> torch.dtype | None:
    """What autocast computes in, or None."""
    mixed = {
        "bf16-mixed": True,
        "auto": DEVICES[device].has_bfloat16(),
        "32-true": False,
    }
    return torch.bfloat16 if mixed[settings.precision] else None


def device_name(settings: TrainSettings) -> str:
    """Raises PthetaError where the device is not there, or not for so many processes."""
    there = [name for name, device in DEVICES.items() if device.available()]
    name = next((n for n in AUTOMATIC if n in there), "cpu")
    name = settings.device if settings.device in DEVICES else name
    if name not in there:
        raise PthetaError(
            f"device {name!r} is not available here: choose from {', '.join(sorted(there))}"
        )
    most = DEVICES[name].most()
    if most is not None and settings.processes > most:
        raise PthetaError(
            f"processes = {settings.processes}, and device {name!r} is there {most} times: use at "
            "most one process for each"
        )
    return name


def _place(device: str, rank: int) -> torch.device:
    return torch.device(device, rank) if DEVICES[device].own else torch.device(device)


# -- several processes


@dataclass(frozen=True)
class _Meeting(Generic[T]):
    """What each process needs to join the others. port: of the store through which they meet

    work: (function, arguments), pickled as plain bytes: no tensor goes through shared memory, of
        which containers have little
    """

    size: int
    port: int
    device: str
    half: torch.dtype | None
    deterministic: bool
    warn_only: bool
    work: bytes


def _several(
    size: int,
    device: str,
    half: torch.dtype | None,
    work: Callable[[Group, *Ts], T],
    args: tuple[*Ts],
) -> T:
    """`launch` on several processes."""
    try:
        pickled = pickle.dumps((work, args))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise PthetaError(
            f"what is to be trained on cannot be sent to other processes ({error}): use classes "
            "and functions of a module, or train with one process"
        ) from None
    # bound here, so that no port is chosen that another program has or takes
    server = socket.create_server((HERE, 0))
    port = server.getsockname()[1]
    store = distributed.TCPStore(
        *(HERE, port, None, True, PATIENCE),
        wait_for_workers=False,
        master_listen_fd=server.detach(),
    )
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    meeting = _Meeting[T](size, store.port, device, half, strict, lenient, pickled)
    return spread(_join, (meeting,), size)


def _join(rank: int, meeting: _Meeting[T]) -> T:
    """One of several processes: meets the others and does its share."""
    torch.use_deterministic_algorithms(meeting.deterministic, warn_only=meeting.warn_only)
    names = {name for _, name in socket.if_nameindex()}
    for loopback in names & {"lo", "lo0"}:  # all are on this machine, whatever its name resolves to
        os.environ["GLOO_SOCKET_IFNAME"] = loopback
    kind, device = DEVICES[meeting.device], _place(meeting.device, rank)
    if kind.own:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        kind.backend,
        store=distributed.TCPStore(
            HERE, meeting.port, None, False, PATIENCE, wait_for_workers=False
        ),
        rank=rank,
        world_size=meeting.size,
        timeout=PATIENCE,
        device_id=device if kind.own else None,
    )
    # bytes that the process which started this one has just made, in its memory: see `_Meeting`
    work, args = pickle.loads(meeting.work)
    result: T = work(Group(device, rank, meeting.size, meeting.half), *args)
    distributed.destroy_process_group()
    return result
