"""Training in one dimension, and what follows the equilibrium: two sections of the page on the
game of a GAN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.stats import norm
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.dynamics import DYNAMICS
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.pages.game_optimum import LOG2, LOSS
from ptheta.lab.parts import Figure, Film, Frame, Number, Numbers, Section
from ptheta.losses.adversarial import accuracy
from ptheta.models.adversarial.gan import GAN
from ptheta.specs import VectorSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group

# -- training in one dimension

STEPS, SHOWN = 700, (0, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700)
LOGGED = 100  # steps at the end whose losses are averaged
CELLS = np.linspace(-5, 5, 81)


def training(asked: Asked) -> Section:
    rng = asked.rng("training")
    centre, spread = float(rng.uniform(1.0, 2.0)), float(rng.uniform(0.5, 0.8))
    data = torch.from_numpy(rng.normal(centre, spread, 8000)).float()[:, None]
    with torch.random.fork_rng(()):
        torch.manual_seed(int(rng.integers(2**31)))
        model = ptheta.create(
            "gan",
            VectorSpec.of(1),
            g_hidden=(32, 32),
            d_hidden=(32, 32),
            lr=1e-3,
            d_lr=2e-3,
            beta1=0.5,
        )
        assert isinstance(model, GAN)
        shots, losses = _trained(model, data, rng)
    return Section(
        "Training in one dimension",
        [
            "A GAN of two small networks on numbers from one Gaussian, trained by alternating "
            "steps. The discriminator follows $p / (p + q)$, and its slope tells the generator "
            "where to move. Where both densities agree, it is near 1/2.",
        ],
        [],
        [
            Film(_film(shots, data), "Data (grey), samples (red), D (blue), p / (p + q) (dashed)."),
            Numbers(_training_numbers(shots, losses, data[:4000])),
        ],
        "ptheta train gan --data points-1d-pair --recipe points --out runs/gan-1d\n"
        "ptheta sample runs/gan-1d -n 2000 --out rows.csv",
    )


Shot = tuple[int, Tensor, Tensor]  # step, samples (N, 1), D on the middles of the cells


def _training_numbers(shots: Sequence[Shot], losses: np.ndarray, real: Tensor) -> list[Number]:
    """losses: as `_trained` returns them"""
    start, end = shots[0][1], shots[-1][1]
    return [
        Number(
            "error of the samples' mean at the end, at most that of the start",
            abs(float(end.mean() - real.mean())),
            abs(float(start.mean() - real.mean())),
            0.0,
            "<=",
        ),
        Number("error of the standard deviation", abs(float(end.std() - real.std()))),
        Number("accuracy of D in the last 100 steps", losses[:, 2].mean(), 0.5, 0.1),
        Number(
            "loss of D in the last 100 steps, $\\log 4$ at the equilibrium",
            losses[:, 0].mean(),
            2 * LOG2,
            0.12,
        ),
        Number(
            "loss of G in the last 100 steps, $\\log 2$ at the equilibrium",
            losses[:, 1].mean(),
            LOG2,
            0.25,
        ),
    ]


def _trained(model: GAN, data: Tensor, rng: np.random.Generator) -> tuple[list[Shot], np.ndarray]:
    """What is seen at the steps of `SHOWN`; and (LOGGED, 3): losses of D and G, accuracy of D."""
    game = model.game()
    engine = Engine(model, game, Group())
    middles = torch.from_numpy((CELLS[1:] + CELLS[:-1]) / 2).float()[:, None]
    shots, logs = [], []
    for step in range(STEPS + 1):
        if step in SHOWN:
            with torch.no_grad():
                shots.append((step, model.sample(4000), model.discriminate(middles).sigmoid()))
        batch = Batch(data[torch.from_numpy(rng.integers(0, len(data), 128))])
        DYNAMICS["alternating"].rule(engine, game, step + 1, batch)
        if step <= STEPS - LOGGED:
            continue
        with torch.no_grad():
            real, fake = model.discriminate(batch.x), model.discriminate(model.sample(128))
        logs.append(
            [
                float(LOSS.discriminator(real, fake).mean()),
                float(LOSS.generator(fake, real).mean()),
                float(accuracy(real, fake, 0.0).mean()),
            ]
        )
    return shots, np.array(logs)


def _film(shots: Sequence[Shot], data: Tensor) -> list[Frame]:
    real, _ = np.histogram(data.numpy(), CELLS, density=True)
    middles = (CELLS[1:] + CELLS[:-1]) / 2
    frames = []
    for step, samples, d in shots:
        made, _ = np.histogram(samples.numpy(), CELLS, density=True)

        def draw(axes: Sequence[Axes], made: np.ndarray = made, d: Tensor = d) -> None:
            best = real / np.maximum(real + made, 1e-9)
            seen = real + made > 0.01
            axes[0].fill_between(middles, real, step="mid", color=GREY, alpha=0.5)
            axes[0].step(middles, made, where="mid", color=COLOURS[1])
            axes[0].plot(middles, d, color=COLOURS[0])
            axes[0].plot(middles[seen], best[seen], "--", color=COLOURS[0], lw=0.9)
            axes[0].set(ylim=(0, 1.3), xlim=(-5, 5))
            label(axes[0], "x", "")

        frames.append(Frame(figure(draw, f"training at step {step}"), f"step {step}"))
    return frames


# -- after the equilibrium


def after(asked: Asked) -> Section:
    """A generator that begins at the equilibrium, against a discriminator of three features."""
    rng = asked.rng("after")
    moved, kept = _drifts(rng)
    return Section(
        "After the equilibrium: feedback without information",
        [
            "The generator $G(z) = \\mu + \\sigma z$ begins with exactly the parameters of the "
            "data. The discriminator still finds differences between its batches of 64, which are "
            "noise, and the generator follows them. Eight repetitions move away from the "
            "parameters that they had at the start. `ptheta train` stops this: it keeps the "
            "weights that were best on held-out data. Here the distance to these data is that of "
            f"their {HELD:,} quantiles from those of the generator.",
        ],
        [],
        [
            Figure(
                figure(
                    partial(_draw_drift, moved, kept),
                    "Distance from the equilibrium over steps, eight repetitions",
                    width=5.6,
                ),
                "Distance of ($\\mu$, $\\sigma$) from the data's, without stopping, and of the "
                "weights that were best on held-out data so far.",
            ),
            Numbers(
                [
                    Number(
                        f"mean distance of the eight after {DRIFT} steps",
                        float(moved[:, -1].mean()),
                        float(kept[:, -1].mean()),
                        0.0,
                        ">=",
                        "theory: at least that of the weights that were best on held-out data",
                    ),
                    Number(
                        f"smallest distance of the eight after {DRIFT} steps",
                        float(moved[:, -1].min()),
                    ),
                ]
            ),
        ],
    )


DRIFT, HELD = 400, 20_000  # steps; held-out numbers


def _drifts(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of eight repetitions, the distance from the data's parameters after each step: (8, steps +
    1) of the generator, and of the best one so far on held-out data."""
    moved, kept = [], []
    for _ in range(8):
        path = _drift(rng)
        held, z = np.sort(rng.normal(size=HELD)), norm.ppf((np.arange(HELD) + 0.5) / HELD)
        apart = np.array([np.abs(held - mean - abs(dev) * z).mean() for mean, dev in path])
        far = np.array([math.hypot(mean, abs(dev) - 1) for mean, dev in path])
        best = [int(apart[: step + 1].argmin()) for step in range(len(path))]
        moved.append(far)
        kept.append(far[best])
    return np.array(moved), np.array(kept)


