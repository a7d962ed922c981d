"""Training and exact autoregressive sampling on a GPU.

Training steps of some models at their default precision of a GPU, and without one thing at a time:
the copy of batches ahead of their step, channels last, bfloat16; and with compiled losses. Sampling
by caching, by fixed-point iteration and by a pass for each pixel, from the same noise, on the GPU
and by the CPU.

    python -m benchmarks.gpu [--device cuda] [--seconds 90] [--out FILE.json]

Images are random, except for the digits of the sampled model. A part that fails, or for which
no time is left, says so in the results.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.specs import ImageSpec
from ptheta.training.ahead import Ahead, Direct
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.processes import device_of
from ptheta.training.settings import TrainSettings

Row = dict[str, Any]
WARM = 15  # steps before those that are timed
BLOCK = 10  # steps that are timed together
MANY = 10**9  # steps of a run that is never ended


class Marks:
    """Moments on the device, without waiting for it; seconds between them at the end."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.made = device, list[torch.cuda.Event | float]()

    def mark(self) -> None:
        if self.device.type != "cuda":
            self.made.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.made.append(event)

    def gaps(self) -> list[float]:
        """Seconds from each mark to the next."""
        wait(self.device)
        return [_seconds(a, b) for a, b in zip(self.made, self.made[1:], strict=False)]


def _seconds(a: torch.cuda.Event | float, b: torch.cuda.Event | float) -> float:
    if isinstance(a, float) or isinstance(b, float):
        assert isinstance(a, float)
        assert isinstance(b, float)
        return b - a
    return float(a.elapsed_time(b)) / 1000


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# -- training


@dataclass(frozen=True)
class Case:
    """A model to train. batch: images of a step"""

    title: str
    model: str
    spec: ImageSpec
    batch: int
    options: Row = field(default_factory=dict)


CASES = (
    Case("dcgan, 64 px", "dcgan", ImageSpec(3, 64, 64), 128),
    Case("sngan (resnet), 64 px", "sngan", ImageSpec(3, 64, 64), 64),
    Case("ddpm, 32 px", "ddpm", ImageSpec(3, 32, 32), 128, {"features": (128, 256), "blocks": 2}),
    Case("pixelcnn, 28 px", "pixelcnn", ImageSpec(1, 28, 28, 2), 128),
    Case("glow, 32 px", "glow", ImageSpec(3, 32, 32), 64),
    Case("vae (mlp), 28 px", "vae", ImageSpec(1, 28, 28, 2), 128),
)
COMPILED = ("vae (mlp), 28 px", "ddpm, 32 px")


@dataclass(frozen=True)
class Way:
    """How steps are made."""

    title: str
    ahead: bool = True
    channels_last: bool = True
    half: bool = True
    compile: bool = False


WAYS = (
    Way("default"),
    Way("without prefetch", ahead=False),
    Way("without channels last", channels_last=False),
    Way("in float32", half=False),
)


class Timed:
    """The batches of a trainer, with the time that the device waits for them."""

    def __init__(self, ahead: Ahead, device: torch.device) -> None:
        self.ahead, self.marks = ahead, Marks(device)
        self.host = 0.0  # seconds in which the host reads
        self.bytes = 0  # of the last batch

    def take(self, step: int) -> Batch:
        start = time.perf_counter()
        self.marks.mark()
        batch = self.ahead.take(step)
        self.marks.mark()
        self.host += time.perf_counter() - start
        self.bytes = sum(t.numel() * t.element_size() for t in batch.tensors())
        return batch

    def begin(self, step: int) -> None:
        start = time.perf_counter()
        self.ahead.begin(step)
        self.host += time.perf_counter() - start


