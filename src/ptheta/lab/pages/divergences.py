"""One Gaussian fitted to a mixture of two by KL, reverse KL, Jensen-Shannon and MMD."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from scipy.ndimage import minimum_filter
from scipy.optimize import minimize

from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Part, Section, Table

AGREE = 1e-3  # by which a minimiser may differ from a grid search
KERNEL = 1.0  # width of the Gaussian kernel of MMD
TINY = 1e-300  # below any density on the grids
Divergence = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of densities on a grid, nats


@dataclass(frozen=True)
class Problem:
    """A mixture of two round Gaussians, and a grid to integrate on.

    Attributes:
        weights: (2,), which sum to one.
        means: (2, D).
        deviations: (2,).
        points: (N, D), the grid.
        cell: Volume of a cell of the grid.
    """

    weights: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    points: np.ndarray
    cell: float

    @property
    def dims(self) -> int:
        return int(self.means.shape[1])

    def density(self) -> np.ndarray:
        """p on the grid, (N,)."""
        each = [
            _normal(self.points, m, s) for m, s in zip(self.means, self.deviations, strict=True)
        ]
        return np.asarray(self.weights[0] * each[0] + self.weights[1] * each[1])

    def fitted(self, theta: np.ndarray) -> np.ndarray:
        """q on the grid for each row of theta, (T, D + 1): mean and log deviation -> (T, N)."""
        means, deviations = theta[:, None, :-1], np.exp(theta[:, -1])[:, None]
        square = ((self.points[None] - means) ** 2).sum(2)
        scale = (deviations * math.sqrt(2 * math.pi)) ** self.dims
        found: np.ndarray = np.exp(-0.5 * square / deviations**2) / scale
        return found

    def mmd(self, theta: np.ndarray) -> np.ndarray:
        """MMD^2 of p and q with a Gaussian kernel, in closed form: (T,)."""

        def overlap(apart: np.ndarray, variance: np.ndarray) -> np.ndarray:
            # E k(x, y) for x - y ~ N(apart, variance I): a Gaussian integral
            total = KERNEL**2 + variance
            square = (apart**2).sum(-1)
            found: np.ndarray = (KERNEL**2 / total) ** (self.dims / 2) * np.exp(
                -0.5 * square / total
            )
            return found

        mean, variance = theta[:, :-1], np.exp(2 * theta[:, -1])
        found = overlap(np.zeros_like(mean), 2 * variance)
        for w, m, s in zip(self.weights, self.means, self.deviations, strict=True):
            found = found - 2 * w * overlap(mean - m, variance + s**2)
            for w2, m2, s2 in zip(self.weights, self.means, self.deviations, strict=True):
                found = found + w * w2 * overlap(m - m2, np.asarray(s**2 + s2**2))
        return found


def _normal(x: np.ndarray, mean: np.ndarray, deviation: float) -> np.ndarray:
    square = ((x - mean) ** 2).sum(1)
    scale = (deviation * math.sqrt(2 * math.pi)) ** x.shape[1]
    found: np.ndarray = np.exp(-0.5 * square / deviation**2) / scale
    return found


def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """p log(p / q) - p + q at each point, which is at least 0. Densities integrate to 1, so that
    the added terms cancel, unless a descent moves q out of the grid: they then count what is lost.
    """
    log_ratio = np.log(p + TINY) - np.log(q + TINY)
    found: np.ndarray = np.where(p > TINY, p * log_ratio, 0.0) - p + q
    return found


DIVERGENCES: dict[str, Divergence] = {
    "KL(p, q)": kl,
    "KL(q, p)": lambda p, q: kl(q, p),
    "JS(p, q)": lambda p, q: 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2),
}
FORMULAS = [
    "\\mathrm{KL}(p, q) = \\int p(x) \\log \\frac{p(x)}{q(x)} dx",
    "\\mathrm{JS}(p, q) = \\tfrac12 \\mathrm{KL}(p, \\tfrac{p + q}{2}) + "
    "\\tfrac12 \\mathrm{KL}(q, \\tfrac{p + q}{2})",
    "\\mathrm{MMD}^2(p, q) = E\\, k(x, x') + E\\, k(y, y') - 2 E\\, k(x, y), \\qquad "
    "x, x' \\sim p,\\; y, y' \\sim q",
]


def page(asked: Asked) -> Page:
    return Page(
        "Divergences: which compromise a model makes",
        "A model that cannot represent the data must choose where it is wrong. KL(p, q) covers all "
        "modes, and KL(q, p) seeks one. Jensen-Shannon does the one or the other, and MMD depends "
        "on the width of its kernel.",
        [_section(_line(asked), 1), _section(_plane(asked), 2)],
        [
            "Theis, van den Oord, Bethge 2016, arXiv:1511.01844 (figure 1)",
            "Goodfellow 2016, arXiv:1701.00160 (figure 14)",
            "Gretton et al. 2012, JMLR 13 (MMD)",
        ],
    )


def _line(asked: Asked) -> Problem:
    rng = asked.rng("line")
    points = np.linspace(-14, 14, 1401)
    return Problem(
        _weights(rng),
        np.array([[-rng.uniform(1.9, 2.4)], [rng.uniform(1.9, 2.4)]]),
        rng.uniform(0.5, 0.75, 2),
        points[:, None],
        points[1] - points[0],
    )


def _plane(asked: Asked) -> Problem:
    rng = asked.rng("plane")
    angle, far = rng.uniform(0, math.pi), rng.uniform(1.9, 2.4)
    towards = np.array([math.cos(angle), math.sin(angle)])
    side = np.linspace(-9, 9, 91)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    return Problem(
        _weights(rng),
        np.stack([-far * towards, far * towards]),
        rng.uniform(0.5, 0.75, 2),
        grid,
        (side[1] - side[0]) ** 2,
    )


def _weights(rng: np.random.Generator) -> np.ndarray:
    """Of two modes, either of which is the heavier one. The modes of the problems are so far apart
    that KL(q, p) has its minimum at that one."""
    share = rng.uniform(0.55, 0.7)
    return rng.permutation([share, 1 - share])


def objective(problem: Problem, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The divergence as a function of rows of theta, (T, D + 1) -> (T,)."""
    if name == "MMD":
        return problem.mmd
    p, of = problem.density(), DIVERGENCES[name]

    def value(theta: np.ndarray) -> np.ndarray:
        found: np.ndarray = of(p[None], problem.fitted(theta)).sum(1) * problem.cell
        return found

    return value


