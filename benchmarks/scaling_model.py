"""A model of training on 8, 64 and 512 GPUs: what a step takes, from published speeds of links.

    python -m benchmarks.scaling_model [--steps FILE.json]

This is a model, not a measurement of a cluster. A step of R processes takes

    local work of a process + the time of every message,

which adds up: the gradients of a move are averaged in one message after its backward pass, so no
communication is hidden behind it. The local work was measured on one device, by `benchmarks.scaling
--only local`; messages are all-reduces, whose times follow from latency and bandwidth (Thakur et
al. 2005, doi:10.1177/1094342005051521). Processes are taken as equally fast, and the network as
free of other traffic.

The file of steps:

    {"device": "...", "batch": 32, "total": 1024,
     "games": {NAME: {"parameters": ..., "options": {...},
                      "rows": [{"processes": 8, "batch": 32, "seconds": 0.01,
                                "messages": [[BYTES, MESSAGES PER STEP], ...]}, ...]}}}

`batch` of a row is that of one process. Rows of one process (without messages) are needed; where a
number of processes has no rows, those of one process and the messages of the largest number with
rows are taken. Between batches the seconds are interpolated, below the smallest they are those of
the smallest, above the largest they grow in proportion.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
SIZES = (8, 64, 512)
GPUS = 8  # in a machine


# -- messages


@dataclass(frozen=True)
class Cost:
    """Seconds of an all-reduce: what does not depend on its size, and the rest."""

    latency: float
    transfer: float

    @property
    def seconds(self) -> float:
        return self.latency + self.transfer

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.latency + other.latency, self.transfer + other.transfer)

    def times(self, count: float) -> Cost:
        return Cost(count * self.latency, count * self.transfer)


NOTHING = Cost(0.0, 0.0)


@dataclass(frozen=True)
class Link:
    """A connection. published: bytes/s in one direction by its specification; reached: by an
    all-reduce, as measured by others ("bus bandwidth" of nccl-tests)

    ring, tree: seconds of a step of these algorithms; sources: of the numbers
    """

    name: str
    published: float
    reached: float
    ring: float
    tree: float
    sources: tuple[str, ...] = ()

    def by_ring(self, size: float, processes: int) -> Cost:
        """2 (R - 1) steps, in each of which 1 / R of the message is sent."""
        steps = 2 * (processes - 1)
        return Cost(steps * self.ring, steps / processes * size / self.reached)

    def by_tree(self, size: float, processes: int) -> Cost:
        """Up and down two binary trees, which send half of the message each (Sanders et al. 2009,
        doi:10.1016/j.parco.2009.09.001)."""
        if processes == 1:
            return NOTHING
        depth = math.ceil(math.log2(processes))
        return Cost(2 * depth * self.tree, 2 * size / self.reached)

    def all_reduce(self, size: float, processes: int) -> Cost:
        """The shorter of the two."""
        return min(self.by_ring(size, processes), self.by_tree(size, processes), key=_seconds)

    def shared_by(self, processes: float) -> Link:
        """A link that so many use at the same time."""
        share = self.reached / processes
        return Link(self.name, self.published / processes, share, self.ring, self.tree)


def _seconds(cost: Cost) -> float:
    return cost.seconds


@dataclass(frozen=True)
class Cluster:
    """Machines of GPUs. inside, across: links in and between machines; ports: of a machine

    start: seconds that every all-reduce takes in addition
    """

    name: str
    inside: Link
    across: Link
    ports: int
    start: float

    def all_reduce(self, size: float, processes: int) -> Cost:
        """In the machine, between machines (each GPU with its part), and in the machine again."""
        if processes == 1:
            return NOTHING
        here, machines = min(processes, GPUS), -(-processes // GPUS)
        port = self.across.shared_by(GPUS / self.ports)
        within = self.inside.by_ring(size, here)
        return Cost(self.start, 0.0) + within + port.all_reduce(size / here, machines)


NCCL = "https://github.com/NVIDIA/nccl"
TESTS = "https://github.com/NVIDIA/nccl-tests"
TUNING = f"latencies: {NCCL}/blob/b6475625fbcaa2c3c0e50eed2fa1255d7514d4a2/src/graph/tuning.cc"
LAUNCH = 14e-6  # seconds; `baseLat` of the protocol LL128 in the same file

# Latencies are those of LL128, the protocol of NCCL for messages of this size.
NVLINK = Link(
    "NVLink 4",
    published=450e9,
    reached=370e9,
    ring=1.9e-6,
    tree=1.25e-6,
    sources=(
        "900 GB/s in both directions: NVIDIA H100 data sheet",
        f"reached: {NCCL}/issues/1455, {TESTS}/issues/212",
        TUNING,
    ),
)
PCIE = Link(
    "PCIe 5.0 x16",
    published=63e9,
    reached=28e9,
    ring=2.5e-6,
    tree=1.9e-6,
    sources=(
        "32 GT/s, 16 lanes, 128b/130b: PCI Express Base Specification 5.0",
        f"reached by 8 GPUs: {NCCL}/issues/1639",
        TUNING,
    ),
)
NDR = Link(
    "InfiniBand NDR",
    published=50e9,
    reached=47e9,
    ring=4.0e-6,
    tree=8.5e-6,
    sources=(
        "400 Gb/s a port: NVIDIA ConnectX-7 data sheet",
        f"reached: {TESTS}/issues/290",
        TUNING,
    ),
)
ETHERNET = Link(
    "25 Gb/s Ethernet, TCP",
    published=3.125e9,
    reached=1.7e9,
    ring=30e-6,
    tree=30e-6,
    sources=(
        "IEEE 802.3by",
        f"reached: {TESTS}/issues/83",
        f"latency, from a broadcast of 8 bytes in 38 to 46 us: {TESTS}/issues/82",
    ),
)
CLUSTERS = (
    Cluster("NVLink 4 in a machine, a port of InfiniBand NDR for each GPU", NVLINK, NDR, 8, LAUNCH),
    Cluster("PCIe 5.0 in a machine, one port of 25 Gb/s Ethernet", PCIE, ETHERNET, 1, LAUNCH),
)

# Two machines of 8 H20 with a port of NDR for each (NVLink 4 as that of an H100):
# https://github.com/NVIDIA/nccl/issues/1244; bytes, seconds
OTHERS = ((4, 47.5e-6), (2**20, 121.8e-6), (2**22, 127.6e-6), (2**24, 203e-6), (2**26, 467.9e-6))


def fitted(rows: Sequence[tuple[float, float]], processes: int) -> Link:
    """The link whose ring explains measured (bytes, seconds) of all-reduces, by least squares of
    the relative errors."""
    sizes, seconds = np.array(rows).T
    steps = 2 * (processes - 1)
    terms = np.stack([np.full_like(sizes, steps), steps / processes * sizes], 1)
    (ring, each), *_ = np.linalg.lstsq(terms / seconds[:, None], np.ones_like(sizes), rcond=None)
    reached = math.inf if each <= 0 else float(1 / each)
    # two processes are a tree of depth one, too, which sends twice as much
    return Link("fitted", reached, reached, max(0.0, float(ring)), math.inf)


# -- steps


@dataclass(frozen=True)
class Row:
    """A measured step. batch: of one process; messages: (bytes, number in a step)"""

    processes: int
    batch: int
    seconds: float
    messages: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Measured:
    """The steps of one game on one device."""

    options: Mapping[str, Any]
    parameters: int
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "options": dict(self.options),
            "rows": [
                {
                    "processes": row.processes,
                    "batch": row.batch,
                    "seconds": row.seconds,
                    "messages": [list(message) for message in row.messages],
                }
                for row in self.rows
            ],
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Measured:
        rows = [
            Row(
                one["processes"],
                one["batch"],
                one["seconds"],
                tuple((size, times) for size, times in one.get("messages", ())),
            )
            for one in found["rows"]
        ]
        return cls(found["options"], found["parameters"], tuple(rows))

    def seconds(self, batch: float, processes: int) -> float:
        """The local work of a process with this batch, one of so many."""
        rows = sorted(self._of(processes) or self._of(1), key=lambda row: row.batch)
        sizes, times = [row.batch for row in rows], [row.seconds for row in rows]
        if batch > sizes[-1]:
            return times[-1] * batch / sizes[-1]
        return float(np.interp(batch, sizes, times))

    def messages(self, batch: float, processes: int) -> tuple[tuple[float, float], ...]:
        """Those of the row with the nearest batch."""
        if processes == 1:
            return ()
        rows = self._of(processes) or self._of(max(row.processes for row in self.rows))
        return min(rows, key=lambda row: abs(row.batch - batch)).messages

    def _of(self, processes: int) -> list[Row]:
        return [row for row in self.rows if row.processes == processes]


@dataclass(frozen=True)
class Step:
    """A step by the model, in seconds. ideal: what it would take without any loss"""

    ideal: float
    local: float
    messages: Cost

    @property
    def seconds(self) -> float:
        return self.local + self.messages.seconds

    @property
    def efficiency(self) -> float:
        return self.ideal / self.seconds

    def largest_loss(self) -> str:
        losses = {
            "local work": self.local - self.ideal,
            "latency": self.messages.latency,
            "bandwidth": self.messages.transfer,
        }
        return max(losses, key=lambda name: losses[name])


def weak(game: Measured, cluster: Cluster, processes: int, batch: int) -> Step:
    """A step in which every process has a batch of this size."""
    return _step(game, cluster, processes, batch, game.seconds(batch, 1))


def strong(game: Measured, cluster: Cluster, processes: int, total: int) -> Step:
    """A step in which all processes share a batch of this size."""
    ideal = game.seconds(total, 1) / processes
    return _step(game, cluster, processes, total / processes, ideal)


def _step(game: Measured, cluster: Cluster, processes: int, batch: float, ideal: float) -> Step:
    sent = [
        cluster.all_reduce(size, processes).times(times)
        for size, times in game.messages(batch, processes)
    ]
    return Step(ideal, game.seconds(batch, processes), sum(sent, NOTHING))


def read(file: Path) -> tuple[dict[str, Any], dict[str, Measured]]:
    """(device and batch sizes, the games) of a file of steps."""
    found = json.loads(file.read_text(encoding="utf-8"))
    return found, {name: Measured.of_json(one) for name, one in found["games"].items()}


# -- the tables


def table(file: Path, cluster: Cluster) -> list[list[str]]:
    """For each game what a step sends, how long the messages take, and the efficiencies."""
    about, games = read(file)
    head = ["", "MB in a step", *(f"ms sending, {size}" for size in SIZES)]
    head += [f"weak, {size}" for size in SIZES] + [f"strong, {size}" for size in SIZES]
    rows = [[*head, f"largest loss at {SIZES[-1]}, weak; strong"]]
    for name, game in games.items():
        each = [weak(game, cluster, size, about["batch"]) for size in SIZES]
        shared = [strong(game, cluster, size, about["total"]) for size in SIZES]
        sent = sum(size * times for size, times in game.messages(about["batch"], SIZES[0]))
        cells = [f"{sent / 1e6:.2f}", *(f"{1e3 * s.messages.seconds:.2f}" for s in each)]
        cells += [f"{step.efficiency:.2f}" for step in (*each, *shared)]
        losses = f"{each[-1].largest_loss()}; {shared[-1].largest_loss()}"
        rows.append([f"`{name}`", *cells, losses])
    return rows


def links() -> list[list[str]]:
    """The links and where their numbers are from."""
    rows = [
        ["link", "published, GB/s one way", "reached, GB/s", "us a step, ring; tree", "sources"]
    ]
    for link in (NVLINK, PCIE, NDR, ETHERNET):
        latencies = f"{1e6 * link.ring:g}; {1e6 * link.tree:g}"
        speeds = [f"{link.published / 1e9:g}", f"{link.reached / 1e9:g}"]
        rows.append([link.name, *speeds, latencies, "; ".join(link.sources)])
    return rows


def beside_others() -> list[list[str]]:
    """The model of an all-reduce beside times that others have measured."""
    rows = [["bytes", "us, measured by others", "us, model", "ratio"]]
    for size, seconds in OTHERS:
        model = CLUSTERS[0].all_reduce(size, 2 * GPUS).seconds
        cells = [f"{1e6 * seconds:.0f}", f"{1e6 * model:.0f}", f"{model / seconds:.2f}"]
        rows.append([f"{size:,}", *cells])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=Path, default=RESULTS / "scaling_steps.json")
    args = parser.parse_args()
    about, _ = read(args.steps)
    print(f"A model. Steps were measured on {about['device']}; weak: a batch of {about['batch']}")
    print(f"a process; strong: a batch of {about['total']} in all.")
    for title, rows in (
        *((cluster.name, table(args.steps, cluster)) for cluster in CLUSTERS),
        ("links", links()),
        ("an all-reduce of 16 GPUs", beside_others()),
    ):
        print(f"\n{title}")
        for row in rows:
            print(" | ".join(row))


if __name__ == "__main__":
    main()