class Steps(Trainer):
    """A trainer of which only the steps are made."""

    def timed(self, seconds: float) -> Row:
        """Makes steps for about so many seconds, after some that are not counted."""
        device = self.group.device
        start = time.perf_counter()
        self._begin()
        for _ in range(WARM):
            self._step()
        wait(device)
        warm = time.perf_counter() - start
        batches, blocks = Timed(self.ahead, device), Marks(device)
        self.ahead = batches  # type: ignore[assignment]
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        start, made = time.perf_counter(), 0
        blocks.mark()
        while time.perf_counter() - start < seconds or made < 3 * BLOCK:
            for _ in range(BLOCK):
                self._step()
            blocks.mark()
            made += BLOCK
        each = [gap / BLOCK for gap in blocks.gaps()]
        total = time.perf_counter() - start
        waits = batches.marks.gaps()[::2]
        step = statistics.median(each)
        self.engine.finite.check()
        row = {
            "steps_per_s": round(1 / step, 1),
            "least": round(1 / max(each), 1),
            "most": round(1 / min(each), 1),
            "steps": made,
            "input_wait": round(sum(waits) / sum(each) / BLOCK, 4),
            "host_reading": round(batches.host / total, 4),
            "bytes_to_device": batches.bytes,
            "first_steps_s": round(warm, 2),
        }
        if device.type == "cuda":
            row["peak_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
        return row


def images_of(spec: ImageSpec, n: int) -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (n, *spec.shape), dtype=np.uint8)
    return ImageDataset("noise", "train", x).with_levels(spec.levels)


def steps_of(case: Case, way: Way, device: torch.device, seconds: float) -> Row:
    torch.manual_seed(0)
    half = torch.bfloat16 if way.half else None
    settings = TrainSettings(
        steps=MANY, batch_size=case.batch, log_every=MANY, evaluate_every=0, compile=way.compile
    )
    model: Any = ptheta.create(case.model, case.spec, **case.options)
    data = images_of(case.spec, 16 * case.batch)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Steps(model, data, settings, Path(folder), Group(device, half=half))
        if not way.ahead:
            trainer.ahead.carrier = Direct(device)
        if not way.channels_last:
            model.to(memory_format=torch.contiguous_format)
        return trainer.timed(seconds)


# -- sampling


def one_by_one(model: Autoregressive, u: Tensor) -> Tensor:
    """A pass over all pixels for each sub-pixel."""
    x = model.blank(u)
    channels = model.spec.shape[0]
    for at in model.order:
        for c in range(channels):
            drawn = model.conditionals(x).icdf(u)
            x.view(len(x), channels, -1)[:, c, at] = drawn.view(len(x), channels, -1)[:, c, at]
    return x


WAYS_TO_SAMPLE: dict[str, Callable[[Autoregressive, Tensor], tuple[Tensor, int]]] = {
    "caching": lambda model, u: (model.sample_from_noise(u), model.spec.dims),
    "fixed point": lambda model, u: model.fixed_point_sample(u),
    "pass by pass": lambda model, u: (one_by_one(model, u), model.spec.dims),
}


def trained(device: torch.device, steps: int) -> Autoregressive:
    """A PixelCNN of digits."""
    with tempfile.TemporaryDirectory() as folder:
        ptheta.train(
            *("pixelcnn", "digits", Path(folder) / "run"),
            steps=steps,
            levels=2,
            batch_size=128,
            held_out=0,
            evaluate_every=0,
            sample_every=0,
            checkpoint_every=0,
            device=device.type,
        )
        model = ptheta.load(Path(folder) / "run")
    assert isinstance(model, Autoregressive)
    return model


def sampling(device: torch.device, images: tuple[int, ...], steps: int) -> Iterator[Row]:
    """The ways on the device, and the first images on the CPU."""
    model = trained(device, steps)
    torch.manual_seed(1)
    u = torch.rand(max(images), *model.spec.shape)
    few = min(images)
    on_cpu = {name: sampled(model, name, u[:few]) for name in ("caching", "fixed point")}
    cpu = on_cpu["caching"][1]
    for name, (row, x) in on_cpu.items():
        yield {"device": "cpu", "way": name, **row, **same(x, cpu, "caching_on_cpu")}
    model.to(device)
    for n in images:
        found = dict[str, Tensor]()
        for name in WAYS_TO_SAMPLE:
            row, x = sampled(model, name, u[:n].to(device))
            found[name] = x
            yield {
                "device": device.type,
                "way": name,
                **row,
                **same(x, found["caching"], "caching"),
                **same(x[:few].cpu(), cpu, "caching_on_cpu"),
            }


