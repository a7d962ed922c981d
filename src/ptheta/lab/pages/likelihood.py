"""Maximum likelihood: of a Gaussian, of tables, of hidden variables, along a graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

import ptheta
from ptheta.capabilities import HasLogProb
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label
from ptheta.lab.parts import Film, Frame, Number, Numbers, Page, Section, Table
from ptheta.specs import ImageSpec

EXACT = 1e-10  # rounding of sums in float64
SE = 4.5  # standard errors within which an average of draws lies


def page(asked: Asked) -> Page:
    return Page(
        "Maximum likelihood",
        "Learning by maximum likelihood chooses the distribution under which the data are most "
        "probable, which is the one with the least KL divergence from the data's distribution.",
        [_gaussian(asked), _entropies(asked), _hidden(asked), _graph(asked), _tables(asked)],
        [
            "Goodfellow 2016, arXiv:1701.00160 (section 2.1)",
            "Larochelle & Murray 2011 (NADE); Frey 1998 (fully visible belief networks)",
        ],
    )


# -- a Gaussian


def _gaussian(asked: Asked) -> Section:
    rng = asked.rng("points")
    mean, deviation = rng.uniform(-2, 2), rng.uniform(0.5, 1.5)
    x = torch.from_numpy(rng.normal(mean, deviation, 40))
    best_mean, best_deviation = float(x.mean()), float(x.std(correction=0))
    path = _descend(x)
    end_mean, end_deviation = path[-1]
    best = _log_likelihood(x, best_mean, best_deviation)
    nudged = [
        _log_likelihood(x, best_mean + dm, best_deviation * math.exp(ds))
        for dm, ds in itertools.product((-0.01, 0.0, 0.01), repeat=2)
        if (dm, ds) != (0.0, 0.0)
    ]
    return Section(
        "A Gaussian, in closed form and by gradient",
        [
            f"{len(x)} points were drawn from a Gaussian with mean {mean:.2f} and standard "
            f"deviation {deviation:.2f}. The derivative of the log-likelihood is zero at the mean "
            "and the standard deviation of the sample. Gradient ascent finds the same values.",
        ],
        [
            "\\log p(x_1, \\dots, x_n) = \\sum_{i=1}^n \\log \\mathcal{N}(x_i; \\mu, \\sigma^2)",
            "\\hat\\mu = \\frac{1}{n} \\sum_i x_i, \\qquad "
            "\\hat\\sigma^2 = \\frac{1}{n} \\sum_i (x_i - \\hat\\mu)^2",
        ],
        [
            Film(_film(x, path), "The points, and the Gaussian at each step of gradient ascent."),
            Numbers(
                [
                    Number("$\\hat\\mu$ by gradient ascent", end_mean, best_mean, 1e-6),
                    Number(
                        "$\\hat\\sigma$ by gradient ascent", end_deviation, best_deviation, 1e-6
                    ),
                    Number(
                        "largest log-likelihood of eight neighbours of the maximum",
                        max(nudged),
                        best,
                        0.0,
                        "<=",
                        "theory: the log-likelihood at the maximum",
                    ),
                ]
            ),
        ],
        "ptheta train gaussian --data points-1d-pair --recipe points --out runs/gaussian\n"
        "ptheta density runs/gaussian --out density.csv",
    )


def _log_likelihood(x: torch.Tensor, mean: float, deviation: float) -> float:
    return float(torch.distributions.Normal(mean, deviation, False).log_prob(x).sum())


def _descend(x: torch.Tensor) -> list[tuple[float, float]]:
    """Mean and standard deviation after each step of gradient ascent on the mean log-likelihood."""
    theta = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)  # mu, log sigma
    path = []
    for _ in range(400):
        mean, log_deviation = theta
        path.append((float(mean.detach()), float(log_deviation.detach().exp())))
        loss = (log_deviation + 0.5 * ((x - mean) / log_deviation.exp()).square()).mean()
        (slope,) = torch.autograd.grad(loss, theta)
        # the Fisher information of a Gaussian is diag(1 / sigma^2, 2): a natural gradient step
        scale = torch.stack([(2 * log_deviation).exp(), torch.full_like(mean, 0.5)])
        theta = (theta - 0.15 * scale * slope).detach().requires_grad_()
    return path


def _film(x: torch.Tensor, path: Sequence[tuple[float, float]]) -> list[Frame]:
    low, high = float(x.min()) - 1.5, float(x.max()) + 1.5
    grid = np.linspace(min(low, -3), max(high, 3), 200)
    frames = []
    for step in (0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 25, 30, 40, 60, len(path) - 1):

        def draw(axes: Sequence[Axes], at: tuple[float, float] = path[step]) -> None:
            mean, deviation = at
            density = np.exp(-0.5 * ((grid - mean) / deviation) ** 2)
            axes[0].plot(grid, density / (deviation * math.sqrt(2 * math.pi)), color=COLOURS[0])
            axes[0].plot(x, np.zeros(len(x)), "|", color=COLOURS[1], ms=12)
            axes[0].set(ylim=(-0.03, 1.05))
            label(axes[0], "x", "density")

        name = f"step {step}, log-likelihood {_log_likelihood(x, *path[step]):.2f}"
        frames.append(Frame(figure(draw, name), name))
    return frames


# -- entropy, cross entropy, KL


def _entropies(asked: Asked) -> Section:
    rng = asked.rng("tables")
    p, q = rng.dirichlet(np.full(6, 1.5)), rng.dirichlet(np.full(6, 1.5))
    draws = rng.choice(6, 200_000, p=p)
    surprise = -np.log(q)[draws]
    error = float(surprise.std() / math.sqrt(len(draws)))
    entropy, cross = float(-(p * np.log(p)).sum()), float(-(p * np.log(q)).sum())
    forward, reverse = float((p * np.log(p / q)).sum()), float((q * np.log(q / p)).sum())
    # a model of the same table, learned by gradient: the KL left is 0
    logits = torch.zeros(6, dtype=torch.float64)
    target = torch.from_numpy(p)
    for _ in range(3000):
        logits = logits + 2.0 * (target - logits.softmax(0))  # the gradient of E_p[log q]
    learned = float((target * (target.log() - logits.log_softmax(0))).sum())
    return Section(
        "KL divergence: cross entropy minus entropy",
        [
            "Two random tables p and q of six values. The expected negative log-likelihood of q "
            "under p is the cross entropy. The entropy of p does not depend on q, so that "
            "minimising the one minimises the KL divergence. The KL divergence is not symmetric.",
        ],
        [
            "\\mathrm{KL}(p, q) = \\sum_x p(x) \\log \\frac{p(x)}{q(x)} = "
            "\\underbrace{-\\sum_x p(x) \\log q(x)}_{H(p, q)} - "
            "\\underbrace{\\left(-\\sum_x p(x) \\log p(x)\\right)}_{H(p)} \\ge 0",
        ],
        [
            Numbers(
                [
                    Number("KL(p, q) by its definition", forward, cross - entropy, EXACT),
                    Number(
                        "mean negative log-likelihood of 200,000 draws",
                        float(surprise.mean()),
                        cross,
                        SE * error,
                        how="theory: H(p, q), within 4.5 standard errors",
                    ),
                    Number("KL(p, q), which is at least 0", forward, 0.0, 0.0, ">="),
                    Number("KL(q, p), which is at least 0", reverse, 0.0, 0.0, ">="),
                    Number("difference of the two directions", forward - reverse),
                    Number(
                        "KL(p, q) after maximum likelihood of a softmax by gradient",
                        learned,
                        0.0,
                        1e-9,
                    ),
                ]
            )
        ],
    )


# -- a hidden variable


def _hidden(asked: Asked) -> Section:
    rng = asked.rng("hidden")
    prior = torch.from_numpy(rng.dirichlet(np.full(3, 3.0)))
    means = torch.from_numpy(rng.normal(0, 2, 3)).requires_grad_()
    x = torch.from_numpy(rng.normal(0, 2, 25))
    each = -0.5 * (x[:, None] - means) ** 2 - 0.5 * math.log(2 * math.pi)
    joint = prior.log() + each
    whole, inside = joint.logsumexp(1).sum(), (prior * each).sum()
    (slope,) = torch.autograd.grad(whole, means, retain_graph=True)
    total = float(whole.detach())
    posterior = joint.softmax(1)
    expected = (posterior * (x[:, None] - means)).sum(0)
    known = float((posterior * (joint - posterior.log())).sum().detach())
    return Section(
        "A hidden variable puts a sum inside the logarithm",
        [
            "Three hidden values z with Gaussians of x. The log-likelihood of x is the logarithm "
            "of a sum, which does not split into a sum of logarithms: the parameters of all three "
            "Gaussians are coupled. Moving the sum out gives a lower bound (Jensen). With the "
            "posterior in place of the prior, and its entropy, the bound is exact.",
        ],
        [
            "\\log p(x) = \\log \\sum_z p(z) p(x | z) \\ge \\sum_z p(z) \\log p(x | z)",
            "\\frac{\\partial}{\\partial \\mu_z} \\log p(x) = "
            "p(z | x) \\frac{\\partial}{\\partial \\mu_z} \\log p(x | z)",
        ],
        [
            Numbers(
                [
                    Number(
                        "sum moved out of the logarithm, nats",
                        float(inside.detach()),
                        total,
                        0.0,
                        "<=",
                        "theory: $\\log p(x)$",
                    ),
                    Number("the same bound with the posterior, nats", known, total, 1e-9),
                    *(
                        Number(
                            f"derivative of $\\log p(x)$ by the mean of component z = {k}",
                            float(slope[k]),
                            float(expected[k].detach()),
                            1e-9,
                            how="theory: by the posterior",
                        )
                        for k in range(3)
                    ),
                ]
            )
        ],
        "ptheta train mixture --data points-ring --recipe points --out runs/mixture",
    )


# -- marginalisation along a graph


def _graph(asked: Asked) -> Section:
    rng = asked.rng("graph")
    values, length = 4, 6
    first = rng.dirichlet(np.ones(values))
    moves = [rng.dirichlet(np.ones(values), values) for _ in range(length - 1)]
    table = first.copy()
    for move in moves:
        table = table[..., None] * move.reshape((1,) * (table.ndim - 1) + move.shape)
    brute = table.sum(tuple(range(length - 1)))
    message = first
    for move in moves:
        message = message @ move
    return Section(
        "Marginalisation along a graph",
        [
            f"A chain of {length} variables with {values} values each. The joint table has "
            f"$4^6$ = {values**length:,} cells, and the marginal of the last variable is a sum "
            "over all of them. The graph says that each variable depends only on the one before, "
            f"so that the sum can be done one variable at a time, with {length - 1} products of "
            "a vector and a matrix.",
        ],
        [
            "p(x_6) = \\sum_{x_1} \\cdots \\sum_{x_5} p(x_1) \\prod_{t=2}^6 p(x_t | x_{t-1}) = "
            "\\sum_{x_5} p(x_6 | x_5) \\cdots \\sum_{x_1} p(x_2 | x_1) p(x_1)",
        ],
        [
            Numbers(
                [
                    Number("sum of the whole table", float(table.sum()), 1.0, EXACT),
                    *(
                        Number(
                            f"$p(x_6 = {k})$ by sums along the chain",
                            float(message[k]),
                            float(brute[k]),
                            EXACT,
                            how="theory: sum over the table",
                        )
                        for k in range(values)
                    ),
                ]
            )
        ],
        "ptheta models gsn --graph chain.png",
    )


# -- how many parameters


def _tables(asked: Asked) -> Section:
    """Parameters of a full table of binary pixels against those of models that factorise."""
    generator = asked.generator("parameters")
    numbers, rows = [], []
    for side in (4, 6, 8):
        spec, pixels, hidden = ImageSpec(1, side, side, 2), side * side, 16
        made = {
            "fvsbn": (ptheta.create("fvsbn", spec), pixels * (pixels + 1) // 2),
            "nade": (ptheta.create("nade", spec, hidden=hidden), 2 * pixels * hidden + pixels),
        }
        for name, (model, theory) in made.items():
            note = f" with H = {hidden}" if name == "nade" else ""
            numbers.append(
                Number(
                    f"{name}{note}, {side}x{side} pixels: parameters that change p(x)",
                    _used(model, spec, generator),
                    theory,
                )
            )
    for side in (2, 3, 4, 28, 200):
        pixels = side * side
        table = f"{2**pixels - 1:,}" if pixels < 20 else f"a number of {_digits(pixels):,} digits"
        nade = 2 * pixels * 500 + pixels
        rows.append((f"{side}x{side}", table, f"{pixels * (pixels + 1) // 2:,}", f"{nade:,}"))
    return Section(
        "Why the structure is needed: $2^{40000} - 1$ parameters",
        [
            "A table of the probabilities of all black and white images of 200 x 200 pixels has "
            "$2^{40000} - 1$ free parameters. By the chain rule with a logistic regression for "
            "each pixel (`fvsbn`) there are $D (D + 1) / 2$, and with a shared hidden layer of H "
            "units (`nade`) there are $2 D H + D$ that can change p(x): the weights from the last "
            "pixel are never read.",
        ],
        ["p(x) = \\prod_{i=1}^D p(x_i | x_1, \\dots, x_{i-1})"],
        [
            Table(("pixels", "full table", "fvsbn", "nade, H = 500"), rows),
            Numbers(numbers, "Counted in the models of ptheta"),
        ],
        "ptheta train nade --data digits --levels 2 --out runs/nade --dry-run",
    )


def _digits(pixels: int) -> int:
    return math.floor(pixels * math.log10(2)) + 1


def _used(model: torch.nn.Module, spec: ImageSpec, generator: torch.Generator) -> int:
    """The parameters that log p(x) depends on; masked weights are stored, but have no effect."""
    assert isinstance(model, HasLogProb)
    x = torch.randint(0, 2, (64, *spec.shape), generator=generator, dtype=torch.uint8)
    for p in model.parameters():
        torch.nn.init.normal_(p, generator=generator)
    model.log_prob(x).sum().backward()
    return sum(int((p.grad != 0).sum()) for p in model.parameters() if p.grad is not None)
