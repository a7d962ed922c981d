"""The best discriminator, those of finite capacity, and the divergences of generator losses: three
sections of the page on the game of a GAN."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Section
from ptheta.losses.adversarial import LOSSES

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


def _log_normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    square = ((x - mean) / deviation) ** 2
    return -0.5 * square - math.log(deviation * math.sqrt(2 * math.pi))


def _normal(x: Tensor, mean: float, deviation: float) -> Tensor:
    return _log_normal(x, mean, deviation).exp()


def _densities(asked: Asked, name: str) -> Densities:
    """p is a mixture of two Gaussians, q is one."""
    rng = asked.rng(name)
    x = torch.linspace(-14, 14, 1401, dtype=torch.float64)  # 5 deviations of any q, and more
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


def optimal(asked: Asked) -> Section:
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
    weights = torch.full((size,), 0.5, dtype=torch.float64, requires_grad=True)
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
    axes[0].set_xlim(-7, 7)
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "x", "")


# -- finite capacity


def capacity(asked: Asked) -> Section:
    found = _densities(asked, "capacity")
    divergence = found.jensen_shannon()
    scaled = found.x / 3
    numbers, least = [], -math.inf
    for degree in (0, 1, 2, 4):
        features = torch.stack([scaled**k for k in range(degree + 1)], 1)
        best = _best_linear(found, features)
        value = float(found.value(best))
        numbers.append(
            Number(
                f"value with a logit of degree {degree}",
                value,
                -2 * LOG2 if degree == 0 else 2 * divergence - math.log(4),
                1e-4,
                "=" if degree == 0 else "<=",
                "theory: $-\\log 4$" if degree == 0 else "theory: $2\\,\\mathrm{JS} - \\log 4$",
            )
        )
        numbers.append(
            Number(f"degree {degree}, at least that of a smaller degree", value, least, 1e-6, ">=")
            if degree
            else Number("best constant output D", float(best[0].sigmoid()), 0.5, 1e-6)
        )
        least = value
    numbers.append(_blind(found, scaled))
    return Section(
        "A discriminator of finite capacity",
        [
            "Theory assumes a discriminator that can be any function. One whose logit is a "
            "polynomial of x has a smaller value, so that the generator minimises a lower bound of "
            "the divergence. With a logit of degree 2 the discriminator only sees mean and "
            "variance: every model in which both are right is at the equilibrium, however "
            "different its density is.",
        ],
        ["\\max_{D \\in \\mathcal{F}} V(D) \\le 2\\, \\mathrm{JS}(p, q) - \\log 4"],
        [Numbers(numbers)],
    )


def _blind(found: Densities, scaled: Tensor) -> Number:
    """Of two densities with the same mean and variance, which no logit of degree 2 separates."""
    mean = float((found.x * found.p).sum() * found.cell)
    variance = float(((found.x - mean) ** 2 * found.p).sum() * found.cell)
    alike = replace(found, q=_normal(found.x, mean, math.sqrt(variance)))
    best = _best_linear(alike, torch.stack([scaled**k for k in range(3)], 1))
    return Number(
        "p against a Gaussian with its mean and variance: value with a logit of degree 2",
        float(alike.value(best)),
        -2 * LOG2,
        1e-6,
        how=f"although JS is {alike.jensen_shannon():.4f}",
    )


def _best_linear(found: Densities, features: Tensor) -> Tensor:
    """The logits of the largest value that are linear in features (N, K)."""
    return _best_logits(found, features.shape[1], lambda weights: features @ weights)


# -- the maximum-likelihood game


def likelihood(asked: Asked) -> Section:
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
    theory = {  # loss -> the divergence, its gradient
        "maximum_likelihood": ("KL(p, q)", kl),
        "minimax": ("2 JS(p, q)", 2 * js),
        "non_saturating": (difference, reverse - 2 * js),
    }
    numbers = [
        Number(
            f"{loss}: gradient in ${name}$",
            float(_through_samples(found, theta, LOSSES[loss].generator)[i]),
            float(gradient[i]),
            1e-5,
            how=f"theory: of {divergence}",
        )
        for loss, (divergence, gradient) in theory.items()
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
    z = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
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