def sampled(model: Autoregressive, way: str, u: Tensor) -> tuple[Row, Tensor]:
    sample = WAYS_TO_SAMPLE[way]
    with torch.no_grad():
        sample(model, u[:2]) if way != "pass by pass" else model.conditionals(model.blank(u))
        wait(u.device)
        start = time.perf_counter()
        x, passes = sample(model, u)
        wait(u.device)
        spent = time.perf_counter() - start
    row = {"images": len(u), "seconds": round(spent, 4), "images_per_s": round(len(u) / spent, 1)}
    return {**row, "passes": passes}, x


def same(x: Tensor, y: Tensor, name: str) -> Row:
    """The share of equal images and sub-pixels."""
    equal = (x == y).flatten(1)
    return {
        f"images_as_{name}": round(float(equal.all(1).float().mean()), 4),
        f"pixels_as_{name}": round(float(equal.float().mean()), 6),
    }


# -- all of it


class Report:
    """The results, written after each part. seconds: for all of it; afterwards parts are left
    out"""

    def __init__(self, device: torch.device, seconds: float, out: Path | None) -> None:
        self.out, self.start, self.seconds = out, time.perf_counter(), seconds
        on_gpu = device.type == "cuda"
        self.found: Row = {
            "device": torch.cuda.get_device_name(device) if on_gpu else platform.processor(),
            "capability": list(torch.cuda.get_device_capability(device)) if on_gpu else None,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "cuda": torch.version.cuda,
            "convolutions_in_tf32": torch.backends.cudnn.allow_tf32,
            "products": torch.get_float32_matmul_precision(),
            "training": [],
            "sampling": [],
        }

    def add(self, part: str, about: Row, measure: Callable[[], Row]) -> None:
        """Measures a row, or says why it has no numbers."""
        if time.perf_counter() - self.start > self.seconds:
            found: Row = {"left_out": "no time left"}
        else:
            try:
                found = measure()
            except Exception as error:  # the other rows are worth having
                found = {"failed": f"{type(error).__name__}: {error}"[:500]}
        self.found[part].append({**about, **found})
        print(json.dumps(self.found[part][-1]), flush=True)
        self.write()

    def write(self) -> None:
        self.found["seconds"] = round(time.perf_counter() - self.start, 1)
        if self.out is not None:
            self.out.write_text(json.dumps(self.found, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=90, help="after which parts are left out")
    parser.add_argument("--each", type=float, default=0.7, help="seconds of steps of each row")
    parser.add_argument("--images", type=int, nargs="+", default=[16, 256])
    parser.add_argument("--steps", type=int, default=400, help="of the sampled model")
    parser.add_argument("--only", default="", help="part of the titles of the trained models")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = device_of(options.device, 0)
    report = Report(device, options.seconds, options.out)
    chosen = [case for case in CASES if options.only in case.title]

    def measure(case: Case, way: Way) -> None:
        about = {"model": case.title, "batch": case.batch, "way": way.title}
        report.add("training", about, lambda: steps_of(case, way, device, options.each))

    for case in chosen:
        for way in WAYS:
            measure(case, way)
    rows = sampling(device, tuple(options.images), options.steps)
    for _ in range(2 + 3 * len(options.images)):
        report.add("sampling", {}, lambda: next(rows))
    for case in chosen:
        if case.title in COMPILED:
            measure(case, Way("compiled", compile=True))


if __name__ == "__main__":
    main()
