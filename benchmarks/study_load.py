"""Many people at once: how long a request to the server of a study takes.

    python -m benchmarks.study_load --people 50 --seconds 60 --out FILE.json

The server runs as a process of its own, as users start it. Each person fetches an image, waits for
a random time around `--pause`, and answers; who has finished is followed by a new person. Every
answer that was acknowledged is then looked for in the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.study_people import Line, Lost, Odd, Someone, study
from ptheta.study.export import answers
from ptheta.study.plan import read_plan


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A server as a command; gives its port."""
    words = [sys.executable, "-m", "ptheta.cli", "study", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r":(\d+)/", server.stdout.readline())
        assert found is not None
        yield int(found[1])
        server.terminate()


async def load(port: int, mark: str, people: int, seconds: float, pause: float) -> list[Any]:
    """The people, the lines that they used and what went wrong."""
    taken, everyone, lines = count(), list[Someone](), list[Line]()
    faults = list[str]()

    async def one(number: int) -> None:
        random, line = Random(number), Line(port)
        lines.append(line)
        await asyncio.sleep(random.uniform(0, min(pause, seconds / 4)))
        while True:
            person = Someone(f"p{next(taken)}", mark, random)
            everyone.append(person)
            try:
                await person.go_on(line, lambda: random.expovariate(1 / pause) if pause else 0.0)
            except (Lost, Odd) as error:
                faults.append(str(error))
                return

    tasks = [asyncio.create_task(one(i)) for i in range(people)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return [everyone, lines, faults]


def summary(lines: list[Line]) -> dict[str, Any]:
    """Milliseconds of the requests, by path and of all."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for path, took in line.took.items():
            found.setdefault(path, []).extend(took)
    found["all"] = [one for took in found.values() for one in took]
    return {
        path: {
            "requests": len(took),
            **{f"p{p}": round(1000 * float(np.percentile(took, p)), 1) for p in (50, 95, 99, 100)},
        }
        for path, took in found.items()
        if took
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds before an answer")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--size", type=int, default=256, help="side of the images, pixels")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = study(Path(place), options.trials, options.size)
        mark = read_plan(folder).mark
        with served(folder) as port:
            everyone, lines, faults = asyncio.run(
                load(port, mark, options.people, options.seconds, options.pause)
            )
        stored = {(row.participant, row.trial): row.answer for row in answers(folder)}
    told = [(one.name, trial, answer) for one in everyone for trial, answer in one.stored.items()]
    result = {
        "people": options.people,
        "seconds": options.seconds,
        "pause_s": options.pause,
        "image": f"{options.size}x{options.size}",
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "errors": len(faults),
        "first_errors": faults[:3],
        "acknowledged": len(told),
        "lost": sum(stored.get((name, trial)) != answer for name, trial, answer in told),
        "ms": summary(lines),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
