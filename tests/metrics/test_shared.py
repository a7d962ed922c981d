"""An evaluation is the same, to the bit, whichever processes share it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ptheta
from ptheta.compute import parts
from ptheta.compute.streams import seeded
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.errors import Interrupted, PthetaError
from ptheta.measures.results import Evaluation
from ptheta.metrics import ais
from ptheta.metrics.context import Context, follow
from ptheta.metrics.evaluate import context, measured
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec
from ptheta.training.helpers import helped
from tests.conftest import black_or_white, tiny
from tests.training.test_processes import running

BINARY, GREY = ImageSpec(1, 8, 8, 2), ImageSpec(1, 8, 8)
SIZES = (2, 3)


@dataclass
class Table:
    """Where played processes exchange: each is a thread, and one of them runs at a time."""

    size: int
    slots: list[bytes] = field(init=False)
    turn: threading.Lock = field(default_factory=threading.Lock)
    barrier: threading.Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.slots, self.barrier = [b""] * self.size, threading.Barrier(self.size, timeout=60)


@dataclass
class Played:
    """A process of a team. Each has its own random stream."""

    table: Table
    rank: int
    threads: int = 1
    sent: int = 0

    @property
    def size(self) -> int:
        return self.table.size

    def exchange(self, mine: bytes) -> Sequence[bytes]:
        state, table = torch.get_rng_state(), self.table
        table.slots[self.rank] = mine
        self.sent += bool(mine)
        table.turn.release()
        table.barrier.wait()
        found = list(table.slots)
        table.barrier.wait()
        table.turn.acquire()
        torch.set_rng_state(state)
        return found


def played(
    size: int, lead: Callable[[], Any], others: Callable[[Played], object]
) -> tuple[Any, list[Played]]:
    """What `lead` returns in the first of several processes, and all of them."""
    table, faults = Table(size), list[BaseException]()
    team = [Played(table, rank) for rank in range(size)]

    def run(work: Callable[[], object]) -> None:
        with table.turn:
            try:
                work()
            except BaseException as error:
                faults.append(error)
                table.barrier.abort()

    def of(one: Played) -> None:
        torch.manual_seed(one.rank)  # nothing depends on the stream of a process
        others(one)

    helping = [threading.Thread(target=run, args=(lambda one=one: of(one),)) for one in team[1:]]
    found: list[Any] = []

    def first() -> None:
        with parts.shared_with(team[0]):
            found.append(lead())
        parts.dismiss(team[0])

    for thread in helping:
        thread.start()
    run(first)
    for thread in helping:
        thread.join()
    if faults:
        raise faults[0]
    return found[0], team


# -- parts


def draws(number: int) -> dict[str, Tensor]:
    return {"x": torch.randn(2), "number": torch.tensor([number])}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("numbers", [range(0), range(1), range(7), range(2, 5)])
def test_parts_come_in_order_with_their_own_noise(size, numbers):
    def work() -> list[parts.Found]:
        return list(parts.each(draws, numbers, "drawing", 3))

    def lead() -> list[parts.Found]:
        with parts.called("work"):
            return work()

    kept: list[list[parts.Found]] = []
    orders = {"work": lambda: kept.append(work())}
    found, _ = played(size, lead, lambda of: parts.follow(of, orders))
    for other in (found, *kept):
        assert [int(part["number"]) for part in other] == list(numbers)
        for number, part in zip(numbers, other, strict=True):
            with seeded(parts.seed_of(3, number)):
                assert torch.equal(part["x"], torch.randn(2))
    assert len(kept) == size - 1


def test_the_first_part_has_the_noise_of_the_seed_and_others_have_theirs():
    seeds = [parts.seed_of(seed, number) for seed in range(30) for number in range(30)]
    assert len(set(seeds)) == 900
    assert parts.seed_of(7, 0) == 7
    torch.manual_seed(parts.seed_of(2**63 - 1, 5))  # any seed has parts
    torch.manual_seed(parts.seed_of(-3, 5))


def test_what_only_the_first_process_calls_is_its_own():
    """Outside of what all run, and in a part."""

    def inner(number: int) -> dict[str, Tensor]:
        with parts.called("no one knows this"):
            found = list(parts.each(draws, range(3), "inner", 1))
        return {"x": torch.stack([part["x"] for part in found])}

    def work() -> list[parts.Found]:
        return list(parts.each(inner, range(3), "outer", 2))

    def lead() -> list[parts.Found]:
        alone = work()
        with parts.called("work"):
            together = work()
        assert all(torch.equal(a["x"], b["x"]) for a, b in zip(alone, together, strict=True))
        return alone

    found, team = played(2, lead, lambda of: parts.follow(of, {"work": work}))
    assert len(found) == 3
    assert team[1].sent == 1  # of the three parts


def test_processes_that_differ_are_told_how():
    def lead() -> None:
        parts.agree(parts._at_hand.get(), {"data": "a", "seed": 1})  # type: ignore[arg-type]

    with pytest.raises(PthetaError, match="data is b in process 1, and a in process 0"):
        played(2, lead, lambda of: parts.agree(of, {"data": "b", "seed": 1}))


# -- evaluations


def images(spec: ImageSpec, n: int, seed: int, **more: Any) -> ImageDataset:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, spec.levels, (n, *spec.shape)) * (255 // (spec.levels - 1))
    split = "train" if seed else "test"
    return ImageDataset("noise", split, x.astype(np.uint8), levels=spec.levels, **more)


def domains(spec: ImageSpec, n: int, seed: int) -> ImageDataset:
    return images(spec, n, seed, labels=np.arange(n) % 2, classes=("0", "1"))


def pairs(spec: ImageSpec, n: int, seed: int) -> ImageDataset:
    condition = black_or_white(spec)
    given = images(condition.spec, n, seed + 2).images
    return images(spec, n, seed, inputs=StoredInputs(given, condition.spec))


# of each kind of work: (model, its options, spec, data)
KINDS: dict[str, tuple[str, dict[str, Any], ImageSpec, Callable[..., ImageDataset]]] = {
    "exact": ("made", {}, BINARY, images),
    "bound, AIS": ("vae", {}, BINARY, images),
    "of labels": ("cvae", {}, BINARY, lambda *a: images(*a[:3], labels=np.arange(a[1]) % 3)),
    "log Z": ("rbm", {"hidden": 24, "temperatures": 5}, BINARY, images),
    "estimate": ("flow-matching", {"sample_steps": 2, "density_steps": 2}, GREY, images),
    "steps": ("ddpm", {"sample_steps": 5}, GREY, images),
    "samples alone": ("gan", {}, GREY, images),
    "a chain": ("gsn", {}, BINARY, images),
    "pairs": ("bicycle-gan", {}, GREY, pairs),
    "domains": ("cyclegan", {}, GREY, domains),
}


def of_kind(kind: str) -> Context:
    name, options, spec, data = KINDS[kind]
    model = tiny(name, spec, **options).eval()
    test = data(spec, 110 if name == "flow-matching" else 270, 0)
    train = data(spec, 300, 1)
    more = {"n": 520, "extractor": "pixels", "is_k": 3, "seed": 1}
    return context(model, test, train, ais_images=60 * (name == "vae"), **more)  # type: ignore[arg-type]


def numbers(evaluation: Evaluation) -> dict[str, Any]:
    return {
        result.metric: [
            *(result.value, result.error, result.reason, result.note),
            None if result.draws is None else result.draws.to_json(),
        ]
        for result in evaluation.results
        if result.metric != "sampling_speed"
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_does_not_depend_on_the_processes(kind, tmp_path, monkeypatch):
    for of in vars(Context).values():
        if isinstance(of, cached_property):  # has one lock for all threads, up to Python 3.11
            monkeypatch.setattr(of, "lock", nullcontext(), raising=False)
    monkeypatch.setattr(ais, "STEPS", 8)
    monkeypatch.setattr("ptheta.metrics.speed.SECONDS", 0.0)

    def alone() -> dict[str, Any]:
        return numbers(measured(of_kind(kind)))

    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "1"))
    expected = alone()
    assert sum(value[0] is not None for value in expected.values()) > 5
    for size in SIZES:
        monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / f"{size}"))  # of features
        found, team = played(size, alone, lambda of: follow(of, of_kind(kind)))
        assert found == expected
        assert team[1].sent


# -- processes that are started


def trained(strokes: Path, out: Path) -> Run:
    """A run, unless it is there."""
    options: dict[str, Any] = {"hidden": (8,), "latent": 2, "batch_size": 8, "evaluate_every": 0}
    return ptheta.train("vae", strokes, out, steps=1, resume=True, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_two_processes_evaluate_and_draw_what_one_does(strokes, tmp_path):
    run = trained(strokes, tmp_path / "run")
    asked: dict[str, Any] = {"n": 520, "is_k": 3, "extractor": "pixels"}
    found = [numbers(ptheta.evaluate(run, processes=many, **asked)) for many in (1, 2)]
    assert found[0] == found[1]
    assert numbers(Evaluation.read(tmp_path / "run" / "evaluation.json")) == found[0]
    ptheta.sample(run, 520, out=tmp_path / "out")
    expected = contents(tmp_path / "out")
    assert len(expected) == 520
    for number in range(256, 520):  # drawn again
        (tmp_path / "out" / f"{number:05}.png").unlink()
    ptheta.sample(run, 520, out=tmp_path / "out", processes=2)
    assert contents(tmp_path / "out") == expected


def fails(team: parts.Team, how: str) -> None:
    if how == "refuses":
        raise PthetaError("no")
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_help(how: str) -> None:
    with helped(2, fails, (how,)) as team:
        assert team is not None
        if how == "refuses":
            team.exchange(b"")
        time.sleep(60)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "error"), [("refuses", PthetaError), ("killed", Interrupted)])
def test_the_end_of_a_helper_is_noticed_wherever_the_first_process_is(how, error):
    before = signal.getsignal(signal.SIGCHLD)
    with pytest.raises(error) as caught:
        wait_for_help(how)
    assert "\n" not in str(caught.value)
    assert not running(os.getpid())
    assert signal.getsignal(signal.SIGCHLD) == before


@pytest.mark.slow
def test_a_killed_process_ends_an_evaluation_with_one_line(strokes, tmp_path):
    trained(strokes, tmp_path / "run")
    words = ["evaluate", str(tmp_path / "run"), "-n", "100000", "--processes", "3"]
    command = [sys.executable, "-m", "ptheta", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while len(helpers := running(process.pid)) < 2:
            time.sleep(0.1)
        time.sleep(3)
        os.kill(helpers[-1], signal.SIGKILL)
        start = time.monotonic()
        said, failed = process.communicate(timeout=100)
        assert time.monotonic() - start < 20
    assert process.returncode == 128 + signal.SIGKILL
    assert not said
    *shown, line = failed.decode().splitlines()
    assert re.fullmatch(r"ptheta: the process of rank \d was ended by SIGKILL, as .*", line)
    assert not any(text.startswith("ptheta:") for text in shown)
    assert not (tmp_path / "run" / "evaluation.json").exists()
