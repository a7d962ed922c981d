"""One process of a run that a launcher started on one or several machines: see `Member`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import distributed
from torch.distributed import PrefixStore

from ptheta.errors import Interrupted, PthetaError
from ptheta.files.atomic import make_folder, temporary, tidy, writing
from ptheta.terminal.signals import Stopped, handled
from ptheta.training.group import Group
from ptheta.training.launchers import Place, timeout
from ptheta.training.meeting import ROOT, Met, connect, interface, listed, meet
from ptheta.training.processes import DEVICES, PATIENCE, chosen, device_of
from ptheta.training.settings import TrainSettings
from ptheta.training.watch import FAULT, Cause, Watch

INTERFACE = "GLOO_SOCKET_IFNAME"
CHUNK = 2**26  # bytes of a file in one message
PREFERRED = 1.0  # seconds that the others wait for rank 0 to report the error that all have


@dataclass
class Member:
    """This process among those of the run.

    shadow: a temporary folder for what rank 0 sends of the run folder, which need not be shared
    left: of rank 0: how the run can be continued if another process is lost
    """

    place: Place
    met: Met
    watch: Watch
    shadow: Path
    seconds: float
    opened: list[Group] = field(default_factory=list)
    left: Callable[[], str] | None = None

    @property
    def first(self) -> bool:
        return self.place.first

    def tell(self, name: str, value: object) -> None:
        """Rank 0 gives the others a value, JSON-compatible."""
        self.met.store.set(f"told/{name}", json.dumps(value))

    def told(self, name: str) -> object:
        """The value that rank 0 gives. Raises Ended if it fails before."""
        return json.loads(self.watch.wait(f"told/{name}"))

    def same(self, name: str, value: str) -> None:
        """Waits for all. Raises PthetaError, in every process, if a value is not the same."""
        if not self.first:
            self.met.store.set(f"{name}/{self.place.rank}", value)
            self.told(name)
            return
        keys = {rank: f"{name}/{rank}" for rank in range(1, self.place.size)}
        found = {rank: self.watch.wait(key).decode() for rank, key in keys.items()}
        if other := [rank for rank, text in found.items() if text != value]:
            there = self.met.cards[other[0]].host
            raise PthetaError(
                f"{listed(other)} on {there}: {name} is {found[other[0]]}, and {value} in rank 0: "
                "all processes need the same"
            )
        self.tell(name, "")

    def group(self, settings: TrainSettings) -> Group:
        """Connects all processes on the devices of the settings."""
        place = self.place
        device, half = chosen(settings)
        self.same("the device", f"{device}, {half or torch.float32}".replace("torch.", ""))
        kind, count = DEVICES[device], DEVICES[device].most()
        if kind.own and count is not None and place.local_size > max(1, count) > 1:
            raise PthetaError(
                f"{place.launcher} has started {place.local_size} processes on a machine with "
                f"{count} devices {device!r}: start one process per device"
            )
        # a launcher may show each process only its own device
        here = device_of(device, place.local % max(1, count or 1))
        if kind.own:
            torch.cuda.set_device(here)
        distributed.init_process_group(
            f"cpu:gloo,{device}:{kind.backend}" if kind.own else kind.backend,
            store=PrefixStore("group", self.met.store),
            rank=place.rank,
            world_size=place.size,
            timeout=PATIENCE,  # `Watch` detects processes that are lost
        )
        found = Group(here, place.rank, place.size, half, place.local_size)
        self.opened.append(found)
        return found

    def copied(self, folder: Path, names: Sequence[str]) -> Path:
        """Rank 0 sends these files of a folder to the others.

        Returns the folder itself in rank 0, and the one with the copies in the others.
        """
        if self.first:
            self.tell("files", [(name, (folder / name).stat().st_size) for name in names])
            for name in names:
                self._send(folder / name)
            return folder
        told = self.told("files")
        assert isinstance(told, list)
        for name, size in told:
            self._receive(self.shadow / name, int(size))
        return self.shadow

    def close(self) -> None:
        """Leaves the groups of processes that were opened."""
        if self.opened:
            with suppress(RuntimeError, ValueError):
                distributed.destroy_process_group()

    def _send(self, path: Path) -> None:
        with path.open("rb") as file:
            while data := file.read(CHUNK):
                chunk = torch.frombuffer(bytearray(data), dtype=torch.uint8)
                distributed.broadcast(chunk, src=0)

    def _receive(self, path: Path, size: int) -> None:
        if self.shadow not in path.resolve().parents:
            raise PthetaError(f"rank 0 sent a file named {path.name!r}, which is no place in a run")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for start in range(0, size, CHUNK):
                    chunk = torch.empty(min(CHUNK, size - start), dtype=torch.uint8)
                    distributed.broadcast(chunk, src=0)
                    file.write(chunk.numpy().tobytes())


@contextmanager
def joined(place: Place, run: Mapping[str, str]) -> Iterator[Member]:
    """Context in which this process takes part in a run with others.

    run: what must be the same in all processes, by name
    Raises PthetaError if the others are not there or differ, and if one of them fails; Interrupted
    if a signal ended one of them.
    """
    seconds = timeout(os.environ)
    with _interface(place):
        met = meet(place, run, seconds)
        # a connection of its own, since each serves one thread at a time
        own = PrefixStore(met.name, PrefixStore(ROOT, connect(place, seconds)))
        base = Path(tempfile.gettempdir()).resolve()
        tidy(base)
        shadow = temporary(base)

        def clean() -> None:
            shutil.rmtree(shadow, ignore_errors=True)

        watch = Watch(met, own, place.rank, seconds, clean)
        member = Member(place, met, watch, shadow, seconds)
        try:
            if not place.first:
                make_folder(shadow)
            with nullcontext() if place.first else _silent():
                yield member
                watch.leave()
        except BaseException as error:
            with handled(lambda _: None):  # launchers send a signal to those that are left
                end = _end_of(member, error)
            raise end from None
        finally:
            clean()
            member.close()


def _end_of(member: Member, error: BaseException) -> BaseException:
    """Tells the others why this process ends; returns the error to raise, which is that of the
    process that failed first."""
    watch, known = member.watch, isinstance(error, PthetaError | Stopped)
    wait = 3 * member.seconds if not known else 0.0 if member.first else PREFERRED
    unforeseen = isinstance(error, RuntimeError | OSError)
    cause = watch.explanation(min(wait, 15.0) if known or unforeseen else PREFERRED)
    if cause is not None and cause.rank != member.place.rank:
        return _error_of(cause, member)
    if isinstance(error, Stopped | Interrupted):
        text, status = str(error), 128 + error.number
    elif isinstance(error, PthetaError):
        text, status = str(error).replace(str(member.shadow), "the run folder"), FAULT
        error.args = (text, *error.args[1:])
    else:
        text, status = f"{type(error).__name__}: {error}", FAULT
    watch.fail(text, status)
    return error


def _error_of(cause: Cause, member: Member) -> PthetaError:
    if cause.status > 128:
        return Interrupted(cause.text if member.first else "", cause.status - 128)
    if cause.rank is None and member.left is not None:
        return PthetaError(f"{cause.text}; {member.left()}")
    return PthetaError(cause.text)


@contextmanager
def _silent() -> Iterator[None]:
    """Context without warnings, which rank 0 gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextmanager
def _interface(place: Place) -> Iterator[None]:
    """Context in which gloo uses the interface that reaches rank 0, unless the user chose one."""
    found = None if INTERFACE in os.environ else interface(place.address, place.port)
    if found is None:
        yield
        return
    os.environ[INTERFACE] = found
    try:
        yield
    finally:
        os.environ.pop(INTERFACE, None)
