"""One training that torchrun or srun started as several processes, on one or several machines.

Rank 0 holds the run folder: it plans, writes and reports. The others get the plan, and for a
resumed run copies of its files, from rank 0, so that the folder need not be shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

import ptheta
from ptheta.config import brief
from ptheta.data.names import record
from ptheta.errors import Interrupted, PthetaError
from ptheta.files.atomic import locked
from ptheta.files.paths import expand
from ptheta.runs.config_file import NAME, has_config
from ptheta.runs.folder import RECORD, Run
from ptheta.runs.plan import Plan, Written
from ptheta.runs.worker import work
from ptheta.terminal.signals import name_of
from ptheta.training.checkpoint import checkpoints
from ptheta.training.joining import Member, joined
from ptheta.training.launchers import SRUN, Place

if TYPE_CHECKING:
    from ptheta.api.training import Asked


def together(asked: Asked, out: str | Path, options: dict[str, object], place: Place) -> Run:
    """`train` in one of several processes. Raises as `train` does, in every process."""
    asked, options = _checked(asked, options, place)
    folder = expand(out)
    with ExitStack() as held, joined(place, _same_in_all(asked, options)) as member:
        asked = asked._replace(resume=asked.resume or member.met.attempt > 0)
        if member.first:
            _plan(member, asked, folder, options, held)
        values, started = cast(tuple[Written, bool], member.told("plan"))
        planned = _here(Plan.from_json(values), asked)
        group = member.group(planned.train)
        names = _files(folder) if member.first and started else []
        there = member.copied(folder, names) if started else folder
        given = asked.given()._replace(notes=_notes(member))
        stopped = work(group, planned.to_json(), str(there), started, asked.more_data, given)
        if stopped is not None:
            raise _interrupted(member, folder, stopped)
        return _run(member, folder)


def _checked(
    asked: Asked, options: dict[str, object], place: Place
) -> tuple[Asked, dict[str, object]]:
    """The arguments without the number of processes. Raises PthetaError for what only one process
    can do."""
    processes = options.get("processes")
    if processes not in (None, place.size):
        raise PthetaError(
            f"processes = {brief(processes)}, but {place.launcher} has started {place.size}: leave "
            "--processes out"
        )
    if asked.callbacks:
        raise PthetaError(
            f"callbacks work only in single-process training, and {place.launcher} has started "
            f"{place.size} processes: read metrics.jsonl"
        )
    return asked, {name: value for name, value in options.items() if name != "processes"}


def _same_in_all(asked: Asked, options: Mapping[str, object]) -> dict[str, str]:
    """What must be the same in all processes; paths may differ."""
    return {
        "ptheta": ptheta.__version__,
        "torch": torch.__version__,
        "the model": asked.model,
        "--recipe": asked.recipe,
        "--resume": str(asked.resume),
        "--more-data": str(asked.more_data),
        **{f"--{n.replace('_', '-')}": brief(value) for n, value in sorted(options.items())},
    }


def _plan(
    member: Member, asked: Asked, folder: Path, options: dict[str, object], held: ExitStack
) -> None:
    """Rank 0: locks the folder, and gives the plan to all."""
    from ptheta.api.training import checked_out, planned, what_is_left

    folder = checked_out(folder)
    held.enter_context(locked(folder, "training"))
    started = has_config(folder)
    member.left = partial(what_is_left, folder)
    new = planned(asked, folder, options)
    new = replace(new, train=replace(new.train, processes=1))  # those of each command
    member.tell("plan", (new.to_json(), started))


def _here(plan: Plan, asked: Asked) -> Plan:
    """The plan with the location of the data on this machine."""
    data = asked.data
    return replace(plan, source=record(data)) if isinstance(data, str | Path) else plan


def _files(folder: Path) -> list[str]:
    """The files that the others need to resume a run."""
    kept = [folder / NAME, folder / RECORD]
    kept += [file for state in checkpoints(folder / "state") for file in sorted(state.iterdir())]
    return [str(file.relative_to(folder)) for file in kept if file.is_file()]


def _notes(member: Member) -> tuple[str, ...]:
    """What was taken from the launcher."""
    place, cards = member.place, member.met.cards
    machines = len({card.host for card in cards})
    where = f" (port {place.port})" if place.launcher == SRUN else ""
    again = f", attempt {member.met.attempt + 1}" if member.met.attempt else ""
    return (
        f"{place.launcher} has started {place.size} processes on {machines} "
        f"machine{'s' * (machines > 1)} for this run{again}; rank 0 is on {cards[0].host}, at "
        f"{place.address}{where}",
    )


def _interrupted(member: Member, folder: Path, number: int) -> Interrupted:
    """The error after a checkpoint at a signal; rank 0 alone has text to print."""
    from ptheta.api.training import what_is_left

    member.watch.leave()
    if not member.first:
        return Interrupted("", number)
    return Interrupted(f"stopped by {name_of(number)}; {what_is_left(folder)}", number)


def _run(member: Member, folder: Path) -> Run:
    """The finished run; where the folder is not shared, its description only."""
    if member.first:
        member.tell("config", (folder / NAME).read_text(encoding="utf-8"))
        return Run.open(folder)
    member.shadow.mkdir(exist_ok=True)
    (member.shadow / NAME).write_text(str(member.told("config")), encoding="utf-8")
    return replace(Run.open(member.shadow), path=folder)
