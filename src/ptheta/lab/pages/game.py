"""The game of a GAN: optimal discriminator, saturation, equilibrium, and what comes after it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label
from ptheta.lab.pages.game_optimum import LOG2, LOSS, capacity, likelihood, optimal
from ptheta.lab.pages.game_training import after, training
from ptheta.lab.parts import Figure, Number, Numbers, Page, Section
from ptheta.losses.adversarial import LOSSES, accuracy


def page(asked: Asked) -> Page:
    return Page(
        "The game of a GAN",
        "The best discriminator is p / (p + q), and against it the generator minimises the "
        "Jensen-Shannon divergence. Real discriminators are not the best ones, and real training "
        "does not stop at the equilibrium.",
        [
            optimal(asked),
            capacity(asked),
            training(asked),
            _saturation(asked),
            _equilibrium(asked),
            after(asked),
            likelihood(asked),
        ],
        [
            "Goodfellow et al. 2014, arXiv:1406.2661 (proposition 1, theorem 1)",
            "Goodfellow 2014, arXiv:1412.6515 (the maximum-likelihood game)",
            "Arora et al. 2017, arXiv:1703.00573 (discriminators of finite capacity)",
        ],
    )


# -- saturation


def _saturation(asked: Asked) -> Section:
    d = torch.from_numpy(np.sort(asked.rng("saturation").normal(0, 4, 5))).requires_grad_()
    numbers = []
    for name, at_zero, sign in (("minimax", 0.0, -1), ("non_saturating", -1.0, 1)):
        (slope,) = torch.autograd.grad(LOSSES[name].generator(d, d).sum(), d)
        for at, found in zip(d.tolist(), slope.tolist(), strict=True):
            probability = 1 / (1 + math.exp(-at))
            numbers.append(
                Number(
                    f"{name}: slope at D = {probability:.4f}",
                    found,
                    at_zero + sign * probability,
                    1e-9,
                )
            )
    return Section(
        "Saturation",
        [
            "What the generator learns from is the slope of its loss in the logit d. With the "
            "minimax loss the slope is -D: where the discriminator rejects a sample with "
            "certainty, it is 0, and the generator learns nothing from its worst samples. With the "
            "non-saturating loss the slope is D - 1, which is largest there.",
        ],
        [
            "\\frac{\\partial}{\\partial d} \\log(1 - D) = -D, \\qquad "
            "\\frac{\\partial}{\\partial d} (-\\log D) = D - 1",
        ],
        [
            Figure(
                figure(_draw_saturation, "Size of the generator's gradient against D(G(z))"),
                "Size of the slope against D(G(z)).",
            ),
            Numbers(numbers),
        ],
        "ptheta train gan --data digits --loss minimax --out runs/minimax\n"
        "ptheta train gan --data digits --loss non_saturating --out runs/ns",
    )


def _draw_saturation(axes: Sequence[Axes]) -> None:
    d = torch.linspace(-9, 9, 200, dtype=torch.float64, requires_grad=True)
    for name, colour in (("minimax", COLOURS[0]), ("non_saturating", COLOURS[1])):
        (slope,) = torch.autograd.grad(LOSSES[name].generator(d, d).sum(), d)
        axes[0].plot(d.detach().sigmoid(), slope.abs(), color=colour, label=name)
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "D(G(z))", "size of the slope")


# -- the equilibrium


def _equilibrium(asked: Asked) -> Section:
    rng = asked.rng("equilibrium")
    n = 20_000
    mean, deviation = float(rng.normal()), float(rng.uniform(0.5, 2))
    real, fake = (torch.from_numpy(rng.normal(mean, deviation, n)) for _ in range(2))
    # the best logit of any kind is 0; this one is anything else
    slope = float(rng.uniform(0.5, 1.5))
    d_real, d_fake = slope * (real - mean), slope * (fake - mean)
    right = accuracy(d_real, d_fake, 0.0)
    zero = torch.zeros(1, dtype=torch.float64)
    return Section(
        "At the equilibrium",
        [
            "If the model has the distribution of the data, no discriminator is right more often "
            "than by chance, and the best output is D = 1/2. Each half of the discriminator's loss "
            "is then $\\log 2$ = 0.693, and so is the loss of the generator. `ptheta train` logs "
            "the sum of both halves, 1.386. Any other discriminator loses more.",
        ],
        ["D = \\tfrac12: \\qquad -\\log D = -\\log(1 - D) = \\log 2"],
        [
            Numbers(
                [
                    Number(
                        f"accuracy of a discriminator on {n:,} real and {n:,} equal examples",
                        float(right.mean()),
                        0.5,
                        4.5 * 0.5 / math.sqrt(2 * n),
                    ),
                    Number(
                        "loss of D = 1/2", float(LOSS.discriminator(zero, zero)), 2 * LOG2, 1e-12
                    ),
                    Number("loss of G at D = 1/2", float(LOSS.generator(zero, zero)), LOG2, 1e-12),
                    Number(
                        "loss of that discriminator",
                        float(LOSS.discriminator(d_real, d_fake).mean()),
                        2 * LOG2,
                        0.0,
                        ">=",
                    ),
                ]
            )
        ],
        "ptheta compare example:gan --out report    # its curves have lines at log 2 and log 4",
    )
