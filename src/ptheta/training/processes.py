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

from ptheta.errors import PthetaError, unknown
from ptheta.training.group import Group
from ptheta.training.launchers import started_by
from ptheta.training.ranks import spread
from ptheta.training.settings import TrainSettings

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
COMPILERS = ("g++", "clang++")


@dataclass(frozen=True)
class Device:
    """A kind of device.

    most: maximum number of processes, or None for any
    own: whether each process has its own device; backend: communication backend
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
AUTO = "auto"
CHOICES = (AUTO, *DEVICES)
AUTOMATIC = ("cuda", "cpu")  # the first available one; mps has no float64 and must be requested
HERE = "127.0.0.1"
# The other processes wait while the first one evaluates; dead processes are detected without a
# timeout.
PATIENCE = timedelta(days=7)


def launch(settings: TrainSettings, work: Callable[[Group, *Ts], T], *args: *Ts) -> T:
    """Calls work(group, *args) in each process; returns the result of the first one.

    The number of processes is taken from the settings, never from variables of a job or launcher.
    With several, `args` and the result are pickled.
    Raises PthetaError if the device or the number of processes is not available; Interrupted if a
    signal ended one of several processes before its work was done.
    """
    _heed(os.environ, settings.processes)
    device, half = chosen(settings)
    if settings.processes > 1:
        return _several(settings.processes, device, half, work, args)
    return work(Group(device_of(device, 0), half=half), *args)


def chosen(settings: TrainSettings) -> tuple[str, torch.dtype | None]:
    """(device name, autocast dtype or None). Raises PthetaError if they are not available."""
    device = device_name(settings)
    if settings.compile and device == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise PthetaError(
            f"--compile needs a C++ compiler ({' or '.join(COMPILERS)}) on the PATH: "
            "install one, or drop --compile"
        )
    return device, _half(settings, device)


def _heed(environment: Mapping[str, str], processes: int) -> None:
    """Refuses several processes in each of several tasks; warns that the tasks train separately."""
    found = started_by(environment)
    if found is None:
        return
    launcher, tasks = found
    text = f"{launcher.name} has started this command {tasks} times, and each"
    once = f"start it once ({launcher.command}) with --processes"
    if processes > 1:
        raise PthetaError(f"{text} would start {processes} processes of its own: {once}")
    if environment.get(launcher.rank, "0") == "0":
        warnings.warn(f"{text} trains separately: for one training, {once} {tasks}", stacklevel=3)


def _half(settings: TrainSettings, device: str) -> torch.dtype | None:
    """The autocast dtype, or None."""
    dtypes = {
        "bf16-mixed": torch.bfloat16,
        "fp16-mixed": torch.float16,
        "auto": torch.bfloat16 if DEVICES[device].has_bfloat16() else None,
        "32-true": None,
    }
    return dtypes[settings.precision]


def device_name(settings: TrainSettings) -> str:
    """The device name. Raises PthetaError if it is not available, or not for so many processes."""
    name = available(settings.device)
    most = DEVICES[name].most()
    if most is not None and settings.processes > most:
        raise PthetaError(
            f"processes = {settings.processes}, but there are {most} devices {name!r}: use at "
            "most one process per device"
        )
    return name


def available(name: str) -> str:
    """The name of a device, also for "auto". Raises PthetaError if it is not available."""
    if name not in CHOICES:
        raise unknown("device", name, CHOICES)
    there = [name for name, device in DEVICES.items() if device.available()]
    if name == AUTO:
        return next(n for n in AUTOMATIC if n in there)
    if name not in there:
        raise PthetaError(
            f"device {name!r} is not available here: choose from {', '.join(sorted(there))}"
        )
    return name


def chosen_device(name: str) -> torch.device:
    """The device of one process. Raises PthetaError if it is unknown or not available."""
    return device_of(available(name), 0)


def check_alone(device: torch.device, processes: int) -> None:
    """Raises PthetaError for several processes of other work than training on a GPU."""
    if device.type != "cpu" and processes > 1:
        raise PthetaError(
            f"processes = {processes} with device {device.type!r}: several processes share work on "
            "the CPU only; use one process, or device cpu"
        )


def device_of(device: str, rank: int) -> torch.device:
    return torch.device(device, rank) if DEVICES[device].own else torch.device(device)


# -- several processes


@dataclass(frozen=True)
class _Meeting(Generic[T]):
    """What each process needs to join the others. port: of the rendezvous store

    work: (function, arguments), pickled as bytes, so that no tensor uses shared memory, which is
        scarce in containers
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
            f"the training data cannot be pickled for other processes ({error}): use classes and "
            "functions of a module, or train with one process"
        ) from None
    # bound here, so that no other program can take the port
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
    """One of several processes: joins the others and does its share."""
    torch.use_deterministic_algorithms(meeting.deterministic, warn_only=meeting.warn_only)
    names = {name for _, name in socket.if_nameindex()}
    for loopback in names & {
        "lo",
        "lo0",
    }:  # all processes are on this machine, whatever its name resolves to
        os.environ["GLOO_SOCKET_IFNAME"] = loopback
    kind, device = DEVICES[meeting.device], device_of(meeting.device, rank)
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
    # trusted bytes from the parent process: see `_Meeting`
    work, args = pickle.loads(meeting.work)
    result: T = work(Group(device, rank, meeting.size, meeting.half, local=meeting.size), *args)
    distributed.destroy_process_group()
    return result
