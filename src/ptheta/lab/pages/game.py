"""The game of a GAN: optimal discriminator, saturation, equilibrium, and what comes after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.dynamics import DYNAMICS
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Film, Frame, Number, Numbers, Page, Section
from ptheta.losses.adversarial import LOSSES, accuracy
from ptheta.models.adversarial.gan import GAN
from ptheta.specs import VectorSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group

LOG2 = math.log(2)
LOSS = LOSSES["non_saturating"]


@dataclass(frozen=True)
class Densities:
    """Two densities on a grid: x, p and q (N,), and the width of a cell; log_p at any x."""

    x: Tensor
    p: Tensor
    q: Tensor
    cell: float
    log_p: Callable[[Tensor], Tensor]

    def value(self, d: Tensor) -> Tensor:
        """E_p log D + E_q log(1 - D), of logits d on the grid: minus the discriminator's loss."""
        real, fake = d, d
        each = self.p * -LOSS.discriminator(real, torch.full_like(d, -math.inf))
        other = self.q * -LOSS.discriminator(torch.full_like(d, math.inf), fake)
        return (each + other).sum() * self.cell

    def jensen_shannon(self) -> float:
        """By entropies, of which a cell without mass has none: H((p + q) / 2) - H(p)/2 - H(q)/2."""
        parts = torch.special.entr(self.p) + torch.special.entr(self.q)
        return float((torch.special.entr((self.p + self.q) / 2) - parts / 2).sum() * self.cell)


def page(asked: Asked) -> Page:
    return Page(
        "The game of a GAN",
        "The best discriminator is p / (p + q), and against it the generator minimises the "
        "Jensen-Shannon divergence. Real discriminators are not the best ones, and real training "
        "does not stop at the equilibrium.",
        [
            _optimal(asked),
            _capacity(asked),
            _training(asked),
            _saturation(asked),
            _equilibrium(asked),
            _after(asked),
            _likelihood(asked),
        ],
        [
            "Goodfellow et al. 2014, arXiv:1406.2661 (proposition 1, theorem 1)",
            "Goodfellow 2014, arXiv:1412.6515 (the maximum-likelihood game)",
            "Arora et al. 2017, arXiv:1703.00573 (discriminators of finite capacity)",
        ],
    )


def _log_normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    square = ((x - mean) / deviation) ** 2
    return -0.5 * square - math.log(deviation * math.sqrt(2 * math.pi))


def _normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    return _log_normal(x, mean, deviation).exp()


def _densities(asked: Asked, name: str) -> Densities:
    """p is a mixture of two Gaussians, q is one."""
    rng = asked.rng(name)
    x = torch.linspace(-7, 7, 701, dtype=torch.float64)
    share = float(rng.uniform(0.3, 0.7))
    parts = [
        (share, float(rng.uniform(-2.5, -1)), float(rng.uniform(0.5, 0.9))),
        (1 - share, float(rng.uniform(1, 2.5)), float(rng.uniform(0.5, 0.9))),
    ]

    def log_p(x: Tensor) -> Tensor:
        return torch.stack(
            [math.log(w) + _log_normal(x, mean, deviation) for w, mean, deviation in parts]
        ).logsumexp(0)

    q = _normal(x, float(rng.uniform(-1, 1)), float(rng.uniform(0.9, 1.6)))
    return Densities(x, log_p(x).exp(), q, float(x[1] - x[0]), log_p)


# -- the best discriminator


def _optimal(asked: Asked) -> Section:
    found = _densities(asked, "optimal")
    best = found.p / (found.p + found.q)
    logits = _best_logits(found, len(found.x))
    learned = logits.sigmoid()
    # where neither density has mass, nothing teaches the discriminator
    taught = (found.p + found.q) > 1e-2
    divergence = found.jensen_shannon()
    return Section(
        "The optimal discriminator",
        [
            "A discriminator with one free logit for each x is trained by gradient on the exact "
            "loss. It becomes $p / (p + q)$, and the value of the game becomes twice the "
            "Jensen-Shannon divergence minus $\\log 4$.",
        ],
        [
            "D^*(x) = \\frac{p(x)}{p(x) + q(x)}, \\qquad "
            "V(D^*) = 2\\, \\mathrm{JS}(p, q) - \\log 4",
        ],
        [
            Figure(
                figure(
                    partial(_draw_optimal, found, best, learned),
                    "p, q, and the learned and the optimal discriminator",
                    width=6,
                ),
                "Data p, model q, and the discriminator: learned (dots) and optimal (line).",
            ),
            Numbers(
                [
                    Number(
                        "largest |D - p / (p + q)| where p + q > 0.01",
                        float((learned - best)[taught].abs().max()),
                        0.0,
                        1e-3,
                    ),
                    Number(
                        "value of the game",
                        float(found.value(logits)),
                        2 * divergence - math.log(4),
                        1e-4,
                    ),
                    Number("Jensen-Shannon divergence, nats", divergence, LOG2, 0.0, "<="),
                ]
            ),
        ],
        "ptheta ratio example:gan    # log p / q of examples, by a trained discriminator",
    )


