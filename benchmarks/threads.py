"""Time to sample with one thread, with one for each core, and with as many as are chosen.

The three take turns, round by round, so that what else the machine does meets all alike. It is done
on the machine as it is, and again beside as many processes that only count as there are cores.

    python benchmarks/threads.py [--rounds 7] [--images 64] [--models vae gan]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

import ptheta
from ptheta import tasks
from ptheta.compute import threads
from ptheta.specs import ImageSpec
from ptheta.tasks.sample import sampling_threads

SPEC = ImageSpec(1, 28, 28, 2)
SAMPLED = ("pixelcnn", "made", "gan", "vae")


def count() -> None:
    """What keeps a core busy."""
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Inside, so many processes take turns with this one."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=count, daemon=True) for _ in range(processes)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def seconds(model: nn.Module, images: int, fixed: int | None) -> float:
    with nullcontext() if fixed is None else threads.fixed(fixed):
        start = time.perf_counter()
        tasks.sample(model, images)
        return time.perf_counter() - start


def measured(name: str, images: int, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, after one that does not count."""
    torch.manual_seed(0)
    model = ptheta.create(name, SPEC).eval()
    ways: dict[str, int | None] = {"one": 1, "all": threads.available(), "chosen": None}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for way, fixed in [*ways.items()] * (rounds + 1):
        times[way].append(seconds(model, images, fixed))
    found = {f"{way}_s": round(statistics.median(t[1:]), 4) for way, t in times.items()}
    return {**found, "threads_chosen": sampling_threads(model, images)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--models", nargs="+", default=list(SAMPLED))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/threads.json"))
    options = parser.parse_args()
    if threads.given():
        parser.error(f"{threads.VARIABLE} is set, so nothing is chosen: unset it")
    cores = threads.available()
    results: dict[str, Any] = {
        "images": options.images,
        "rounds": options.rounds,
        "cores": cores,
        "torch": str(torch.__version__),
        "load_before": round(os.getloadavg()[0], 2),
    }
    for machine, others in (("alone", 0), (f"beside {cores} busy processes", cores)):
        with busy(others):
            results[machine] = {}
            for name in options.models:
                results[machine][name] = row = measured(name, options.images, options.rounds)
                print(f"{machine}, {name}: {row}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
