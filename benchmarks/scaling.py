"""Steps per second of two processes beside one, and what they send each other.

    python -m benchmarks.scaling [--only pair local] [--games vae dcgan] [--rounds 5]
    python -m benchmarks.scaling --only local --device cuda --steps FILE.json

`pair`: two processes of one thread each train every game over gloo and the loopback interface, in
short runs that alternate, and measure the messages and the interface itself. `local`: one process
trains as rank 0 of 1, 8, 64 and 512 processes whose messages are counted but not sent, which is the
part of a step that a cluster does not change. `benchmarks.scaling_model` reads both.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, distributed, nn

import ptheta
from benchmarks.scaling_model import SIZES, Link, Measured, Row, fitted
from ptheta.data import ImageDataset, open_images
from ptheta.models.base import Plays
from ptheta.training import group as of_group
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.processes import launch
from ptheta.training.settings import TrainSettings

RESULTS = Path(__file__).parent / "results"
NEVER = 10**9  # steps between what a run does now and then


@dataclass(frozen=True)
class Case:
    """A game.

    model, data, options: as of `ptheta.create` and `ptheta.open_images`
    small: options that shorten a step of the pair; batch: of all processes of the pair
    period: steps after which the moves repeat; two_domains: whether the labels are of two domains
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    batch: int = 32
    period: int = 1
    two_domains: bool = False


BINARY = {"levels": 2}
CASES: dict[str, Case] = {
    "vae": Case("vae", data=BINARY, batch=64),
    "dcgan": Case("dcgan"),
    "wgan-gp": Case("wgan-gp", small={"features": 16}, period=5),
    "vae-gan": Case("vae-gan", batch=16),
    "cyclegan": Case("cyclegan", small={"features": 8}, batch=8, two_domains=True),
    "pixelcnn": Case("pixelcnn", data=BINARY, small={"features": 32, "blocks": 4}),
    "glow": Case("glow", batch=16),
    "ddpm": Case("ddpm", small={"features": (24, 48)}, batch=16),
}


# -- what is sent


@dataclass(frozen=True)
class Message:
    """bytes: of the payload; gathered: whether a loss asked for the rows of all processes
    waited, took: seconds until all were there, and of the rest"""

    bytes: int
    gathered: bool
    waited: float
    took: float


class Meter:
    """Notes what this process sends through `torch.distributed.all_reduce`.

    sends: False for a process that plays one of several; apart: whether to wait for the others
    before each message, so that waiting and sending are told apart
    """

    def __init__(self, *, sends: bool = True, apart: bool = False) -> None:
        self.sends, self.apart = sends, apart
        self.messages: list[Message] = []
        self.gathers = False
        self._send: Callable[..., object] = distributed.all_reduce
        self._sum: Callable[[Tensor], Tensor] = of_group.summed

    def all_reduce(self, tensor: Tensor, **how: Any) -> None:
        begin = time.perf_counter()
        if self.apart:
            distributed.barrier()
        ready = time.perf_counter()
        if self.sends:
            self._send(tensor, **how)
        ended = time.perf_counter()
        self.messages.append(Message(tensor.nbytes, self.gathers, ready - begin, ended - ready))

    def summed(self, here: Tensor) -> Tensor:
        """What `Group.gather` sends, forward or backward."""
        self.gathers = True
        found = self._sum(here)
        self.gathers = False
        return found

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with (
            mock.patch.object(distributed, "all_reduce", self.all_reduce),
            mock.patch.object(of_group, "summed", self.summed),
        ):
            yield