def _best_logits(
    found: Densities, size: int, logits: Callable[[Tensor], Tensor] = lambda d: d
) -> Tensor:
    """The logits on the grid of the largest value, trained by gradient: (N,). logits: those of
    `size` weights, linear in them, so that the problem is concave; by default one weight for each
    x"""
    weights = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights],
        lr=1,
        max_iter=800,
        tolerance_grad=1e-13,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -found.value(logits(weights))
        loss.backward()
        return loss

    optimizer.step(closure)
    return logits(weights).detach()


def _draw_optimal(found: Densities, best: Tensor, learned: Tensor, axes: Sequence[Axes]) -> None:
    axes[0].plot(found.x, found.p, color=GREY, label="data p")
    axes[0].plot(found.x, found.q, color=COLOURS[1], label="model q")
    axes[0].plot(found.x, best, color=COLOURS[0], label="p / (p + q)")
    axes[0].plot(found.x[::14], learned[::14], ".", color=COLOURS[0], label="learned D")
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "x", "")


# -- finite capacity


def _capacity(asked: Asked) -> Section:
    found = _densities(asked, "capacity")
    divergence = found.jensen_shannon()
    scaled = found.x / 3
    numbers, least = [], -math.inf
    for degree in (0, 1, 2, 4):
        features = torch.stack([scaled**k for k in range(degree + 1)], 1)
        value = _best_value(found, features)
        numbers.append(
            Number(
                f"value with a logit of degree {degree}",
                value,
                -2 * LOG2 if degree == 0 else 2 * divergence - math.log(4),
                1e-4,
                "=" if degree == 0 else "<=",
                "theory: $-\\log 4$" if degree == 0 else "theory: $2\\,JS - \\log 4$",
            )
        )
        numbers.append(
            Number(f"degree {degree}, at least that of a smaller degree", value, least, 1e-6, ">=")
            if degree
            else Number("best constant output D", 0.5, 0.5)
        )
        least = value
    # two densities with the same mean and variance: no logit of degree 2 separates them
    mean = float((found.x * found.p).sum() * found.cell)
    variance = float(((found.x - mean) ** 2 * found.p).sum() * found.cell)
    alike = replace(found, q=_normal(found.x, mean, math.sqrt(variance)))
    blind = _best_value(alike, torch.stack([scaled**k for k in range(2)], 1))
    numbers.append(
        Number(
            "p against a Gaussian with its mean: value with a logit of degree 1",
            blind,
            -2 * LOG2,
            1e-3,
            how="although JS is " + f"{alike.jensen_shannon():.4f}",
        )
    )
    return Section(
        "A discriminator of finite capacity",
        [
            "Theory assumes a discriminator that can be any function. One whose logit is a "
            "polynomial of x has a smaller value, so that the generator minimises a lower bound of "
            "the divergence. If the discriminator only sees the mean, every model with the right "
            "mean is at the equilibrium, however different its density is.",
        ],
        ["\\max_{D \\in \\mathcal{F}} V(D) \\le 2\\, \\mathrm{JS}(p, q) - \\log 4"],
        [Numbers(numbers)],
    )


def _best_value(found: Densities, features: Tensor) -> float:
    """The largest value of logits that are linear in features (N, K)."""
    best = _best_logits(found, features.shape[1], lambda weights: features @ weights)
    return float(found.value(best))


# -- training in one dimension

STEPS, SHOWN = 700, (0, 50, 100, 150, 200, 250, 300, 400, 500, 600, 700)
LOGGED = 100  # steps at the end whose losses are averaged
CELLS = np.linspace(-5, 5, 81)


def _training(asked: Asked) -> Section:
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


# -- after the equilibrium


def _after(asked: Asked) -> Section:
    """A generator that begins at the equilibrium, against a discriminator of random features."""
    rng = asked.rng("after")
    runs = [_drift(rng) for _ in range(8)]
    moved = np.array(runs)  # (8, steps + 1): distance from the data's parameters
    return Section(
        "After the equilibrium: feedback without information",
        [
            "The generator $G(z) = \\mu + \\sigma z$ begins with exactly the parameters of the "
            "data. The discriminator still finds differences between its batches of 64, which are "
            "noise, and the generator follows them. Eight repetitions all move away, and the "
            "quality is worse than at the start. Stopping when the losses reach $\\log 2$, or "
            "keeping the weights that were best on held-out data, as `ptheta train` does, keeps "
            "the equilibrium.",
        ],
        [],
        [
            Figure(
                figure(
                    partial(_draw_drift, moved),
                    "Distance from the equilibrium over steps, eight repetitions",
                    width=5.6,
                ),
                "Distance of ($\\mu$, $\\sigma$) from the data's, without stopping. With stopping "
                "it stays 0.",
            ),
            Numbers(
                [
                    Number(
                        "smallest distance of the eight after 400 steps, more than 0",
                        float(moved[:, -1].min()),
                        0.0,
                        0.0,
                        ">=",
                    ),
                    Number(
                        "mean distance of the eight after 400 steps", float(moved[:, -1].mean())
                    ),
                    Number("distance when stopped at the start", float(moved[0, 0]), 0.0),
                ]
            ),
        ],
    )


