"""Kills the server of a study by SIGKILL at random moments under load.

    python -m benchmarks.study_kills --kills 200 --out benchmarks/results/study_kills.json

The server runs in a fork of a process in which its libraries are loaded, so that it is up again
within milliseconds. After each kill the database is read by another process's connection: every
answer that was acknowledged must be there as it was sent, once, and nothing that nobody sent. The
people go on as the page does: a request without a reply is sent again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.forked import fork, wait
from benchmarks.study_people import Line, Lost, Odd, Someone, study
from ptheta.study import server
from ptheta.study.export import answers
from ptheta.study.guard import Doors
from ptheta.study.plan import read_plan


@dataclass
class Told:
    """What came of it."""

    kills: int = 0
    acknowledged: int = 0
    awaited: int = 0
    faults: list[str] = field(default_factory=list)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def up(folder: Path, port: int, doors: Doors) -> int:
    """A server in a process of its own, which accepts connections."""

    def call() -> int:
        server.serve(folder, "127.0.0.1", port, doors)
        return 0

    child = fork(call)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return child
        time.sleep(0.005)
    raise SystemExit("the server does not come up")


async def under_load(
    child: int, port: int, people: list[Someone], seconds: float, told: Told
) -> None:
    """The people take part until the server is killed after some seconds."""

    async def one(person: Someone) -> None:
        line = Line(port)
        try:
            await person.go_on(line, lambda: person.random.expovariate(1 / 0.01))
        except Lost:
            pass
        except Odd as error:
            told.faults.append(f"{person.name}: {error}")
        finally:
            line.close()

    tasks = [asyncio.create_task(one(person)) for person in people]
    await asyncio.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    await asyncio.gather(*tasks)


def check(folder: Path, everyone: list[Someone], told: Told) -> None:
    """Every acknowledged answer is stored as it was sent, and no other but one awaited."""
    stored: dict[str, dict[int, str]] = {}
    for row in answers(folder):
        of = stored.setdefault(row.participant, {})
        if row.trial in of:
            told.faults.append(f"{row.participant}: trial {row.trial} is stored twice")
        of[row.trial] = row.answer
    for person in everyone:
        there = stored.pop(person.name, {})
        awaited = {} if person.sent is None else {person.sent["trial"]: person.sent["answer"]}
        for trial, answer in person.stored.items():
            if there.get(trial) != answer:
                told.faults.append(f"{person.name}: answer {trial} is {there.get(trial)!r}")
        for trial, answer in there.items():
            if trial not in person.stored and awaited.get(trial) != answer:
                told.faults.append(f"{person.name}: nobody sent answer {trial}")
    if stored:
        told.faults.append(f"unknown people: {sorted(stored)[:3]}")


def kill_often(folder: Path, kills: int, people: int, seed: int, longest: float) -> Told:
    told, random, port = Told(), Random(seed), free_port()
    mark = read_plan(folder).mark
    doors = Doors(mark=mark)
    everyone = [Someone(f"p{i}", mark, Random(i)) for i in range(people)]
    active = list(everyone)
    for _ in range(kills):
        child = up(folder, port, doors)
        asyncio.run(under_load(child, port, active, random.uniform(0, longest), told))
        wait(child, 10)
        told.kills += 1
        told.awaited += sum(person.sent is not None for person in active)
        check(folder, everyone, told)
        for person in [person for person in active if person.done]:
            active.remove(person)
            fresh = Someone(f"p{len(everyone)}", mark, Random(len(everyone)))
            everyone.append(fresh)
            active.append(fresh)
    told.acknowledged = sum(len(person.stored) for person in everyone)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds before a kill, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = study(Path(place), 100, 32)
        told = kill_often(folder, options.kills, options.people, options.seed, options.longest)
    result: dict[str, Any] = {
        "kills": told.kills,
        "people": options.people,
        "acknowledged": told.acknowledged,
        "awaited_at_a_kill": told.awaited,
        "faults": len(told.faults),
        "first": told.faults[:5],
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
