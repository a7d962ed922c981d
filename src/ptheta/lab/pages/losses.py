"""The loss table of GANs: every row is trained on the same points, and so is every trick."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

import ptheta
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Part, Section, Table
from ptheta.lab.trained import Training
from ptheta.measures.kernel import gaussian, kernel_distance
from ptheta.measures.modes import Mixture, reached
from ptheta.models.adversarial.gan import GAN
from ptheta.models.base import Model

DEVIATION = 0.1  # of a mode
KERNEL = gaussian(0.5)
SEEN = 1000  # samples that are judged
LEAST = 1 / 4  # of its share of the samples that a mode needs to count
NETS: dict[str, object] = {
    "net": "mlp",
    "g_hidden": (64, 64),
    "d_hidden": (64, 64),
    "g_norm": "none",
    "latent": 8,
    "lr": 2e-3,
}


@dataclass(frozen=True)
class Row:
    """A row of the loss table.

    Attributes:
        discriminator: What D minimises.
        generator: What G minimises.
        options: Of the model `gan`.
    """

    discriminator: str
    generator: str
    options: Mapping[str, object] = field(default_factory=dict)


MINIMAX = "-\\log D(x) - \\log(1 - D(\\hat x))"
CRITIC = "d(\\hat x) - d(x)"
ROWS: dict[str, Row] = {
    "minimax": Row(MINIMAX, "\\log(1 - D(\\hat x))", {"loss": "minimax"}),
    "non-saturating": Row(MINIMAX, "-\\log D(\\hat x)"),
    "LSGAN": Row(
        "\\frac12 (d(x) - 1)^2 + \\frac12 d(\\hat x)^2",
        "\\frac12 (d(\\hat x) - 1)^2",
        {"loss": "least_squares"},
    ),
    "WGAN": Row(
        f"{CRITIC}, \\quad |w| \\le c",
        "-d(\\hat x)",
        {"loss": "wasserstein", "weight_clip": 0.1, "optimizer": "rmsprop"},
    ),
    "WGAN-GP": Row(
        f"{CRITIC} + \\lambda (|\\nabla d(\\tilde x)| - 1)^2",
        "-d(\\hat x)",
        {
            "loss": "wasserstein",
            "penalty": ("gp",),
            "penalty_weight": 0.1,
            "critic_steps": 2,
            "beta1": 0.0,
        },
    ),
    "DRAGAN": Row(
        f"{MINIMAX} + \\lambda (|\\nabla d(x + \\delta)| - 1)^2",
        "-\\log D(\\hat x)",
        {"penalty": ("dragan",), "penalty_weight": 0.1},
    ),
    "BEGAN": Row(
        "|x - \\mathrm{AE}(x)| - k |\\hat x - \\mathrm{AE}(\\hat x)|",
        "|\\hat x - \\mathrm{AE}(\\hat x)|",
        {"loss": "began", "code": 1, "lr": 5e-4},
    ),
    "hinge": Row("\\max(0, 1 - d(x)) + \\max(0, 1 + d(\\hat x))", "-d(\\hat x)", {"loss": "hinge"}),
    "relativistic": Row(
        "-\\log \\sigma(d(x) - d(\\hat x))",
        "-\\log \\sigma(d(\\hat x) - d(x))",
        {"loss": "relativistic"},
    ),
}
TABLE = Training("gan", NETS, 700, 64, decay=False, every=100)
# a generator that learns eight times as fast as the discriminator follows it to one place
FRAGILE = replace(TABLE, options=NETS | {"lr": 4e-3, "d_lr": 5e-4}, steps=400)
TRICKS: dict[str, dict[str, object]] = {
    "feature matching": {"feature_matching": 1.0},
    "minibatch discrimination": {"minibatch": "discrimination"},
    "minibatch deviation": {"minibatch": "stddev"},
    "virtual batch norm": {"g_norm": "virtual"},
    "one-sided label smoothing": {"label_smoothing": 0.1},
    "noisy labels": {"label_noise": 0.1},
    "flipped labels": {"label_flips": 0.05},
    "spherical z": {"prior": "sphere"},
    "instance noise": {"instance_noise": 0.5, "instance_noise_steps": 400},
    "experience replay": {"replay": 500},
    "dropout in G": {"g_dropout": 0.2},
    "gradient penalty": {"penalty": ("r1",), "penalty_weight": 1.0},
    "spectral norm": {"spectral_norm": True},
}
WITHOUT_AND_WITH: dict[str, dict[str, object]] = {"without": {}} | TRICKS
SEEDS = 3


@dataclass(frozen=True)
class Ring:
    """Eight Gaussians on a ring of radius 2, turned by the seed.

    Attributes:
        data: The training points.
        held: As many others, (SEEN, 2).
        modes: The mixture.
    """

    data: Dataset
    held: Tensor
    modes: Mixture

    @classmethod
    def of(cls, asked: Asked) -> Ring:
        rng = asked.rng("ring")
        angles = rng.uniform(0, 2 * math.pi) + np.arange(8) * math.pi / 4
        means = 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
        drawn = means[rng.integers(0, 8, 8000)] + DEVIATION * rng.normal(size=(8000, 2))
        held = means[rng.integers(0, 8, SEEN)] + DEVIATION * rng.normal(size=(SEEN, 2))
        deviations = torch.full((8,), DEVIATION, dtype=torch.float64)
        data = ptheta.open_data(drawn.astype(np.float32))
        return cls(data, torch.from_numpy(held), Mixture(torch.from_numpy(means), deviations))

    def modes_of(self, x: Tensor) -> int:
        """How many modes are the nearest one of at least `LEAST` of an eighth of the samples."""
        counts = torch.bincount(reached(x, self.modes).mode, minlength=8)
        return int((counts >= LEAST * len(x) / len(counts)).sum())

    def good(self, x: Tensor) -> float:
        """Share of samples within three deviations of a mode."""
        return float(reached(x, self.modes).good.float().mean())

    def distance(self, x: Tensor) -> float:
        """MMD of samples and other points, with a Gaussian kernel of width 0.5."""
        return math.sqrt(max(0.0, kernel_distance(x.double(), self.held, kernel=KERNEL)[0]))


@dataclass(frozen=True)
class Trained:
    """A training: samples at the end, and the distance to the data at each step that was seen."""

    samples: Tensor
    steps: list[int]
    distances: list[float]
    model: Model

    @classmethod
    def by(cls, training: Training, ring: Ring, seed: int, what: str) -> Trained:
        steps, distances = [], []

        def watch(step: int, model: Model) -> None:
            steps.append(step)
            distances.append(ring.distance(_drawn(model, seed)))

        model = replace(training, watch=watch).run(ring.data, seed, what)
        return cls(_drawn(model, seed), steps, distances, model)


@torch.no_grad()
def _drawn(model: Model, seed: int) -> Tensor:
    assert isinstance(model, GAN)
    with seeded(seed):
        return model.sample(SEEN)


def page(asked: Asked) -> Page:
    ring = Ring.of(asked)
    return Page(
        "The loss table, and tricks of training",
        "Losses of GANs differ in what the discriminator estimates, and most of them learn the "
        "same small distribution. Whether a trick cures a collapse depends on its cause, and only "
        "repetitions tell.",
        [_table(ring, asked), _tricks(ring, asked)],
        [
            "Lucic et al. 2018, arXiv:1711.10337 (the loss table; no loss is always better)",
            "Goodfellow et al. 2014, arXiv:1406.2661; Mao et al. 2017, arXiv:1611.04076",
            "Arjovsky et al. 2017, arXiv:1701.07875; Gulrajani et al. 2017, arXiv:1704.00028",
            "Kodali et al. 2017, arXiv:1705.07215; Berthelot et al. 2017, arXiv:1703.10717",
            "Salimans et al. 2016, arXiv:1606.03498 (tricks)",
        ],
    )


# -- the table


def _table(ring: Ring, asked: Asked) -> Section:
    found = {
        name: Trained.by(
            replace(TABLE, options=NETS | dict(row.options)), ring, asked.number(name), name
        )
        for name, row in ROWS.items()
    }
    return Section(
        "Seven losses, and two more",
        [
            "Each row is trained with the same networks on eight Gaussians on a ring. D is the "
            "sigmoid of the output d, $\\hat x$ a sample, AE the discriminator of BEGAN, which is "
            "an autoencoder. The distance is the MMD with a Gaussian kernel: 0 for equal "
            "distributions, and about 0.03 by chance for this many samples.",
            "A mode counts if it is the nearest one of a quarter of its share of the samples. One "
            "run of each says little about which loss is better: another seed changes the order. "
            "BEGAN was made for images: its autoencoder has nothing to leave out of two numbers, "
            f"and it finds {ring.modes_of(found['BEGAN'].samples)} of the eight modes here.",
        ],
        [],
        [
            Table(
                ("loss", "D minimises", "G minimises"),
                [(name, f"${r.discriminator}$", f"${r.generator}$") for name, r in ROWS.items()],
            ),
            *_pictures(found, ring),
            Figure(
                figure(
                    partial(_draw_curves, found),
                    "Distance to the data over steps for each loss",
                    width=6.4,
                    height=3.6,
                ),
                "Distance to the data while training.",
            ),
            Table(
                ("loss", "modes of 8", "near a mode", "distance"),
                [
                    (
                        name,
                        str(ring.modes_of(one.samples)),
                        f"{ring.good(one.samples):.2f}",
                        f"{one.distances[-1]:.3f}",
                    )
                    for name, one in found.items()
                ],
            ),
            Numbers(_table_numbers(found)),
        ],
        "ptheta train gan --data points-ring --recipe points --loss wasserstein --penalty gp "
        "--minibatch none --out runs/wgan-gp\n"
        "ptheta train gan --data points-ring --recipe points --loss hinge --out runs/hinge\n"
        "ptheta compare runs/wgan-gp runs/hinge --out report",
    )


def _pictures(found: Mapping[str, Trained], ring: Ring) -> list[Part]:
    """Samples of each loss, three in a figure."""
    names = [*found]
    return [
        Figure(
            figure(
                partial(_draw_samples, {n: found[n].samples for n in names[i : i + 3]}, ring),
                f"Samples of {', '.join(names[i : i + 3])}",
                count=3,
                width=8.4,
                height=2.9,
            ),
            f"Samples after {TABLE.steps:,} steps (colour) and the data (grey).",
        )
        for i in range(0, len(names), 3)
    ]


def _table_numbers(found: Mapping[str, Trained]) -> list[Number]:
    numbers = [
        Number(
            f"{name}: least distance while training",
            min(one.distances),
            one.distances[0],
            0.0,
            "<=",
            "theory: that before training",
        )
        for name, one in found.items()
    ]
    clipped = found["WGAN"].model
    assert isinstance(clipped, GAN)
    weights = [float(p.detach().abs().max()) for p in clipped.discriminator.parameters()]
    clip = float(str(ROWS["WGAN"].options["weight_clip"]))
    numbers.append(Number("WGAN: largest weight of the critic", max(weights), clip, 1e-7, "<="))
    return numbers


def _draw_samples(shown: Mapping[str, Tensor], ring: Ring, axes: Sequence[Axes]) -> None:
    for axis, (name, x), colour in zip(axes, shown.items(), COLOURS, strict=False):
        axis.scatter(ring.held[:, 0], ring.held[:, 1], s=5, color=GREY, lw=0, rasterized=True)
        axis.scatter(x[:, 0], x[:, 1], s=4, color=colour, lw=0, rasterized=True)
        axis.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        label(axis, "", "", name)


def _draw_curves(found: Mapping[str, Trained], axes: Sequence[Axes]) -> None:
    for (name, one), colour in zip(found.items(), COLOURS, strict=False):
        axes[0].plot(one.steps, one.distances, color=colour, lw=1.2, label=name)
    axes[0].set_ylim(bottom=0)
    axes[0].legend(fontsize=7, frameon=False, ncols=3)
    label(axes[0], "step", "distance (MMD)")


# -- tricks


def _tricks(ring: Ring, asked: Asked) -> Section:
    found = _with_tricks(ring, asked)
    modes = {name: [ring.modes_of(one.samples) for one in runs] for name, runs in found.items()}
    means = {name: float(np.mean([r.distances[-1] for r in runs])) for name, runs in found.items()}
    rows = [
        (
            name,
            ", ".join(map(str, modes[name])),
            f"{np.mean([ring.good(one.samples) for one in runs]):.2f}",
            f"{means[name]:.3f}",
            verdict(modes["without"], modes[name]) if name != "without" else "",
        )
        for name, runs in found.items()
    ]
    best = min(means, key=lambda name: means[name])
    return Section(
        "Each trick with and without",
        [
            "The same GAN in a setting in which it finds "
            f"{' or '.join(map(str, sorted(set(modes['without']))))} of eight modes: the generator "
            "learns eight times as fast as the discriminator, so that samples go where D is "
            "largest, and this place then moves. Each "
            "trick is added alone, with three seeds. A mode counts if it is the nearest one of a "
            "quarter of its share of the samples.",
            "With three seeds only large effects can be seen: the last column says less if no "
            "seed has fewer modes than without and all together have more, and cured if every "
            "seed then has all eight.",
        ],
        [],
        [
            Table(
                ("trick", "modes of 8, each seed", "near a mode", "mean distance", "collapse"), rows
            ),
            Figure(
                figure(
                    partial(
                        _draw_samples,
                        {
                            f"{n}, seed 1": found[n][0].samples
                            for n in dict.fromkeys(("without", best))
                        },
                        ring,
                    ),
                    "Samples without tricks and with the trick of the least distance",
                    count=2,
                    width=5.8,
                    height=2.9,
                ),
                f"Without a trick, and with the least mean distance ({best}).",
            ),
            Numbers(_trick_numbers(modes)),
        ],
        "ptheta sweep gan --data points-ring --recipe points --vary minibatch=none,discrimination "
        "--seeds 3 --out runs/tricks",
    )


def _with_tricks(ring: Ring, asked: Asked) -> dict[str, list[Trained]]:
    """The runs without and with each trick, one for each seed."""
    seeds = [asked.number(f"trick {i}") for i in range(SEEDS)]
    return {
        name: [
            Trained.by(
                replace(FRAGILE, options={**FRAGILE.options, **options}, every=FRAGILE.steps),
                ring,
                seed,
                name,
            )
            for seed in seeds
        ]
        for name, options in WITHOUT_AND_WITH.items()
    }


def _trick_numbers(modes: Mapping[str, Sequence[int]]) -> list[Number]:
    """modes: those found with each trick, for each seed"""
    return [
        Number("mean modes without a trick", float(np.mean(modes["without"]))),
        Number(
            "mean modes with the best trick",
            max(float(np.mean(m)) for m in modes.values()),
            float(np.mean(modes["without"])),
            0.0,
            ">=",
        ),
        Number(
            "tricks of the table that cure the collapse",
            sum(verdict(modes["without"], m) == "cured" for m in modes.values()),
            len(TRICKS),
            0.0,
            "<=",
        ),
    ]


def verdict(without: Sequence[int], modes: Sequence[int]) -> str:
    """Whether a trick finds more modes, in words; both of the same seeds."""
    pairs = list(zip(without, modes, strict=True))
    if sum(modes) > sum(without) and all(b >= a for a, b in pairs):
        return "cured" if min(modes) == 8 else "less"
    if sum(modes) < sum(without) and all(b <= a for a, b in pairs):
        return "worse"
    return "no clear difference"
