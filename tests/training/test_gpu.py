"""Training on a GPU: no step makes the host wait, the numbers of the CPU, exact resume, precisions.

Skipped where there is no GPU. `PTHETA_TEST_DEVICE=cpu pytest -m gpu` runs the same on the CPU,
which tests the tests. Each test is of many models, and names those that fail.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import ptheta
from ptheta.batch import Batch
from ptheta.capabilities import capabilities, some_conditions
from ptheta.compute.layout import channels_last
from ptheta.compute.streams import shared
from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Source
from ptheta.dynamics import alternating
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.training.ahead import Ahead, SideStream, carrier
from ptheta.training.engine import Engine, Weighing
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.metric_logger import read_metrics
from ptheta.training.processes import device_of
from ptheta.training.sampler import BatchSampler
from tests.conftest import (
    PLAYED,
    TINY,
    VECTORS,
    conditions,
    config_options,
    data_for,
    examples,
    loaded,
    tiny,
)
from tests.training.test_runs import QUIET, same

NAME = os.environ.get("PTHETA_TEST_DEVICE", "cuda")
DEVICE = device_of(NAME, 0)
ON_GPU = NAME == "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(ON_GPU and not torch.cuda.is_available(), reason="there is no GPU"),
]

SPEC = ImageSpec(1, 16, 16, 2)
OF_VECTORS = [name for name in PLAYED if VectorSpec in loaded(name).specs]
# One name or more of each family.
SOME = ("dcgan", "wgan-gp", "vae", "vq-vae", "aae", "made", "pixelcnn", "glow", "ddpm", "pix2pix")
# Models whose steps read a number from the device, and why.
WAITING = {
    "text-gan": "a packed sequence of a GRU needs the lengths of the captions on the host",
    "stackgan": "a packed sequence of a GRU needs the lengths of the captions on the host",
    "cyclegan": "each generator is given the images of its domain, whose number the host needs",
}
SIDE = 2048 if ON_GPU else 32  # of a matrix whose product takes a while
FIRST, LAST, STEPS = 3, 6, 7  # the steps that are watched, of all


def of_each(names: Iterable[str], check: Callable[[str], object]) -> None:
    """Check every model, and fail with the errors of all."""
    failed = {}
    for name in names:
        try:
            check(name)
        except Exception as error:
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            place = "" if at is None else f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
            failed[name] = f"{type(error).__name__} at {place}: {error}"
    assert not failed, "\n\n".join(f"{name}: {text[:600]}" for name, text in failed.items())


def train(name: str, data: Source, out: Path, **options: Any) -> Run:
    how = {**TINY.get(name, {}), **QUIET, "held_out": 0, "precision": "32-true", **options}
    return ptheta.train(name, data, out, device=NAME, **how)


@contextmanager
def watched() -> Iterator[None]:
    """Context in which every synchronisation with the GPU is an error."""
    if not ON_GPU:
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def watch_steps(patch: pytest.MonkeyPatch) -> list[int]:
    """Watch some steps of all trainings; returns their numbers, as they are made."""
    plain, seen = Trainer._step, list[int]()

    def step(self: Trainer) -> bool:
        number = self.progress.step + 1
        if not FIRST <= number <= LAST:
            return plain(self)
        seen.append(number)
        with watched():
            return plain(self)

    patch.setattr(Trainer, "_step", step)
    # the screen shows losses every few seconds, for which it waits
    patch.setattr("ptheta.training.display.Display.due", property(lambda self: False))
    return seen


@pytest.fixture(scope="module")
def trained(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


def test_no_step_makes_the_host_wait(strokes, rows, trained, monkeypatch):
    seen = watch_steps(monkeypatch)

    def check(name: str) -> None:
        seen.clear()
        train(name, data_for(name, strokes), trained / name, levels=2, steps=STEPS, ema=0.9)
        assert seen == list(range(FIRST, LAST + 1))
        if name in OF_VECTORS:
            net = {"net": "mlp"} if "net" in config_options(name) else {}
            train(name, rows, trained / f"{name}-rows", steps=STEPS, **net)

    of_each((name for name in PLAYED if name not in WAITING), check)


def test_no_step_with_scaled_losses_makes_the_host_wait(strokes, tmp_path, monkeypatch):
    """With fp16, also where gradients are clipped and their norm is logged."""
    watch_steps(monkeypatch)

    def check(name: str) -> None:
        how = {"precision": "fp16-mixed", "clip": 1.0, "log_every": STEPS, "levels": 2}
        train(name, data_for(name, strokes), tmp_path / name, steps=STEPS, **how)

    of_each(("dcgan", "vae", "ddpm"), check)


@pytest.mark.parametrize("name", WAITING)
def test_models_that_wait_are_trained_as_well(name, strokes, trained):
    train(name, data_for(name, strokes), trained / name, levels=2, steps=STEPS)


# -- numbers


class SameNoise(TorchFunctionMode):
    """Context in which all noise is drawn on the CPU, and moved."""

    MADE = (torch.randn, torch.rand, torch.randint, torch.randperm)
    LIKE = (torch.randn_like, torch.rand_like)
    IN_PLACE = (Tensor.bernoulli_, Tensor.normal_, Tensor.uniform_, Tensor.random_)
    OF = (torch.bernoulli, torch.multinomial, torch.normal, Tensor.bernoulli, Tensor.multinomial)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in self.MADE:
            device = kwargs.pop("device", None)
            return func(*args, **kwargs).to(device or "cpu")
        if func in self.LIKE:
            return func(args[0].cpu(), *args[1:], **kwargs).to(args[0].device)
        if func in self.IN_PLACE:
            return args[0].copy_(func(args[0].cpu(), *args[1:], **kwargs))
        if func in self.OF:
            moved = [a.cpu() if isinstance(a, Tensor) else a for a in args]
            return func(*moved, **kwargs).to(args[0].device)
        if func is nn.functional.dropout:
            return _dropped(*args, **kwargs)
        return func(*args, **kwargs)


def _dropped(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    kept = torch.rand(x.shape) >= p
    return x * kept.to(x) / (1 - p) if training else x


def batch_of(model: Any, spec: DataSpec, n: int = 8) -> Batch:
    y, labels = conditions(model, n), torch.arange(n) % 3
    return Batch(examples(spec, n, seed=5), labels if y is None else y, {"labels": labels})


def stepped(
    name: str, spec: DataSpec, device: torch.device, steps: int, half: torch.dtype | None = None
) -> dict[str, float]:
    """The means of the terms of the losses in the first steps."""
    model: Any = tiny(name, spec)
    batch = batch_of(model, spec).to(device)
    channels_last(model.to(device)).train()
    game, group = model.game(), Group(device, half=half)
    torch.manual_seed(1)
    engine = Engine(model, game, group, Weighing())
    if game.start is not None:
        with torch.no_grad():
            game.start(batch)
    for step in range(1, steps + 1):
        engine.step = step
        with shared(0, 1):
            alternating(engine, game, step, batch)
            if game.after is not None:
                with torch.no_grad():
                    game.after(step)
    engine.finite.check()
    return engine.averages.take()


# Terms that jump where a number is rounded otherwise: counts of the nearest codes, shares of right
# answers, and numbers of units.
JUMPING = ("perplexity", "codes_used", "accuracy", "active_units", "active_by_variance")


def test_losses_are_those_of_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    most = dict[str, float]()

    def check(name: str) -> None:
        for spec in (SPEC, VECTORS) if name in OF_VECTORS else (SPEC,):
            with SameNoise():
                here, there = (stepped(name, spec, d, 2) for d in (torch.device("cpu"), DEVICE))
            assert here.keys() == there.keys()
            for term, value in here.items():
                gap = abs(value - there[term]) / max(1.0, abs(value))
                if not term.endswith(JUMPING):
                    most[name] = max(most.get(name, 0.0), gap)
                    assert gap < 2e-3, f"{term} of {spec}: {value} and {there[term]}"

    of_each(PLAYED, check)
    print("largest relative gaps", sorted(most.items(), key=lambda item: -item[1])[:5])


def test_mixed_precision_is_finite():
    """In float16 a scale may leave the first steps out, but the losses are numbers."""

    def check(name: str) -> None:
        for half in (torch.bfloat16, torch.float16):
            if ON_GPU or half is torch.bfloat16:
                found = stepped(name, SPEC, DEVICE, 2, half)
                assert found
                assert all(map(math.isfinite, found.values())), (half, found)

    of_each(PLAYED, check)


# -- runs


@contextmanager
def deterministic(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Context of deterministic algorithms: those of cuDNN that are chosen otherwise add in any
    order."""
    patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation")