class Timed(Trainer):
    """The steps of a run without what it writes at the end. warm: steps before those that are
    measured

    marks: (seconds, messages, closed form of the payload in bytes) after each step
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageDataset,
        settings: TrainSettings,
        folder: Path,
        group: Group,
        meter: Meter,
        warm: int = 0,
    ) -> None:
        super().__init__(model, data, settings, folder, group)
        self.meter, self.warm = meter, warm
        self.marks: list[tuple[float, int, int]] = []

    def steps(self) -> None:
        self._begin()
        with self.reporter.open(self.folder, self.heading, self.total):
            self._learn()

    def _tell(self) -> None:
        step = self.progress.step
        formula = closed_form(self.engine, step) if self.group.size > 1 else 0
        if self.group.device.type == "cuda" and step in (self.warm, self.total):
            torch.cuda.synchronize(self.group.device)
        self.marks.append((time.perf_counter(), len(self.meter.messages), formula))
        super()._tell()


CLOCK = 16  # bytes: the clock and the signals, float64 each


def closed_form(engine: Engine, step: int) -> int:
    """Bytes that the formula gives for a step: 4 for each gradient, logged value and statistic of
    the players that move, and the clock."""
    numbers = 0
    for move in engine.game.due(step, engine.share):
        player = move.player
        numbers += sum(p.numel() for p in engine.parameters[player] if p.grad is not None)
        numbers += sum(b.numel() for b in engine.statistics[player])
        names = [name for name in engine.averages.sums if name.startswith(f"{player}/")]
        numbers += len([name for name in names if not name.endswith("/gradient_norm")])
    return 4 * numbers + CLOCK


# -- one run


@dataclass(frozen=True)
class Run:
    """A run in this process, by step. messages: bytes and how many of them; formula, gathered:
    bytes of those of the closed form and of the others; waited, took: seconds"""

    seconds: float
    messages: dict[int, float]
    formula: float
    gathered: float
    waited: float
    took: float

    @property
    def payload(self) -> float:
        return sum(size * times for size, times in self.messages.items())


def opened(case: Case, least: int = 0) -> ImageDataset:
    """The data of a game, repeated until there are at least so many images."""
    data = open_images("digits", **case.data)
    if case.two_domains:
        assert data.labels is not None
        data = dataclasses.replace(data, labels=data.labels // 5, classes=("low", "high"))
    return data.subset(np.tile(np.arange(len(data)), -(-max(1, least) // len(data))))


def created(case: Case, data: ImageDataset, *, small: bool) -> nn.Module:
    torch.manual_seed(0)
    options = case.options | (case.small if small else {})
    condition = ptheta.Labels(data.classes) if case.two_domains else None
    return ptheta.create(case.model, data.spec, condition=condition, **options)


def one_run(
    make: Callable[[], nn.Module],
    data: ImageDataset,
    group: Group,
    batch: int,
    steps: int,
    warm: int,
    meter: Meter | None = None,
) -> Run:
    """Trains a new model for `warm` steps, and measures the `steps` after them.

    batch: of all processes. A model that was trained before, by optimizers that began anew, may
    have subnormal gradients, at which processors are slow.
    """
    meter = meter or Meter()
    settings = TrainSettings(
        steps=warm + steps,
        batch_size=batch,
        best="none",
        evaluate_every=0,
        sample_every=0,
        checkpoint_every=0,
        log_every=NEVER,
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as quiet,
        contextlib.redirect_stderr(quiet),
        meter.reading(),
    ):
        trainer = Timed(make(), data, settings, Path(folder), group, meter, warm)
        trainer.steps()
    (began, first, _), (ended, last, _) = trainer.marks[warm - 1], trainer.marks[-1]
    sent = meter.messages[first:last]
    sizes = Counter(message.bytes for message in sent)
    return Run(
        (ended - began) / steps,
        {size: times / steps for size, times in sorted(sizes.items())},
        sum(formula for *_, formula in trainer.marks[warm:]) / steps,
        sum(message.bytes for message in sent if message.gathered) / steps,
        sum(message.waited for message in sent) / steps,
        sum(message.took for message in sent) / steps,
    )


# -- two processes over the loopback interface


@dataclass(frozen=True)
class Way:
    """One way to train a game in two processes. batch: times that of the case

    processes: of the training; sends: False if each plays its part alone, at the same time
    """

    batch: int = 1
    processes: int = 2
    sends: bool = True
    apart: bool = False


WAYS = {
    "one": Way(processes=1),
    "two": Way(),
    "two, twice the batch": Way(batch=2),
    "two that send nothing": Way(sends=False),
    "two that send nothing, twice the batch": Way(batch=2, sends=False),
    "two that wait first": Way(apart=True),
}


def pair(group: Group, names: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """The measurements of two processes, in each of them."""
    torch.set_num_threads(1)
    say = print if group.rank == 0 else lambda *_, **__: None
    link, table = of_link(group)
    say(f"the loopback interface: {link.ring:.2e} s and {link.reached:.3g} bytes/s", flush=True)
    games = {}
    for name in names:
        games[name] = game(group, CASES[name], rounds, seconds, link)
        say(f"{name}: {json.dumps(games[name])}", flush=True)
    return {"link": table, "rounds": rounds, "games": games}


def game(group: Group, case: Case, rounds: int, seconds: float, link: Link) -> dict[str, Any]:
    """The rates of a game in every way, and its messages."""
    data = opened(case)
    make = partial(created, case, data, small=True)
    model = make()
    assert isinstance(model, Plays)
    count = _steps(group, case, make, data, seconds)
    runs: dict[str, list[Run]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            group.barrier()
            if way.processes == 2 or group.rank == 0:
                meter = Meter(sends=way.sends, apart=way.apart)
                own = group if way.processes == 2 else Group()
                runs[name].append(one_run(make, data, own, way.batch * case.batch, *count, meter))
    # both have the same rate; only the first has all ways
    found = {name: _medians(group, runs[name], way) for name, way in WAYS.items()}
    return {
        "batch": case.batch,
        "options": case.small,
        "players": len(model.game().players),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "steps": count[0],
        **_summary(group, found, runs, link),
    }


def _steps(
    group: Group,
    case: Case,
    make: Callable[[], nn.Module],
    data: ImageDataset,
    seconds: float,
) -> tuple[int, int]:
    """(measured steps, steps before them) of each run, so that it takes about so many seconds."""
    warm = case.period * -(-2 // case.period)
    rate = one_run(make, data, group, case.batch, case.period, warm).seconds
    (rate,) = group.greatest(rate)
    return case.period * max(1, round(seconds / rate / case.period)), warm


def _medians(group: Group, runs: Sequence[Run], way: Way) -> dict[str, float]:
    """Medians over the rounds; seconds are means of the two processes."""

    def mean(values: Sequence[float]) -> float:
        found = group.each(statistics.median(values) if values else 0.0)
        return statistics.fmean(found[: way.processes])

    return {
        "seconds": mean([run.seconds for run in runs]),
        "waited": mean([run.waited for run in runs]),
        "took": mean([run.took for run in runs]),
    }


def _summary(
    group: Group, found: dict[str, dict[str, float]], runs: dict[str, list[Run]], link: Link
) -> dict[str, Any]:
    """What is reported of a game. The efficiencies are medians of the ratios of each round."""
    if not runs["one"]:  # not rank 0, whose report counts
        return {}
    sent, spent = runs["two"][0], found["two"]
    apart = found["two that wait first"]

    def ratio(a: str, b: str) -> float:
        pairs = zip(runs[a], runs[b], strict=True)
        return statistics.median(x.seconds / y.seconds for x, y in pairs)

    return {
        "steps_per_s": {name: _rates([run.seconds for run in done]) for name, done in runs.items()},
        "strong_efficiency": round(ratio("one", "two") / 2, 3),
        "weak_efficiency": round(ratio("one", "two, twice the batch"), 3),
        "without_sending": {
            "strong_efficiency": round(ratio("one", "two that send nothing") / 2, 3),
            "weak_efficiency": round(ratio("one", "two that send nothing, twice the batch"), 3),
        },
        "messages": [[size, times] for size, times in sent.messages.items()],
        "messages_per_step": round(sum(sent.messages.values()), 3),
        "payload_bytes_per_step": sent.payload,
        "closed_form_bytes_per_step": sent.formula,
        "gathered_bytes_per_step": sent.gathered,
        "sent_bytes_per_step": 2 * (group.size - 1) / group.size * sent.payload,
        "communication": {
            "seconds": _rounded(spent["took"]),
            "share": round(spent["took"] / spent["seconds"], 4),
            "waiting_seconds": _rounded(apart["waited"]),
            "transfer_seconds": _rounded(apart["took"]),
        },
        "predicted": {
            "strong": _predicted(found, runs, link, ""),
            "weak": _predicted(found, runs, link, ", twice the batch"),
        },
    }


def _rates(seconds: Sequence[float]) -> list[float]:
    """Steps per second: median, least, most."""
    found = statistics.median(seconds), max(seconds), min(seconds)
    return [round(1 / each, 2) for each in found]


def _predicted(
    found: dict[str, dict[str, float]], runs: dict[str, list[Run]], link: Link, batch: str
) -> dict[str, float]:
    """What the model says of two processes from those that send nothing, and its error."""
    local, measured = found[f"two that send nothing{batch}"], found[f"two{batch}"]
    messages = runs[f"two{batch}"][0].messages
    sending = sum(times * link.all_reduce(size, 2).seconds for size, times in messages.items())
    seconds = local["seconds"] + sending
    return {
        "steps_per_s": round(1 / seconds, 2),
        "communication_seconds": _rounded(sending),
        "relative_error_of_seconds": round(seconds / measured["seconds"] - 1, 4),
    }


# -- the loopback interface

MESSAGES = [4**k for k in range(2, 13)]  # 16 B to 16 MiB
TRIED = 0.12  # seconds for each


def of_link(group: Group) -> tuple[Link, dict[str, Any]]:
    """The fitted interface, and the times that it is fitted to."""
    rows, wire = [], 0.0
    for size in MESSAGES:
        taken = [_message(group, size) for _ in range(3)]
        (longest,) = group.greatest(max(taken))
        times = max(5, min(200, int(TRIED / longest)))
        before = carried()
        taken = [_message(group, size) for _ in range(times)]
        wire = (carried() - before) / (times * size * group.size)
        rows.append((size, statistics.fmean(group.each(statistics.median(taken)))))
    link = fitted(rows, group.size)
    errors = [link.all_reduce(size, group.size).seconds / seconds - 1 for size, seconds in rows]
    return link, {
        "latency_seconds": _rounded(link.ring),
        "bandwidth_bytes_per_s": _rounded(link.reached),
        "all_reduce": [
            {"bytes": size, "seconds": _rounded(seconds), "relative_error_of_fit": round(error, 3)}
            for (size, seconds), error in zip(rows, errors, strict=True)
        ],
        # of the largest message, with headers and acknowledgements; the formula gives 2 (R - 1) / R
        "bytes_of_interface_per_byte_and_process": round(wire, 4),
    }


def _message(group: Group, size: int) -> float:
    """Seconds of a message in new memory, as those of a training are."""
    tensor = torch.ones(size // 4)
    group.barrier()
    begin = time.perf_counter()
    distributed.all_reduce(tensor)
    return time.perf_counter() - begin


def carried() -> int:
    """Bytes that the loopback interface has sent; 0 where the system does not count them."""
    counts = Path("/proc/net/dev")
    lines = counts.read_text().splitlines() if counts.exists() else []
    fields = [line.split() for line in lines if line.strip().startswith("lo:")]
    return int(fields[0][9]) if fields else 0


# -- the local part of a step

SLOW = 1.0  # seconds of a step that is measured once


@dataclass(frozen=True)
class Plan:
    """Which steps of one process are measured.

    each: batch of a process; total: batch of all, where it is the same for all numbers of
    processes; most: images in one process; seconds: of each run
    """

    each: int
    total: int
    most: int
    rounds: int
    seconds: float

    def rows(self, least: int) -> list[tuple[int, int]]:
        """(processes, batch of one of them). least: batch of a process"""
        alone = [(1, self.each), (1, min(self.total, self.most))]
        weak = [(size, self.each) for size in SIZES]
        strong = [(size, max(least, self.total // size)) for size in SIZES]
        rows = [*alone, *weak, *strong]
        return list(dict.fromkeys((size, n) for size, n in rows if n <= self.most))


def local(group: Group, names: Sequence[str], plan: Plan) -> dict[str, Any]:
    """Steps of rank 0 of several processes that do not exist, by game."""
    if group.on_cpu:
        torch.set_num_threads(1)
    found = {}
    for name in names:
        measured = _local(group, CASES[name], plan)
        for row in measured.rows:
            what = f"rank 0 of {row.processes}, {row.batch} images"
            print(f"{name}, {what}: {row.seconds:.3g} s", flush=True)
        found[name] = measured.to_json()
    return found


def _local(group: Group, case: Case, plan: Plan) -> Measured:
    """All rows take turns, but for the slow ones."""
    data = opened(case, plan.each * max(SIZES))
    make = partial(created, case, data, small=False)
    runs: dict[tuple[int, int], list[Run]] = {}
    for _ in range(plan.rounds):
        for size, batch in plan.rows(2 if case.two_domains else 1):
            done = runs.setdefault((size, batch), [])
            slowest = max((run.seconds for run in done), default=0.0)
            if slowest < SLOW:
                steps = case.period * max(1, round(plan.seconds / (slowest or 1) / case.period))
                played = dataclasses.replace(group, rank=0, size=size)
                meter = Meter(sends=False)
                done.append(one_run(make, data, played, batch * size, steps, case.period, meter))
    rows = [
        Row(
            *(size, batch, _rounded(statistics.median(run.seconds for run in done))),
            tuple(done[0].messages.items()),
        )
        for (size, batch), done in runs.items()
    ]
    parameters = sum(p.numel() for p in make().parameters() if p.requires_grad)
    return Measured(case.options, parameters, tuple(rows))


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")


# -- the benchmark


def machine(device: str) -> dict[str, Any]:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(": ")[2] if models else name
    if device == "cuda":
        name = torch.cuda.get_device_name()
    return {
        "device": f"one core of {os.cpu_count()}, {name}" if device == "cpu" else name,
        "torch": str(torch.__version__),
        "load_before": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=("pair", "local"), default=["pair", "local"])
    parser.add_argument("--games", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="of `pair`; half in `local`")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each run")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of `local`")
    parser.add_argument("--batch", type=int, default=32, help="of a process, in `local`")
    parser.add_argument("--total", type=int, default=1024, help="of all processes, in `local`")
    parser.add_argument("--most", type=int, default=128, help="largest batch of one process there")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    parser.add_argument("--steps", type=Path, default=RESULTS / "scaling_steps.json")
    args = parser.parse_args()
    start = time.perf_counter()
    if "pair" in args.only:
        settings = TrainSettings(steps=1, device="cpu", processes=2)
        about = machine("cpu")
        found = launch(settings, pair, args.games, args.rounds, args.seconds)
        _write(args.out, about | found)
    if "local" in args.only:
        settings = TrainSettings(steps=1, device=args.device)
        about = machine(args.device) | {"batch": args.batch, "total": args.total}
        plan = Plan(args.batch, args.total, args.most, max(1, args.rounds // 2), args.seconds)
        games = launch(settings, local, args.games, plan)
        _write(args.steps, about | {"games": games})
    print(f"{time.perf_counter() - start:.0f} s")


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
