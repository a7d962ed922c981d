"""Two players who descend their own losses: what the update rule makes of a game."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import partial

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label, square
from ptheta.lab.parts import Figure, Film, Frame, Number, Numbers, Page, Section, Table
from ptheta.lab.scalars import Loss, linearised, play
from ptheta.losses.adversarial import LOSSES
from ptheta.losses.penalties import PENALTIES, Evaluation

RULES = ("simultaneous", "alternating", "extragradient")
BILINEAR: tuple[Loss, Loss] = (lambda x, y: x @ y, lambda x, y: -x @ y)
FLOAT = 1e-12  # rounding of a few hundred steps in float64
DIRAC = 1e-5  # error of central differences, and of penalties, which are computed in float32


def page(asked: Asked) -> Page:
    rng = asked.rng("bilinear")
    lr = round(float(rng.uniform(0.05, 0.25)), 3)
    angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.5)
    start = (radius * math.cos(angle), radius * math.sin(angle))
    return Page(
        "Dynamics: how two players move",
        "Gradient descent on two losses at once need not converge. On the same game, simultaneous "
        "steps diverge, alternating steps circle, and extragradient steps converge.",
        [
            _bilinear(lr, start),
            _small_steps(start),
            _surface(lr, start),
            _rock_paper_scissors(asked),
            _dirac(asked),
        ],
        [
            "Goodfellow et al. 2014, arXiv:1406.2661 (alternating steps)",
            "Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406 (Dirac-GAN, closed forms)",
            "Gidel et al. 2019, arXiv:1802.10551 (extragradient)",
            "Weng 2019, arXiv:1904.08994 (the toy f(x, y) = x y)",
        ],
    )


# -- f(x, y) = x y


def _bilinear(lr: float, start: tuple[float, float]) -> Section:
    steps = 200
    paths = {
        rule: play(BILINEAR, ([start[0]], [start[1]]), rule=rule, lr=lr, steps=steps)
        for rule in RULES
    }
    return Section(
        "The game $f(x, y) = x y$",
        [
            "Player x minimises $x y$, player y maximises it. The only equilibrium is (0, 0), and "
            "no player gains by leaving it. Every step below is made by the engine that trains the "
            f"models, with the step size $\\eta$ = {lr}.",
        ],
        ["x_{t+1} = x_t - \\eta y_t, \\qquad y_{t+1} = y_t + \\eta x_t"],
        [
            Figure(
                figure(
                    partial(_draw_paths, paths, start),
                    "Paths of simultaneous, alternating and extragradient steps on x y",
                    count=3,
                    width=9.6,
                    height=3.4,
                ),
                f"{steps} steps from the same start (circle). Simultaneous steps spiral outwards, "
                "alternating steps stay on an ellipse, extragradient steps spiral inwards.",
            ),
            Numbers(_path_numbers(paths, lr)),
            Film(_film(paths), "The three rules, step by step."),
        ],
        "ptheta train gan --data points-ring --recipe points --dynamics simultaneous "
        "--out runs/simultaneous\n"
        "ptheta train gan --data points-ring --recipe points --dynamics extragradient "
        "--out runs/extragradient",
    )


def _path_numbers(paths: dict[str, Tensor], lr: float) -> list[Number]:
    """What theory says of the paths of the three rules, each (steps + 1, 2)."""
    radii = {rule: path.norm(dim=1) for rule, path in paths.items()}
    growth = {rule: float(r[-1] / r[0]) ** (1 / (len(r) - 1)) for rule, r in radii.items()}
    x, y = paths["alternating"].unbind(1)
    kept = x**2 + y**2 - lr * x * y
    return [
        Number(
            "simultaneous: growth of the radius per step, $\\sqrt{1 + \\eta^2}$",
            growth["simultaneous"],
            math.sqrt(1 + lr**2),
            FLOAT,
        ),
        Number(
            "extragradient: the same, $\\sqrt{1 - \\eta^2 + \\eta^4}$",
            growth["extragradient"],
            math.sqrt(1 - lr**2 + lr**4),
            FLOAT,
        ),
        Number(
            "alternating: largest change of $x^2 + y^2 - \\eta x y$, which a step conserves",
            float((kept - kept[0]).abs().max()),
            0.0,
            FLOAT,
        ),
        Number(
            "alternating: largest radius, relative to the first",
            float(radii["alternating"].max() / radii["alternating"][0]),
            math.sqrt((1 + lr / 2) / (1 - lr / 2)),
            FLOAT,
            "<=",
            "the conserved ellipse bounds it",
        ),
        Number(
            "simultaneous: steps until the radius has doubled",
            float((radii["simultaneous"] >= 2 * radii["simultaneous"][0]).nonzero().min()),
            math.ceil(math.log(2) / (0.5 * math.log1p(lr**2)) - FLOAT),
            0.0,
        )
        if radii["simultaneous"][-1] >= 2 * radii["simultaneous"][0]
        else Number("simultaneous: final radius", float(radii["simultaneous"][-1])),
    ]


def _draw_paths(paths: dict[str, Tensor], start: Sequence[float], axes: Sequence[Axes]) -> None:
    limit = 1.15 * max(float(path.abs().max()) for path in paths.values())
    for axis, (rule, path), colour in zip(axes, paths.items(), COLOURS, strict=False):
        square(axis, limit)
        axis.plot(path[:, 0], path[:, 1], color=colour, lw=0.9)
        axis.plot(*start, "o", color=colour, ms=5, mfc="none")
        label(axis, "x", "y", rule)


def _film(paths: dict[str, Tensor]) -> list[Frame]:
    limit = 1.15 * max(float(path.abs().max()) for path in paths.values())
    frames = []
    for step in range(0, 101, 4):

        def draw(axes: Sequence[Axes], step: int = step) -> None:
            square(axes[0], limit)
            for (rule, path), colour in zip(paths.items(), COLOURS, strict=False):
                axes[0].plot(path[: step + 1, 0], path[: step + 1, 1], color=colour, lw=0.9)
                axes[0].plot(*path[step], "o", color=colour, ms=5, label=rule)
            axes[0].legend(fontsize=8, frameon=False, loc="upper right")
            label(axes[0], "x", "y")

        frames.append(Frame(figure(draw, f"step {step}", width=4.2, height=4.0), f"step {step}"))
    return frames


# -- infinitesimal steps


def _small_steps(start: tuple[float, float]) -> Section:
    rows = []
    radius = math.hypot(*start)
    for n in (25, 100, 400):
        lr = 2 * math.pi / n
        path = play(BILINEAR, ([start[0]], [start[1]]), rule="simultaneous", lr=lr, steps=n)
        rows.append(
            Number(
                f"radius after one turn of {n} steps, relative to the first",
                float(path[-1].norm()) / radius,
                (1 + lr**2) ** (n / 2),
                1e-9,
                how="$(1 + \\eta^2)^{n/2}$ with $\\eta = 2 \\pi / n$",
            )
        )
    return Section(
        "Infinitesimal steps: a circle",
        [
            "As the step size tends to 0, the path follows the differential equation "
            "$\\dot{x} = -y, \\dot{y} = x$, whose solutions are circles: the players neither "
            "converge nor diverge. A step of any finite size leaves the circle outwards.",
        ],
        ["\\lim_{n \\to \\infty} \\left(1 + \\frac{4 \\pi^2}{n^2}\\right)^{n/2} = 1"],
        [Numbers(rows)],
    )


# -- the surface that moves


def _surface(lr: float, start: tuple[float, float]) -> Section:
    path = play(BILINEAR, ([start[0]], [start[1]]), rule="alternating", lr=lr, steps=120)
    limit = 1.2 * float(path.abs().max())
    grid = torch.linspace(-limit, limit, 50, dtype=torch.float64)
    frames = []
    for step in range(0, 121, 5):
        x, y = path[step].tolist()

        def draw(axes: Sequence[Axes], x: float = x, y: float = y) -> None:
            axes[0].plot(grid, grid * y, color=COLOURS[0])
            axes[0].plot(x, x * y, "o", color=COLOURS[1])
            axes[0].set(xlim=(-limit, limit), ylim=(-(limit**2), limit**2))
            label(axes[0], "x", "loss of x")

        frames.append(Frame(figure(draw, f"loss of x at step {step}"), f"step {step}"))
    slopes = path[:, 1]
    turns = int((slopes[1:].sign() != slopes[:-1].sign()).sum())
    return Section(
        "The loss surface moves",
        [
            "What x descends is a line whose slope is y, and y moves as well: the surface of each "
            "player changes with every step of the other. A loss that falls is therefore no sign "
            "of convergence, and one that rises is no sign of failure.",
        ],
        [],
        [
            Film(frames, "The loss of x as a function of x, and where x is."),
            Numbers(
                [
                    Number(
                        "turns of the slope in 120 alternating steps",
                        turns,
                        120 * math.acos(1 - lr**2 / 2) / math.pi,
                        1.0,
                        how="each step turns by $\\arccos(1 - \\eta^2 / 2)$",
                    )
                ]
            ),
        ],
    )


# -- rock, paper, scissors


def _rock_paper_scissors(asked: Asked) -> Section:
    rng = asked.rng("hands")
    a, b, c = (round(float(v), 2) for v in rng.uniform(0.8, 1.25, 3))
    payoff = torch.tensor([[0, -c, a], [c, 0, -b], [-a, b, 0]], dtype=torch.float64)
    fair = torch.tensor([b, a, c], dtype=torch.float64) / (a + b + c)
    losses: tuple[Loss, Loss] = (
        lambda x, y: -x.softmax(0) @ payoff @ y.softmax(0),
        lambda x, y: x.softmax(0) @ payoff @ y.softmax(0),
    )
    begin = ((0.5 * rng.normal(size=3)).tolist(), (0.5 * rng.normal(size=3)).tolist())
    found = {
        rule: play(losses, begin, rule=rule, lr=1.0, steps=400)[:, :3].softmax(1) for rule in RULES
    }
    gaps = {rule: (path - fair).abs().sum(1) / 2 for rule, path in found.items()}
    numbers = [
        Number(
            f"extragradient: probability of {name} after 400 steps",
            float(found["extragradient"][-1, i]),
            float(fair[i]),
            2e-2,
        )
        for i, name in enumerate(("rock", "paper", "scissors"))
    ]
    value = float(fair @ payoff @ fair)
    numbers += [
        Number("value of the game at the equilibrium", value, 0.0, 1e-12),
        Number(
            "simultaneous: distance to the equilibrium at the end, at least that of the start",
            float(gaps["simultaneous"][-100:].max()),
            float(gaps["simultaneous"][0]),
            0.0,
            ">=",
        ),
    ]
    return Section(
        "Rock, paper, scissors",
        [
            f"A win with rock is worth {a}, with scissors {b}, with paper {c}. In the only "
            "equilibrium both players mix the three hands at random. The players are two softmax "
            "policies, and each follows the gradient of its own payoff.",
        ],
        ["p^* = \\frac{1}{a + b + c} (b, a, c), \\qquad \\text{value} = 0"],
        [
            Numbers(numbers),
            Figure(
                figure(
                    partial(_draw_gaps, gaps),
                    "Distance to the equilibrium over steps, for the three rules",
                    width=6.2,
                ),
                "Total variation between the first player's policy and the equilibrium: "
                "simultaneous steps move away from it, extragradient steps reach it.",
            ),
        ],
    )


def _draw_gaps(gaps: dict[str, Tensor], axes: Sequence[Axes]) -> None:
    for (rule, gap), colour in zip(gaps.items(), COLOURS, strict=False):
        axes[0].plot(gap, color=colour, lw=1, label=rule)
    axes[0].set_ylim(0, 1.05)
    axes[0].legend(fontsize=8, frameon=False, ncols=3, loc="upper center")
    label(axes[0], "step", "distance to the equilibrium")


# -- Dirac-GAN

# Slopes at 0 of the generator's loss -f(d(G(z))), and of the discriminator's f(d(G(z))) + f(-d(x))
# (Mescheder et al., eq. 2); the discriminator's loss of the hinge is linear near 0, as that of the
# Wasserstein loss is. Least squares has no equilibrium at (0, 0), where d = 0 is not its optimum.
SLOPES = {
    "minimax": (0.5, 0.5),
    "non_saturating": (0.5, 0.5),
    "maximum_likelihood": (1.0, 0.5),
    "relativistic": (0.5, 0.5),
    "wasserstein": (1.0, 1.0),
    "hinge": (1.0, 1.0),
}
AWAY = 400  # steps without convergence


def _dirac(asked: Asked) -> Section:
    rng = asked.rng("dirac")
    gamma = round(float(rng.uniform(0.2, 0.8)), 2)
    lr = round(float(rng.uniform(0.05, 0.3)), 2)
    rows, numbers = [], []
    for name in SLOPES:
        for penalty in ("none", "r1", "r2"):
            cells, found = _linear(name, penalty, 0.0 if penalty == "none" else gamma, lr)
            rows.append(cells)
            numbers += found
    cells, away = _norm_one(gamma, lr)
    return Section(
        "Dirac-GAN: losses, penalties and update rules",
        [
            "The smallest GAN: the data are one point at 0, the generator is a point at "
            "$\\theta$, and the discriminator is $d(x) = \\psi x$. Near the equilibrium (0, 0) the "
            "training is linear, and the eigenvalues of its Jacobian decide: a real part below 0 "
            "attracts. Without a penalty all are imaginary. A gradient penalty of weight "
            f"$\\gamma$ = {gamma} on real or on generated points adds $-\\gamma$ to the "
            f"discriminator's row. The step size is {lr}. $f'(0)$ is the slope of "
            "the discriminator's loss in d, and $g'(0)$ that of the generator's; they are equal "
            "but for `maximum_likelihood`.",
            "A step of an update rule has the eigenvalues in the last columns: a largest modulus "
            "below 1 converges. Losses and penalties are those of `ptheta train gan`.",
            "The penalty of WGAN-GP, $\\gamma (|\\psi| - 1)^2$, has a corner at the equilibrium "
            "and no Jacobian there. It asks for a gradient of norm 1: it moves $\\psi$ away from 0 "
            "wherever $|\\theta| < \\gamma / 2$ and $|\\psi| < 1/2$: no step size lets it "
            "converge.",
        ],
        ["\\lambda = -\\frac{\\gamma}{2} \\pm \\sqrt{\\frac{\\gamma^2}{4} - f'(0)\\, g'(0)}"],
        [
            Table(("loss", "penalty", "eigenvalue of the flow", *RULES), [*rows, cells]),
            Numbers(away, f"Wasserstein with gp, {AWAY:,} steps"),
            Numbers(numbers, "Each number against its closed form"),
        ],
        "ptheta train gan --data points-ring --recipe points --penalty r1 --out runs/r1",
    )


def _linear(name: str, penalty: str, weight: float, lr: float) -> tuple[list[str], list[Number]]:
    """A row of the table, and its numbers."""
    slopes = SLOPES[name]
    theory = _eigenvalue(slopes, weight)
    game = dirac(name, penalty, weight)
    steps = {rule: linearised(game, (0.0, 0.0), rule, lr) for rule in RULES}
    # one simultaneous step is I + lr A: A has the eigenvalues of the flow
    value = _leading((steps["simultaneous"] - torch.eye(2)) / lr)
    numbers = [
        Number(f"{name}, {penalty}: real part", value.real, theory.real, DIRAC),
        Number(f"{name}, {penalty}: imaginary part", value.imag, theory.imag, DIRAC),
    ]
    cells = [name, penalty, f"{value.real:+.3f} {value.imag:+.3f}i"]
    for rule, step in steps.items():
        largest = float(torch.linalg.eigvals(step).abs().max())
        known = _modulus(slopes, weight, lr, rule)
        what = f"{name}, {penalty}: largest modulus of a step, {rule}"
        numbers.append(Number(what, largest, known, DIRAC))
        verdict = "converges" if largest < 1 - 1e-6 else "circles"
        cells.append(f"{largest:.4f}: {'diverges' if largest > 1 + 1e-6 else verdict}")
    return cells, numbers


def _norm_one(gamma: float, lr: float) -> tuple[list[str], list[Number]]:
    """The row of the penalty of WGAN-GP, by playing the game, and its numbers."""
    cells, numbers = ["wasserstein", "gp", "none"], []
    for rule in RULES:
        start = ([0.01], [0.01])
        path = play(dirac("wasserstein", "gp", gamma), start, rule=rule, lr=lr, steps=AWAY)
        far = float(path[AWAY // 2 :].norm(dim=1).max())
        numbers.append(
            Number(
                f"{rule}: largest distance from (0, 0) in the second half",
                far,
                gamma / 2,
                0.0,
                ">=",
                "theory: $\\gamma / 2$",
            )
        )
        cells.append(f"does not converge: {far:.2f}")
    return cells, numbers


def dirac(loss: str, penalty: str, weight: float) -> tuple[Loss, Loss]:
    """The losses of generator and discriminator, as functions of (theta, psi)."""
    terms = LOSSES[loss]

    def generator(theta: Tensor, psi: Tensor) -> Tensor:
        return terms.generator(psi * theta, 0 * psi).sum()

    def discriminator(theta: Tensor, psi: Tensor) -> Tensor:
        found = terms.discriminator(0 * psi, psi * theta).sum()
        if penalty == "none":
            return found
        one = PENALTIES[penalty]
        at = torch.zeros_like(theta) if one.at == "real" else theta.detach().clone()
        points = at.reshape(1, 1).requires_grad_()

        def network(x: Tensor) -> Tensor:
            return (psi * x).flatten()

        return found + weight * one.cost(Evaluation(points, network(points), network)).sum()

    return generator, discriminator


def _eigenvalue(slopes: tuple[float, float], gamma: float) -> complex:
    """That of the flow with the largest imaginary, then real, part (Mescheder et al., lemma 2.3 and
    appendix D)."""
    return -gamma / 2 + cmath.sqrt(gamma**2 / 4 - slopes[0] * slopes[1])


def _leading(matrix: Tensor) -> complex:
    values = [complex(v) for v in torch.linalg.eigvals(matrix)]
    return max(values, key=lambda v: (round(v.imag, 9), v.real))


def _modulus(slopes: tuple[float, float], gamma: float, lr: float, rule: str) -> float:
    """The largest modulus of the eigenvalues of one step on A = [[0, g], [-f, -gamma]]."""
    g, f = slopes
    if rule == "simultaneous":  # I + lr A
        m = [[1.0, lr * g], [-lr * f, 1 - lr * gamma]]
    elif rule == "alternating":  # theta first, then psi at the new theta
        m = [[1.0, lr * g], [-lr * f, 1 - lr * gamma - lr**2 * f * g]]
    else:  # I + lr A + lr^2 A^2
        m = [
            [1 - lr**2 * f * g, lr * g - lr**2 * g * gamma],
            [-lr * f + lr**2 * f * gamma, 1 - lr * gamma + lr**2 * (gamma**2 - f * g)],
        ]
    trace, det = m[0][0] + m[1][1], m[0][0] * m[1][1] - m[0][1] * m[1][0]
    root = cmath.sqrt(trace**2 / 4 - det)
    return max(abs(trace / 2 + root), abs(trace / 2 - root))
