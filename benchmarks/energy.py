"""Restricted Boltzmann machines on MNIST: test log-likelihood over time, beside scikit-learn's.

    python -m benchmarks.energy --data FOLDER

FOLDER holds the four IDX files of MNIST. Training images are binarised anew in every batch, test
images once. Both learn on one thread and are stopped by the CPU time that learning took (what
measures them is not counted), so that what else the machine does changes nothing; both have 500
hidden units and batches of 100, and are measured by the same annealed importance sampling, forward
and backward. The learning rate falls over the whole of `--seconds`. Written to
benchmarks/results/energy.json: for each point of time log p by both sides of log Z, nats per test
image, with their standard errors; the last with ten times the temperatures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ptheta
from ptheta.compute.streams import seeded
from ptheta.data import open_images
from ptheta.data.image_data import ImageDataset
from ptheta.dynamics import alternating
from ptheta.models.energy.annealing import both_sides
from ptheta.models.energy.boltzmann import Binary, Boltzmann
from ptheta.models.energy.rbm import RBM, RECIPES
from ptheta.training.ema import EMA
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.settings import SCHEDULES

OUT = Path(__file__).parent / "results" / "energy.json"
BATCH, HIDDEN = 100, 500
BURN = 500  # Gibbs steps before the way back


class Batches:
    """Of training images, shuffled anew in each pass."""

    def __init__(self, data: ImageDataset) -> None:
        self.data, self.order, self.place = data, torch.randperm(len(data)), 0

    def __call__(self) -> Any:
        if self.place + BATCH > len(self.order):
            self.order, self.place = torch.randperm(len(self.data)), 0
        chosen = self.order[self.place : self.place + BATCH]
        self.place += BATCH
        return self.data.batch(chosen.numpy())


def measured(machine: Boltzmann, v: Tensor, test: Tensor, temperatures: int) -> dict[str, Any]:
    """log p of test images (n, D). v: where the chains that go back begin"""
    with torch.no_grad(), seeded(0):
        for _ in range(BURN):
            v = machine.sweep(v)
        z = both_sides(machine, temperatures, len(v), v)
        each = -machine.free_energy(test).double()
    return {
        "log_p_forward": round(each.mean().item() - z.lower, 3),
        "log_p_backward": round(each.mean().item() - z.upper, 3),
        "errors_of_log_z": [round(error, 3) for error in z.errors],
        "error_over_images": round((each.std() / len(each) ** 0.5).item(), 3),
        "temperatures": temperatures,
    }


def watched(
    step: Callable[[float], None],
    measure: Callable[[int], dict[str, Any]],
    seconds: float,
    points: int,
    temperatures: int,
) -> list[dict[str, Any]]:
    """Learns for so many seconds of CPU time, and measures at so many points of it."""
    spent, steps, curve = 0.0, 0, []
    for point in range(1, points + 1):
        begun, until = time.process_time(), seconds * point / points
        while (now := spent + time.process_time() - begun) < until:
            step(now / seconds)
            steps += 1
        spent += time.process_time() - begun
        found = measure(temperatures * (10 if point == points else 1))
        curve.append({"seconds": round(spent, 1), "steps": steps, **found})
        print(json.dumps(curve[-1]), flush=True)
    return curve


def ours(data: ImageDataset, test: Tensor, options: argparse.Namespace) -> list[dict[str, Any]]:
    recipe: dict[str, Any] = {**RECIPES["ten-minutes"]["model"]}
    settings: dict[str, Any] = {**RECIPES["ten-minutes"]["train"]}
    model = ptheta.create("rbm", data.spec, **recipe, hidden=HIDDEN)
    assert isinstance(model, RBM)
    engine, ema = Engine(model, model.game(), Group()), EMA(model, settings["ema"])
    batches, factor = Batches(data), SCHEDULES[settings["schedule"]].factor
    model.start(batches())

    def step(share: float) -> None:
        engine.step += 1
        engine.share = share
        engine.set_lr(factor(share))
        alternating(engine, engine.game, engine.step, batches())
        ema.update()

    def measure(temperatures: int) -> dict[str, Any]:
        with ema.in_use():
            return measured(model.machine(), model.states[0], test, temperatures)

    return watched(step, measure, options.seconds, options.points, options.temperatures)


def scikit(data: ImageDataset, test: Tensor, options: argparse.Namespace) -> list[dict[str, Any]]:
    from sklearn.neural_network import BernoulliRBM

    model = BernoulliRBM(n_components=HIDDEN, batch_size=BATCH, learning_rate=options.rate)
    batches = Batches(data)
    rates = (data.batch(slice(0, 10_000)).x > 127).flatten(1).float().mean(0)
    base = rates.clamp(1e-3, 1 - 1e-3).logit()

    def step(share: float) -> None:
        model.partial_fit((batches().x > 127).flatten(1).float().numpy())

    def measure(temperatures: int) -> dict[str, Any]:
        weight, hidden, visible = (
            torch.from_numpy(a).float()
            for a in (
                model.components_.T.copy(),
                model.intercept_hidden_,
                model.intercept_visible_,
            )
        )
        machine = Boltzmann(Binary(visible, base), weight, hidden)
        fantasy = torch.from_numpy(model.h_samples_).float()
        with seeded(1):
            v = machine.visible.draw(fantasy @ weight.T, 1.0, len(fantasy))
        return measured(machine, v, test, temperatures)

    return watched(step, measure, options.scikit, options.points, options.temperatures)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=570.0)
    parser.add_argument("--scikit", type=float, default=285.0, help="seconds of scikit-learn's")
    parser.add_argument("--rate", type=float, default=0.05, help="its learning rate")
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--temperatures", type=int, default=1000)
    parser.add_argument("--only", choices=["ptheta", "scikit-learn"])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = open_images(options.data, levels=2, dynamic=True)
    fixed = open_images(options.data, "test", levels=2).with_fixed_binarisation()
    test = (fixed.batch(slice(0, len(fixed))).x > 127).flatten(1).float()
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    for name, learn in (("ptheta", ours), ("scikit-learn", scikit)):
        if options.only in (None, name):
            curve = learn(data, test, options)
            if options.out.exists():  # the other may have been measured beside it
                result = json.loads(options.out.read_text())
            result[name] = {"hidden": HIDDEN, "batch": BATCH, "threads": 1, "curve": curve}
            result["protocol"] = {
                "chains": 100,
                "test_images": len(test),
                "torch": torch.__version__,
            }
            options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