def test_a_resumed_run_equals_an_uninterrupted_one(strokes, tmp_path, monkeypatch):
    """Weights, averages, optimizers and noise. The second part also draws its noise on the CPU."""

    def check(name: str) -> None:
        data, out = data_for(name, strokes), tmp_path / name
        dynamic = name == "vae"
        how: dict[str, Any] = {"levels": 2, "dynamic": dynamic, "ema": 0.9, "schedule": "constant"}
        whole = train(name, data, out / "whole", steps=10, **how)
        train(name, data, out / "parts", steps=5, **how)
        parts = train(name, data, out / "parts", steps=10, resume=True, **how)
        assert same(whole.path, parts.path)
        a, b = (sorted((run.path / "state").glob("step-*"))[-1] for run in (whole, parts))
        for file in ("model", "ema", "optimizers", "rng-0"):
            assert same(a, b, f"{file}.safetensors"), file

    with deterministic(monkeypatch):
        of_each(SOME, check)


def test_a_run_of_a_gpu_is_used_on_the_cpu(strokes, trained):
    def check(name: str) -> None:
        if not (trained / name).exists():
            train(name, data_for(name, strokes), trained / name, levels=2, steps=2)
        model: Any = ptheta.load(trained / name)
        assert {p.device.type for p in model.parameters()} == {"cpu"}
        if "samples" in capabilities(model):
            x = model.sample(2, some_conditions(model, 2))
            assert torch.equal(model.spec.check_drawn(x), x)

    of_each(SOME, check)


@pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("g++")), reason="no C compiler")
def test_compiled_losses_are_the_same(strokes, tmp_path):
    def check(name: str) -> None:
        for compiled in (False, True):
            out = tmp_path / name / str(compiled)
            train(name, data_for(name, strokes), out, levels=2, steps=4, compile=compiled)
        lines = [read_metrics(tmp_path / name / str(compiled))[-1] for compiled in (False, True)]
        for term, value in lines[0].items():
            if "/" in term and not term.endswith(JUMPING):
                assert math.isfinite(lines[1][term])
                # noise of compiled code is another
                assert abs(value - lines[1][term]) < 0.3 * max(1.0, abs(value)), term

    of_each(("vae", "made"), check)


# -- places


def test_convolutions_are_channels_last():
    def check(name: str) -> None:
        model: Any = channels_last(tiny(name, SPEC).to(DEVICE))
        kernels = [p for p in model.parameters() if p.ndim == 4 and min(p.shape) > 1]
        assert kernels
        for kernel in kernels if ON_GPU else []:
            assert kernel.is_contiguous(memory_format=torch.channels_last)
        given = list[Tensor]()
        convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
        for layer in [m for m in convolutions if min(m.weight.shape) > 1][:1]:
            layer.register_forward_hook(lambda layer, inputs, out: given.append(out))
        batch, game = batch_of(model, SPEC).to(DEVICE), model.game()
        engine = Engine(model, game, Group(DEVICE))
        alternating(engine, game, 1, batch)
        for out in given if ON_GPU else []:
            assert out.is_contiguous(memory_format=torch.channels_last)

    of_each(("dcgan", "gated-pixelcnn", "pixelcnn", "ddpm", "pix2pix"), check)


def test_batches_on_the_gpu_are_those_of_the_data():
    x = examples(SPEC, 64).numpy()
    data = ImageDataset("noise", "train", x, labels=torch.arange(64).numpy() % 3)
    sampler, carried = BatchSampler(64, 8, 0), carrier(DEVICE)
    assert isinstance(carried, SideStream) == ON_GPU
    ahead = Ahead(data, sampler, carried, last=40)
    busy, sums = torch.randn(SIDE, SIDE, device=DEVICE), []
    for step in range(1, 41):
        batch = ahead.take(step)
        busy = busy @ busy / busy.norm()  # the copies go on beside it
        sums.append(batch.x.long().sum() + batch.extra["labels"].sum())
        ahead.begin(step + 1)
    for step, found in enumerate(sums, 1):
        expected = data.batch(sampler.indices(step))
        assert int(found) == int(expected.x.long().sum() + expected.extra["labels"].sum())