def _drift(rng: np.random.Generator) -> list[float]:
    generator = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    moved = [0.0]

    def features(x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x**2 - 1], 1)

    for _ in range(400):
        real, z = (torch.from_numpy(rng.normal(size=64)) for _ in range(2))
        fake = generator[0] + generator[1] * z
        loss = LOSS.discriminator(features(real) @ weights, features(fake.detach()) @ weights)
        (slope,) = torch.autograd.grad(loss.mean(), weights)
        weights = (weights - 0.2 * slope).detach().requires_grad_()
        d_fake = features(generator[0] + generator[1] * z) @ weights
        (slope,) = torch.autograd.grad(LOSS.generator(d_fake, d_fake).mean(), generator)
        generator = (generator - 0.1 * slope).detach().requires_grad_()
        mean, deviation = generator.tolist()
        moved.append(math.hypot(mean, abs(deviation) - 1))
    return moved


def _draw_drift(moved: np.ndarray, axes: Sequence[Axes]) -> None:
    for path in moved:
        axes[0].plot(path, color=COLOURS[0], lw=0.7, alpha=0.6)
    axes[0].plot(moved.mean(0), color=COLOURS[1], lw=1.6, label="mean of eight")
    axes[0].axhline(0, color=GREY, lw=1, label="stopped")
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "step after the equilibrium", "distance")


# -- the maximum-likelihood game


def _likelihood(asked: Asked) -> Section:
    rng = asked.rng("likelihood")
    found = _densities(asked, "likelihood")
    mean, deviation = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(1.2, 1.7))
    theta = torch.tensor([mean, deviation], dtype=torch.float64, requires_grad=True)
    log_q = -0.5 * ((found.x - theta[0]) / theta[1]) ** 2 - theta[1].log()
    log_q = log_q - 0.5 * math.log(2 * math.pi)
    # KL(p, q) = E_p log p - E_p log q
    (kl,) = torch.autograd.grad(-(found.p * log_q).sum() * found.cell, theta, retain_graph=True)
    (reverse,) = torch.autograd.grad(
        (log_q.exp() * (log_q - found.p.log())).sum() * found.cell, theta
    )
    js = _js_gradient(found, theta)
    difference = "KL(q, p) - 2 JS(p, q) (Arjovsky & Bottou 2017, theorem 2.5)"
    theory = {  # loss -> the divergence, its gradient, the scale of the error
        "maximum_likelihood": ("KL(p, q)", kl, 1 + kl.abs()),
        "minimax": ("2 JS(p, q)", 2 * js, torch.ones_like(js)),
        "non_saturating": (difference, reverse - 2 * js, 1 + reverse.abs()),
    }
    numbers = [
        Number(
            f"{loss}: gradient in ${name}$",
            float(_through_samples(found, theta, LOSSES[loss].generator)[i]),
            float(gradient[i]),
            2e-3 * float(scale[i]),
            how=f"theory: of {divergence}",
        )
        for loss, (divergence, gradient, scale) in theory.items()
        for i, name in enumerate(("\\mu", "\\sigma"))
    ]
    return Section(
        "Which divergence the generator's loss minimises",
        [
            "With the optimal discriminator held fixed, the gradient of each generator loss is the "
            "gradient of a divergence. The loss $-\\exp(d)$ gives the KL divergence: a GAN can do "
            "maximum likelihood. The minimax loss gives twice the Jensen-Shannon divergence, the "
            "non-saturating one a difference of divergences.",
        ],
        [
            "\\nabla E_z[-e^{d^*(G(z))}] = \\nabla \\mathrm{KL}(p, q), \\qquad "
            "d^*(x) = \\log \\frac{p(x)}{q(x)}",
        ],
        [Numbers(numbers, "Gradients in the mean and the deviation of a Gaussian generator")],
        "ptheta train gan --data points-1d-unequal --recipe points --loss maximum_likelihood "
        "--out runs/likelihood",
    )


def _through_samples(
    found: Densities, theta: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The gradient of E_z loss(d*(G(z))) in theta; z on a grid, d* fixed and interpolated."""
    z = torch.linspace(-4.2, 4.2, 20_001, dtype=torch.float64)
    weight = _normal(z, 0.0, 1.0)
    weight = weight / weight.sum()
    mean, deviation = theta.detach()
    x = (theta[0] + theta[1] * z).detach().requires_grad_()
    log_q = -0.5 * ((x - mean) / deviation) ** 2 - deviation.log() - 0.5 * math.log(2 * math.pi)
    d = found.log_p(x) - log_q
    each = loss(d, torch.zeros_like(d))
    (in_x,) = torch.autograd.grad((weight * each).sum(), x)
    return torch.stack([in_x.sum(), (in_x * z).sum()])


def _js_gradient(found: Densities, theta: Tensor) -> Tensor:
    q = torch.distributions.Normal(theta[0], theta[1], validate_args=False).log_prob(found.x).exp()
    mean = (found.p + q) / 2
    value = 0.5 * (found.p * (found.p / mean).log() + q * (q / mean).log()).sum() * found.cell
    (slope,) = torch.autograd.grad(value, theta)
    return slope