def by_gradient(value: Callable[[np.ndarray], np.ndarray], problem: Problem) -> np.ndarray:
    """The best minimum of descents from both modes and from between: theta, (D + 1,)."""
    starts = [*problem.means, problem.means.mean(0)]
    found = [
        minimize(
            lambda theta: float(value(theta[None])[0]),
            [*start, math.log(spread)],
            method="BFGS",
            options={"gtol": 1e-9},
        )
        for start in starts
        for spread in (0.7, 2.0)
    ]
    return np.asarray(min(found, key=lambda one: float(one.fun)).x)


def by_grid(value: Callable[[np.ndarray], np.ndarray], problem: Problem) -> np.ndarray:
    """The minimum by an exhaustive search: a grid over all theta, then ever finer ones around each
    of its local minima, until a cell is smaller than `AGREE` / 4."""
    each = 25 if problem.dims == 1 else 13
    axes = [np.linspace(-3.5, 3.5, each)] * problem.dims + [np.linspace(-1.2, 1.3, each)]
    rows, values = _over(value, axes)
    lowest = (minimum_filter(values, 3, mode="nearest") == values).flatten()
    widths = [axis[1] - axis[0] for axis in axes]
    found = [_finer(value, row, widths) for row in rows[lowest]]
    return min(found, key=lambda theta: float(value(theta[None])[0]))