def _drift(rng: np.random.Generator) -> list[tuple[float, float]]:
    """The parameters of the generator after each step."""
    generator = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    path = [(0.0, 1.0)]

    def features(x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x**2 - 1], 1)

    for _ in range(DRIFT):
        real, z = (torch.from_numpy(rng.normal(size=64)) for _ in range(2))
        fake = generator[0] + generator[1] * z
        loss = LOSS.discriminator(features(real) @ weights, features(fake.detach()) @ weights)
        (slope,) = torch.autograd.grad(loss.mean(), weights)
        weights = (weights - 0.2 * slope).detach().requires_grad_()
        d_fake = features(generator[0] + generator[1] * z) @ weights
        (slope,) = torch.autograd.grad(LOSS.generator(d_fake, d_fake).mean(), generator)
        generator = (generator - 0.1 * slope).detach().requires_grad_()
        mean, deviation = generator.tolist()
        path.append((mean, deviation))
    return path


def _draw_drift(moved: np.ndarray, kept: np.ndarray, axes: Sequence[Axes]) -> None:
    for path in moved:
        axes[0].plot(path, color=COLOURS[0], lw=0.7, alpha=0.6)
    axes[0].plot(moved.mean(0), color=COLOURS[1], lw=1.6, label="mean of eight")
    axes[0].plot(kept.mean(0), color=GREY, lw=1.6, label="mean, best on held-out data")
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "step after the equilibrium", "distance")
