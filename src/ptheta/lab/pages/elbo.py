"""The evidence lower bound, on a model whose log p(x) is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ptheta.distributions.gaussian import log_normal, log_standard_normal
from ptheta.distributions.kl import kl_normal, kl_standard_normal
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Section

EXACT = 1e-9  # rounding in float64
GRID = 1e-6  # error of the sums over a grid
SE = 4.5  # standard errors within which an average of draws lies
DRAWS = 200_000


@dataclass(frozen=True)
class Linear:
    """p(z) = N(0, I), p(x | z) = N(W z + b, s^2 I): all that a VAE approximates is known.

    Attributes:
        weight: W, (D, 2).
        bias: b, (D,).
        deviation: s.
        x: The example, (D,).
        mean: Of the approximate posterior q(z | x), (2,).
        log_var: Its log-variances, (2,).
    """

    weight: Tensor
    bias: Tensor
    deviation: float
    x: Tensor
    mean: Tensor
    log_var: Tensor

    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x | z) of codes (N, 2): (N,)."""
        at = z @ self.weight.T + self.bias
        spread = torch.full_like(at, 2 * math.log(self.deviation))
        return log_normal(self.x.expand_as(at), at, spread)

    def log_joint(self, z: Tensor) -> Tensor:
        return self.log_likelihood(z) + log_standard_normal(z)

    def log_q(self, z: Tensor) -> Tensor:
        return log_normal(z, self.mean.expand_as(z), self.log_var.expand_as(z))

    def log_evidence(self) -> float:
        """log p(x): x ~ N(b, W W^T + s^2 I)."""
        covariance = self.weight @ self.weight.T + self.deviation**2 * torch.eye(
            len(self.x), dtype=torch.float64
        )
        return float(
            torch.distributions.MultivariateNormal(
                self.bias, covariance, validate_args=False
            ).log_prob(self.x)
        )

    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean (2,) and covariance (2, 2) of p(z | x)."""
        precision = torch.eye(2, dtype=torch.float64) + (
            self.weight.T @ self.weight / self.deviation**2
        )
        covariance = precision.inverse()
        mean = covariance @ self.weight.T @ (self.x - self.bias) / self.deviation**2
        return mean, covariance

    def reconstruction(self) -> float:
        """E_q log p(x | z), in closed form."""
        residual = self.x - self.weight @ self.mean - self.bias
        spread = (self.weight**2 @ self.log_var.exp()).sum()
        square = (residual @ residual + spread) / self.deviation**2
        constant = len(self.x) * math.log(2 * math.pi * self.deviation**2)
        return float(-0.5 * (constant + square))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Reparameterised draws of q(z | x), (n, 2)."""
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return self.mean + (0.5 * self.log_var).exp() * noise


def page(asked: Asked) -> Page:
    model = _model(asked)
    return Page(
        "The ELBO",
        "A VAE maximises a lower bound of $\\log p(x)$. The bound is the reconstruction term minus "
        "the KL divergence from the prior, and its gap is the KL divergence from the true "
        "posterior.",
        [
            _terms(model),
            _jensen(model, asked),
            _closed_kl(model, asked),
            _draws(model, asked),
            _gradients(model, asked),
        ],
        [
            "Kingma & Welling 2014, arXiv:1312.6114 (appendix B: the closed form)",
            "Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519 (importance-weighted bounds)",
            "Williams 1992 (score-function gradients)",
        ],
    )


def _model(asked: Asked) -> Linear:
    rng = asked.rng("model")
    weight, bias = torch.from_numpy(rng.normal(size=(4, 2))), torch.from_numpy(rng.normal(size=4))
    deviation = float(rng.uniform(0.6, 1.2))
    x = weight @ torch.from_numpy(rng.normal(size=2)) + bias
    x = x + deviation * torch.from_numpy(rng.normal(size=4))
    made = Linear(weight, bias, deviation, x, torch.zeros(2), torch.zeros(2))
    mean, covariance = made.posterior()
    # q near the posterior, but not it: moved, and without its correlation
    moved = mean + 0.4 * torch.from_numpy(rng.normal(size=2)) * covariance.diag().sqrt()
    log_var = covariance.diag().log() + torch.from_numpy(rng.uniform(-0.5, 0.5, 2))
    return Linear(weight, bias, deviation, x, moved, log_var)