def _over(
    value: Callable[[np.ndarray], np.ndarray], axes: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The cells (T, D + 1) of a grid, and the values in its shape."""
    rows = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    parts = [value(part) for part in np.array_split(rows, max(1, len(rows) // 100))]
    return rows, np.concatenate(parts).reshape([len(axis) for axis in axes])


def _finer(
    value: Callable[[np.ndarray], np.ndarray], best: np.ndarray, widths: Sequence[float]
) -> np.ndarray:
    """The minimum near a cell, by ever finer grids."""
    while max(widths) >= AGREE / 4:
        count = 9 if len(best) == 2 else 7
        axes = [
            np.linspace(b - 1.2 * w, b + 1.2 * w, count) for b, w in zip(best, widths, strict=True)
        ]
        rows, values = _over(value, axes)
        best = rows[int(values.argmin())]
        widths = [axis[1] - axis[0] for axis in axes]
    return best


def _section(problem: Problem, dims: int) -> Section:
    found: dict[str, np.ndarray] = {}
    numbers = []
    for name in (*DIVERGENCES, "MMD"):
        value = objective(problem, name)
        best, grid = by_gradient(value, problem), by_grid(value, problem)
        found[name] = best
        for i in range(dims):
            which = "mean" if dims == 1 else f"mean {i + 1}"
            numbers.append(Number(f"{name}: {which}", best[i], grid[i], AGREE))
        deviation, wanted = math.exp(best[-1]), math.exp(grid[-1])
        numbers.append(Number(f"{name}: standard deviation", deviation, wanted, 2 * AGREE))
    mean = problem.weights @ problem.means
    spread = (problem.weights * problem.deviations**2).sum() + (
        (problem.weights[:, None] * (problem.means - mean) ** 2).sum() / dims
    )
    closed = [
        Number(f"KL(p, q): mean{'' if dims == 1 else f' {i + 1}'}", found["KL(p, q)"][i], m, AGREE)
        for i, m in enumerate(mean)
    ]
    closed.append(
        Number(
            "KL(p, q): standard deviation",
            math.exp(found["KL(p, q)"][-1]),
            math.sqrt(spread),
            AGREE,
            how="theory: the moments of the mixture",
        )
    )
    parts: list[Part] = [
        Figure(
            (_drawn_line if dims == 1 else _drawn_plane)(problem, found),
            "The mixture in grey, and the Gaussian that is nearest by each divergence.",
        ),
        _coverage(problem, found),
        Numbers(_statement(problem, found), "Covering and seeking"),
        Numbers(closed, "KL(p, q) matches moments"),
        Numbers(numbers, "By gradient descent, against an exhaustive search over a grid"),
    ]
    return Section(
        "In one dimension" if dims == 1 else "In two dimensions",
        [
            "The data p are a mixture of two Gaussians, the model q is one Gaussian with "
            + ("a mean and a standard deviation." if dims == 1 else "two means and one deviation."),
            "KL(p, q) is large where p has mass and q has none, so q covers both modes and puts "
            "mass between them. KL(q, p) is large where q has mass and p has none, so q sits on "
            f"the heavier mode. Samples of the first look wrong, samples of the second miss "
            f"{100 * problem.weights.min():.0f} % of the data.",
            f"Jensen-Shannon, between the two, {seen(problem, found['JS(p, q)'])} here. MMD "
            f"compares densities that are smoothed by its kernel, of width {KERNEL:g}, and "
            f"{seen(problem, found['MMD'])}.",
        ],
        FORMULAS if dims == 1 else [],
        parts,
        "ptheta train gan --data points-1d-pair --recipe points --loss maximum_likelihood "
        "--out runs/likelihood"
        if dims == 1
        else "ptheta train gmmn --data points-ring --recipe points --out runs/gmmn",
    )


def seen(problem: Problem, theta: np.ndarray) -> str:
    """Whether a fit covers both modes or sits on one, in words."""
    apart = np.linalg.norm(problem.means - theta[:-1], axis=1)
    k = int(apart.argmin())
    one = apart[k] < problem.deviations[k] and math.exp(theta[-1]) < 1.5 * problem.deviations[k]
    return f"sits on mode {k + 1}" if one else "covers both modes"


def _statement(problem: Problem, found: dict[str, np.ndarray]) -> list[Number]:
    """That KL(p, q) covers and KL(q, p) seeks."""
    heavy, light = int(problem.weights.argmax()), int(problem.weights.argmin())
    reverse = found["KL(q, p)"]
    deviation = problem.deviations[heavy]
    return [
        Number(
            "KL(p, q): standard deviation",
            math.exp(found["KL(p, q)"][-1]),
            problem.deviations.max(),
            0.0,
            ">=",
            "theory: that of the wider mode",
        ),
        Number(
            "KL(q, p): distance of the mean from the heavier mode, in deviations of the mode",
            float(np.linalg.norm(reverse[:-1] - problem.means[heavy])) / deviation,
            0.5,
            0.0,
            "<=",
        ),
        Number(
            "KL(q, p): mass of q at the lighter mode",
            _masses(problem, reverse)[light],
            problem.weights[light],
            0.0,
            "<=",
            "theory: the weight of this mode",
        ),
        Number(
            "KL(q, p) at its minimum, nats",
            float(objective(problem, "KL(q, p)")(reverse[None])[0]),
            -math.log(problem.weights[heavy]),
            1e-9,
            "<=",
            "theory: $-\\log w$ of the heavier mode, a bound that q reaches on this mode alone",
        ),
    ]


def _masses(problem: Problem, theta: np.ndarray) -> list[float]:
    """The mass of q within two deviations of each mode."""
    q = problem.fitted(theta[None])[0] * problem.cell
    return [
        float(q[((problem.points - m) ** 2).sum(1) < (2 * s) ** 2].sum())
        for m, s in zip(problem.means, problem.deviations, strict=True)
    ]


def _coverage(problem: Problem, found: dict[str, np.ndarray]) -> Table:
    """The mass of q near each mode, and between."""
    rows = []
    for name, theta in found.items():
        near = _masses(problem, theta)
        rows.append((name, f"{near[0]:.3f}", f"{near[1]:.3f}", f"{1 - sum(near):.3f}"))
    weights = ", ".join(f"{w:.2f}" for w in problem.weights)
    return Table(
        ("divergence", "mass of q at mode 1", "at mode 2", "elsewhere"),
        rows,
        f"Mass of q within two deviations of each mode; the weights of the modes are {weights}",
    )


def _drawn_line(problem: Problem, found: dict[str, np.ndarray]) -> Callable[[], str]:
    def draw(axes: Sequence[Axes]) -> None:
        x, axis = problem.points[:, 0], axes[0]
        axis.fill_between(x, problem.density(), color=GREY, alpha=0.45, label="data p")
        for (name, theta), colour in zip(found.items(), COLOURS, strict=False):
            q = problem.fitted(theta[None])[0]
            # which may be the same curve as that of KL(q, p)
            axis.plot(x, q, "--" if name == "JS(p, q)" else "-", color=colour, label=name)
        axis.set(xlim=(-6, 6))
        axis.legend(fontsize=8, frameon=False)
        label(axis, "x", "density")

    return figure(draw, "A mixture of two Gaussians and four fits of one", width=6.4)


def _drawn_plane(problem: Problem, found: dict[str, np.ndarray]) -> Callable[[], str]:
    def draw(axes: Sequence[Axes]) -> None:
        side = math.isqrt(len(problem.points))
        x, y = (problem.points[:, i].reshape(side, side) for i in range(2))
        p = problem.density().reshape(side, side)
        for axis, (name, theta), colour in zip(axes, found.items(), COLOURS, strict=False):
            axis.contourf(x, y, p, levels=6, cmap="Greys")
            q = problem.fitted(theta[None])[0].reshape(side, side)
            axis.contour(x, y, q, levels=4, colors=[colour], linewidths=1)
            axis.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal")
            label(axis, "", "", name)

    return figure(draw, "A mixture in the plane and four fits", count=4, width=10, height=2.9)
