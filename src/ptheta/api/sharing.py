"""Work on a run, or on data, that several processes share: `--processes`, torchrun and srun.

The first process, or the only one, leads: it does what is not shared, writes and prints. The others
follow it (see `ptheta.compute.parts`), and write and print nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

import torch

import ptheta
from ptheta.api.on_device import device_of_run
from ptheta.api.plugging import for_processes
from ptheta.compute.parts import Team, shared_with
from ptheta.compute.precise import without_tf32
from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.training import launchers
from ptheta.training.group import CPU
from ptheta.training.helpers import Gathering, helped
from ptheta.training.joining import Member, joined
from ptheta.training.launchers import Place
from ptheta.training.processes import check_alone
from ptheta.training.settings import TrainSettings

T = TypeVar("T", covariant=True)
OF_TRAINING = ("state", "samples")  # folders of a run that only its training reads


class Job(Protocol[T]):
    """Work that is shared. It is pickled for helpers."""

    def same(self) -> Mapping[str, object]:
        """Options that must be the same in all processes, by name."""

    def lead(self, team: Team | None) -> T:
        """In the first process, or the only one (None)."""

    def follow(self, team: Team) -> T:
        """In the others. The result is of use in processes that a launcher has started."""


class RunJob(Protocol[T]):
    """The same with a run."""

    def same(self) -> Mapping[str, object]: ...

    def lead(self, run: Run, team: Team | None) -> T: ...

    def follow(self, run: Run, team: Team) -> T: ...


def shared(job: Job[T], processes: int | None, device: torch.device = CPU) -> T:
    """The result of a job of this number of processes; None for those that a launcher has started,
    else one.

    device: of the job; only on the CPU can several processes share it
    Raises PthetaError if one of them did, or they are not alike; Interrupted if a signal ended one.
    """
    place, many = _asked(processes)
    check_alone(device, many)
    if place is None:
        with helped(many, _follow, (job,)) as helpers, without_tf32(device):
            return job.lead(helpers)
    with _of_launcher(place, job.same()) as (member, team), without_tf32(device):
        return job.lead(team) if member.first else job.follow(team)


def shared_run(
    job: RunJob[T],
    run: str | Path | Run,
    weights: str | None,
    processes: int | None,
    device: str | None = None,
) -> T:
    """As `shared`, of a run, which need not be in a folder that all machines share.

    weights, device: as for `Run.open`
    """
    (place, many), where = _asked(processes), device_of_run(run, device)
    check_alone(where, many)
    if place is None:
        opened = Run.open(run, weights, device)
        bring = for_processes(opened.plan, many)
        theirs = (job, str(opened.path), opened.weights, bring)
        with helped(many, _follow_run, theirs) as helpers, without_tf32(where):
            return job.lead(opened, helpers)
    with _of_launcher(place, job.same()) as (member, team), without_tf32(where):
        opened = _everywhere(member, run, weights, device)
        return job.lead(opened, team) if member.first else job.follow(opened, team)


def _follow(team: Team, job: Job[object]) -> None:
    job.follow(team)


def _follow_run(
    team: Team, job: RunJob[object], run: str, weights: str, bring: Callable[[], None] | None
) -> None:
    if bring is not None:
        bring()
    job.follow(Run.open(run, weights), team)


def _asked(processes: int | None) -> tuple[Place | None, int]:
    """The place among the processes of a launcher that share the job; without, their number."""
    place = launchers.here()
    if place is None or processes == 1:
        return None, 1 if processes is None else processes
    if processes not in (None, place.size):
        raise PthetaError(
            f"processes = {processes}, but {place.launcher} has started {place.size}: leave "
            "--processes out"
        )
    return place, place.size


@contextmanager
def _of_launcher(place: Place, same: Mapping[str, object]) -> Iterator[tuple[Member, Gathering]]:
    """Context in which this process is one of those that a launcher has started. Raises as `shared`
    does."""
    alike = {"ptheta": ptheta.__version__, "torch": str(torch.__version__)}
    options = {f"--{name.replace('_', '-')}": brief(value) for name, value in same.items()}
    with joined(place, alike | options) as member:
        team = Gathering(member.group(TrainSettings(steps=1, device="cpu")))
        with shared_with(team) if member.first else nullcontext():
            yield member, team


def _everywhere(
    member: Member, run: str | Path | Run, weights: str | None, device: str | None
) -> Run:
    """The run; in processes other than the first a copy, which exists while they take part."""
    if not member.first:
        return Run.open(member.copied(Path(), ()), weights)
    opened = Run.open(run, weights, device)
    member.copied(opened.path, _files(opened.path))
    return opened


def _files(folder: Path) -> list[str]:
    """The files of a run that its use needs."""
    files = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [str(file) for file in files if not set(OF_TRAINING) & set(file.parts)]