# -- three terms


def _terms(model: Linear) -> Section:
    return Section(
        "Three terms that add up to $\\log p(x)$",
        [
            "In a linear model with Gaussian noise, $\\log p(x)$, the posterior and all terms of "
            "the bound are known in closed form. q(z | x) is a Gaussian with independent "
            "dimensions, as the encoder of a VAE gives it. The third term is a KL divergence from "
            "the posterior, which a VAE cannot compute. It is at least 0, so that the first two "
            "are a lower bound.",
        ],
        [
            "\\log p(x) = \\underbrace{E_q \\log p(x | z) - \\mathrm{KL}(q(z | x), p(z))}"
            "_{\\text{ELBO}} + \\mathrm{KL}(q(z | x), p(z | x))",
        ],
        [
            Numbers(_term_numbers(model)),
        ],
        "ptheta train vae --data digits --out runs/vae\n"
        "ptheta evaluate runs/vae    # elbo_reconstruction, elbo_kl, neg_elbo, elbo_gap",
    )


def _term_numbers(model: Linear) -> list[Number]:
    """Each term by a sum over a grid of z, and its closed form."""
    side = torch.linspace(-9, 9, 901, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    cell = float(side[1] - side[0]) ** 2
    joint, q = model.log_joint(grid), model.log_q(grid)
    evidence = model.log_evidence()
    summed = float(joint.logsumexp(0)) + math.log(cell)
    mean, covariance = model.posterior()
    apart = mean - model.mean
    inverse = covariance.inverse()
    gap = 0.5 * float(
        (inverse @ model.log_var.exp().diag()).trace()
        + apart @ inverse @ apart
        - 2
        + covariance.logdet()
        - model.log_var.sum()
    )
    by_grid = float((q.exp() * (q - (joint - summed))).sum() * cell)
    kl = float(kl_standard_normal(model.mean[None], model.log_var[None]).sum())
    reconstruction = model.reconstruction()
    return [
        Number(
            "$E_q \\log p(x | z)$, nats",
            float((q.exp() * model.log_likelihood(grid)).sum() * cell),
            reconstruction,
            GRID,
            how="sum over a grid of z; theory: closed form",
        ),
        Number(
            "$\\mathrm{KL}(q(z | x), p(z))$",
            float((q.exp() * (q - log_standard_normal(grid))).sum() * cell),
            kl,
            GRID,
            how="the same",
        ),
        Number("$\\mathrm{KL}(q(z | x), p(z | x))$", by_grid, gap, GRID, how="the same"),
        Number(
            "sum: first minus second plus third",
            reconstruction - kl + gap,
            evidence,
            EXACT,
            how="theory: $\\log p(x)$ of $N(b, W W^T + s^2 I)$",
        ),
        Number("$\\log p(x)$ by a sum over z", summed, evidence, GRID),
        Number("ELBO", reconstruction - kl, evidence, 0.0, "<="),
    ]


# -- Jensen


def _jensen(model: Linear, asked: Asked) -> Section:
    generator = asked.generator("jensen")
    evidence = model.log_evidence()
    bounds, numbers = [], []
    for k in (1, 5, 50):
        z = model.draw(k * (DRAWS // k), generator)
        log_w = (model.log_joint(z) - model.log_q(z)).reshape(-1, k)
        each = log_w.logsumexp(1) - math.log(k)
        error = float(each.std() / math.sqrt(len(each)))
        bounds.append((k, float(each.mean()), error))
        numbers.append(
            Number(
                f"$E \\log \\frac1K \\sum_k w_k$, K = {k}",
                float(each.mean()),
                evidence,
                SE * error,
                "<=",
                f"standard error {error:.1e}; theory: $\\log p(x)$",
            )
        )
    z = model.draw(DRAWS, generator)
    weight = (model.log_joint(z) - model.log_q(z) - evidence).exp()
    numbers.append(
        Number(
            "$E_q\\, p(x, z) / q(z | x)$, relative to p(x)",
            float(weight.mean()),
            1.0,
            SE * float(weight.std()) / math.sqrt(DRAWS),
            how="the mean inside the logarithm is exact",
        )
    )
    return Section(
        "Jensen: the logarithm of a mean is at least the mean of the logarithm",
        [
            "The mean of the weight $w = p(x, z) / q(z | x)$ under q is p(x). The ELBO is the mean "
            "of its logarithm, and by Jensen's inequality is below $\\log p(x)$. With the mean of "
            "K weights inside the logarithm, the bound of an IWAE, the gap closes.",
        ],
        [
            "\\log p(x) = \\log E_q \\frac{p(x, z)}{q(z | x)} \\ge "
            "E_q \\log \\frac1K \\sum_{k=1}^K \\frac{p(x, z_k)}{q(z_k | x)} \\ge "
            "E_q \\log \\frac{p(x, z)}{q(z | x)} = \\mathrm{ELBO}",
        ],
        [
            Numbers(numbers),
            Figure(
                figure(
                    partial(_draw_bounds, bounds, evidence),
                    "The bounds with 1, 5 and 50 draws below log p(x)",
                ),
                "The bound with K = 1, 5, 50 draws, and $\\log p(x)$ (grey).",
            ),
        ],
        "ptheta train iwae --data digits --samples 5 --out runs/iwae",
    )


def _draw_bounds(
    bounds: Sequence[tuple[int, float, float]], evidence: float, axes: Sequence[Axes]
) -> None:
    ks, values, errors = zip(*bounds, strict=True)
    axes[0].axhline(evidence, color=GREY)
    axes[0].errorbar(ks, values, yerr=errors, fmt="o-", color=COLOURS[0], capsize=2)
    axes[0].set_xscale("log")
    label(axes[0], "draws K", "bound, nats")


# -- the KL of two Gaussians


def _closed_kl(model: Linear, asked: Asked) -> Section:
    z = model.draw(DRAWS, asked.generator("kl"))
    mean, log_var = model.mean, model.log_var
    log_q, log_p = model.log_q(z), log_standard_normal(z)
    constant = math.log(2 * math.pi)
    negative_entropy = float(-0.5 * (constant + 1 + log_var).sum())
    cross = float(-0.5 * (constant + mean**2 + log_var.exp()).sum())
    other_mean, other = mean.flip(0) + 0.3, log_var.flip(0) - 0.2
    between = log_normal(z, other_mean.expand_as(z), other.expand_as(z))

    def number(name: str, values: Tensor, theory: float) -> Number:
        error = float(values.std()) / math.sqrt(len(values))
        return Number(name, float(values.mean()), theory, SE * error)

    return Section(
        "The KL divergence of two Gaussians, line by line",
        [
            "For q = N($\\mu$, $\\sigma^2$) and p = N(0, 1) the two integrals of the KL divergence "
            f"have closed forms. Each is compared here with the mean over {DRAWS:,} draws of q.",
        ],
        [
            "\\int q \\log q = -\\tfrac12 \\sum_j (\\log 2\\pi + 1 + \\log \\sigma_j^2)",
            "\\int q \\log p = -\\tfrac12 \\sum_j (\\log 2\\pi + \\mu_j^2 + \\sigma_j^2)",
            "\\mathrm{KL}(q, p) = \\tfrac12 \\sum_j "
            "(\\mu_j^2 + \\sigma_j^2 - \\log \\sigma_j^2 - 1)",
        ],
        [
            Numbers(
                [
                    number("$\\int q \\log q$", log_q, negative_entropy),
                    number("$\\int q \\log p$", log_p, cross),
                    number(
                        "$\\mathrm{KL}(q, p)$",
                        log_q - log_p,
                        float(kl_standard_normal(mean[None], log_var[None]).sum()),
                    ),
                    number(
                        "KL from a Gaussian with another mean and variance",
                        log_q - between,
                        float(
                            kl_normal(
                                mean[None], log_var[None], other_mean[None], other[None]
                            ).sum()
                        ),
                    ),
                    Number(
                        "difference of the two integrals",
                        negative_entropy - cross,
                        float(kl_standard_normal(mean[None], log_var[None]).sum()),
                        EXACT,
                    ),
                ]
            )
        ],
    )


# -- L draws


def _draws(model: Linear, asked: Asked) -> Section:
    z = model.draw(DRAWS, asked.generator("draws"))
    each = model.log_likelihood(z)
    variance = float(each.var())
    numbers = []
    for count in (1, 5, 25):
        means = each.reshape(-1, count).mean(1)
        wanted = math.sqrt(variance / count)
        # relative standard error of a standard deviation, with room for heavy tails
        relative = SE * math.sqrt(_kurtosis(means) / len(means)) / 2
        numbers.append(
            Number(
                f"standard deviation of the estimate with L = {count}",
                float(means.std()),
                wanted,
                wanted * relative + EXACT,
            )
        )
    return Section(
        "L draws of the code",
        [
            "The reconstruction term is estimated by L draws of z. Every L gives the right mean; "
            "the standard deviation falls with the square root of L. One draw is enough with many "
            "examples in a batch, since their errors average out as well.",
        ],
        ["E_q \\log p(x | z) \\approx \\frac1L \\sum_{l=1}^L \\log p(x | \\mu + \\sigma e_l)"],
        [Numbers(numbers)],
        "ptheta train vae --data digits --draws 5 --out runs/vae-5",
    )


def _kurtosis(x: Tensor) -> float:
    """Of the distribution, minus 1: n times the relative variance of a sample variance."""
    apart = x - x.mean()
    return float(apart.pow(4).mean() / apart.square().mean().square() - 1)


# -- two gradients


def _gradients(model: Linear, asked: Asked) -> Section:
    z = model.draw(DRAWS, asked.generator("gradients"))
    found = _each_gradient(model, z)
    exact = _exact_gradient(model)
    names = ("\\mu_1", "\\mu_2", "\\log \\sigma_1", "\\log \\sigma_2")
    numbers, variances = [], []
    for how, each in found.items():
        for i, name in enumerate(names):
            error = float(each[:, i].std()) / math.sqrt(DRAWS)
            numbers.append(
                Number(
                    f"{how}: gradient in ${name}$",
                    float(each[:, i].mean()),
                    float(exact[i]),
                    SE * error + EXACT,
                    how=f"standard error {error:.1e}",
                )
            )
        variances.append(Number(f"{how}: variance of one draw", float(each.var(0).sum())))
    spread = {how: float(each.var(0).sum()) for how, each in found.items()}
    ratio = spread["score function"] / spread["reparameterised"]
    variances.append(
        Number(
            "score function: variance relative to reparameterised, at least 1 here",
            ratio,
            1.0,
            0.0,
            ">=",
        )
    )
    return Section(
        "The reparameterisation trick: the same gradient, less variance",
        [
            "The gradient of an expectation under q in the parameters of q can be estimated in two "
            "ways. The score function multiplies the value of each draw by the gradient of "
            "$\\log q$, and needs no gradient of the decoder. Writing $z = \\mu + \\sigma e$ lets "
            "the gradient of the decoder through. Both have the same mean. Their variances differ "
            "by orders of magnitude, which is why a VAE trains by reparameterisation.",
        ],
        [
            "\\nabla E_q f(z) = E_q [f(z) \\nabla \\log q(z)] = "
            "E_{e \\sim N(0, I)} [\\nabla f(\\mu + \\sigma e)]",
        ],
        [
            Numbers(numbers),
            Numbers(variances, "Sum of the variances over the four parameters"),
        ],
    )


def _each_gradient(model: Linear, z: Tensor) -> dict[str, Tensor]:
    """Estimates of the gradient of E_q log p(x | z) in mu and log sigma, one from each draw of z:
    (N, 4)."""
    deviation = (0.5 * model.log_var).exp()
    noise = (z - model.mean) / deviation
    residual = model.x - z @ model.weight.T - model.bias
    value = model.log_likelihood(z)
    slope = residual @ model.weight / model.deviation**2  # of log p(x | z) in z
    score = torch.cat([noise / deviation, noise**2 - 1], 1)
    return {
        "reparameterised": torch.cat([slope, slope * noise * deviation], 1),
        "score function": value[:, None] * score,
        "score function, with a baseline": (value - value.mean())[:, None] * score,
    }


def _exact_gradient(model: Linear) -> Tensor:
    """Of `reconstruction` in mu and log sigma, (4,)."""
    residual = model.x - model.weight @ model.mean - model.bias
    in_mean = model.weight.T @ residual / model.deviation**2
    in_log = -(model.weight**2).sum(0) * model.log_var.exp() / model.deviation**2
    return torch.cat([in_mean, in_log])
