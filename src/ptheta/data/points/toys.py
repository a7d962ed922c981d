"""Toys: points in one or two dimensions with exactly known density.

A toy is a mixture of components; the label of a point is its component. A new toy needs an entry of
`TOYS` and a description in `ptheta.data.POINTS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from ptheta.data.names import some_of
from ptheta.data.points.parts import Curve, Gaussian, Part, Sides, Square
from ptheta.data.splits import SPLITS
from ptheta.errors import unknown

SIZES = {"train": 20_000, "val": 5000, "test": 5000}  # points of each split
SEED = 0


@dataclass(frozen=True)
class Toy:
    """A mixture of parts with a name each.

    names: of the parts: the classes
    weights: of the parts, which sum to one
    modes: float64 (K, D), where the density peaks, one for each part; None where the parts are no
        peaks that lie apart
    deviations: float64 (K,), the standard deviation around each of the modes
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]
    weights: tuple[float, ...]
    modes: np.ndarray | None = None
    deviations: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Toy({self.dims} numbers, parts {some_of(self.names)})"

    @property
    def dims(self) -> int:
        """Numbers of a point."""
        return len(self.parts[0].sides)

    @cached_property
    def sides(self) -> Sides:
        """The box that holds all but 1e-14 of the mass: (least, greatest) of each number."""
        every = np.array([part.sides for part in self.parts])  # (K, D, 2)
        low, high = every[..., 0].min(0), every[..., 1].max(0)
        return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))

    @property
    def finest(self) -> float:
        """The length within which the density changes much: a grid needs steps of half of it."""
        return min(part.finest for part in self.parts)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points, float64 (n, D), and the number of the part of each, int64 (n,)."""
        labels = rng.choice(len(self.parts), n, p=self.weights)
        x = np.empty((n, self.dims))
        for k, part in enumerate(self.parts):
            mine = labels == k
            x[mine] = part.sample(int(mine.sum()), rng)
        return x, labels.astype(np.int64)

    def split(self, split: str, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
        """Points, float32 (N, D), and labels, int64 (N,), of a split; each has a random stream of
        its own. Raises PthetaError for a name that is no split."""
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        x, labels = self.sample(SIZES[split], np.random.default_rng([seed, SPLITS.index(split)]))
        return x.astype(np.float32), labels

    def log_joint(self, x: Tensor | np.ndarray) -> Tensor:
        """log p(x, k) of points (N, D) and every part k: float64 (N, K), nats, differentiable; -inf
        where there is nothing of a part."""
        points = torch.as_tensor(x).double()
        logs = [
            math.log(weight) + part.log_density(points)
            for weight, part in zip(self.weights, self.parts, strict=True)
        ]
        return torch.stack(logs, 1)

    def log_density(self, x: Tensor | np.ndarray) -> Tensor:
        """log p(x) of points (N, D): float64 (N,), nats, differentiable; -inf where p is 0."""
        joint = self.log_joint(x)
        there = joint.amax(1) > -math.inf
        some = torch.where(there[:, None], joint, torch.zeros_like(joint)).logsumexp(1)
        return torch.where(there, some, joint.amax(1))  # the gradient of log 0 would be no number


def mixture(
    gaussians: Sequence[Gaussian],
    names: Sequence[str] = (),
    weights: Sequence[float] = (),
    *,
    apart: bool = True,
) -> Toy:
    """A mixture of Gaussians, by default with equal weights and numbered names.

    apart: whether each component is a separate mode of the density
    """
    k = len(gaussians)
    return Toy(
        tuple(gaussians),
        tuple(names) or tuple(map(str, range(k))),
        tuple(weights) or (1 / k,) * k,
        modes=np.array([g.centre for g in gaussians]) if apart else None,
        deviations=np.array([g.deviation for g in gaussians]) if apart else None,
    )


def equal(parts: Sequence[Part], names: Sequence[str]) -> Toy:
    """A mixture of parts of equal weights."""
    return Toy(tuple(parts), tuple(names), (1 / len(parts),) * len(parts))


def ring() -> Toy:
    """Eight Gaussians on a circle of radius 2 (Metz et al., 1611.02163)."""
    angles = [2 * math.pi * k / 8 for k in range(8)]
    centres = [(2 * math.cos(a), 2 * math.sin(a)) for a in angles]
    return mixture([Gaussian(c, 0.02) for c in centres])


def grid() -> Toy:
    """25 Gaussians on a grid (Srivastava et al., 1705.07761; Lin et al., 1712.04086)."""
    places = [(row, column) for row in range(5) for column in range(5)]
    gaussians = [Gaussian((2.0 * column - 4, 2.0 * row - 4), 0.05) for row, column in places]
    return mixture(gaussians, [f"row {row} column {column}" for row, column in places])


def upper_arm(t: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(t), np.sin(t)], -1)


def lower_arm(t: np.ndarray) -> np.ndarray:
    return np.stack([1 - np.cos(t), 0.5 - np.sin(t)], -1)


def moons() -> Toy:
    """Two half circles that reach into one another, as scikit-learn's `make_moons` has them."""
    arms = [Curve(point, 0, math.pi, 0.1) for point in (upper_arm, lower_arm)]
    return equal(arms, ("upper", "lower"))


def spiral(t: np.ndarray) -> np.ndarray:
    return np.stack([t * np.cos(t), t * np.sin(t)], -1) / 5


def swiss() -> Toy:
    """A spiral of one turn and a half, as scikit-learn's `make_swiss_roll` has it in two of its
    numbers, a fifth as large."""
    starts = [(1.5 + k) * math.pi for k in range(3)]
    turns = [Curve(spiral, start, start + math.pi, 0.1) for start in starts]
    return equal(turns, ("inner", "middle", "outer"))


def checkerboard() -> Toy:
    """The dark squares of a board of 4x4, as in Grathwohl et al., 1810.01367."""
    dark = [(r, c) for r in range(4) for c in range(4) if (r + c) % 2 == 0]
    squares = [Square((2.0 * c - 4, 2.0 * r - 4), 2.0) for r, c in dark]
    names = [f"row {r} column {c}" for r, c in dark]
    return equal(squares, names)


def pair() -> Toy:
    gaussians = [Gaussian((-2.0,), 0.5), Gaussian((2.0,), 0.5)]
    return mixture(gaussians, ("left", "right"))


def unequal() -> Toy:
    """A wide and a narrow Gaussian, used to compare mode-seeking and mode-covering fits (Theis et
    al., 1511.01844, figure 1, in one dimension)."""
    gaussians = [Gaussian((-2.0,), 0.8), Gaussian((3.0,), 0.4)]
    return mixture(gaussians, ("wide", "narrow"), (0.7, 0.3))


def skewed() -> Toy:
    """Density 3 of Marron and Wand, Annals of Statistics 20 (1992): steep to the left, a long tail
    to the right."""
    sizes = [(2 / 3) ** k for k in range(8)]
    gaussians = [Gaussian((3 * (size - 1),), size) for size in sizes]
    return mixture(gaussians, apart=False)


def heavy() -> Toy:
    """Density 5 of Marron and Wand: nine in ten in a narrow peak, the rest far around it."""
    gaussians = [Gaussian((0.0,), 1.0), Gaussian((0.0,), 0.1)]
    names = ("far", "near")
    return mixture(gaussians, names, (0.1, 0.9), apart=False)


TOYS: dict[str, Callable[[], Toy]] = {
    "points-ring": ring,
    "points-grid25": grid,
    "points-moons": moons,
    "points-swiss": swiss,
    "points-checkerboard": checkerboard,
    "points-1d-pair": pair,
    "points-1d-unequal": unequal,
    "points-1d-skewed": skewed,
    "points-1d-heavy": heavy,
}


@cache
def toy(name: str) -> Toy:
    """The toy of a name (see `ptheta.data.EMBEDDED`). Raises PthetaError for the name of none."""
    if name not in TOYS:
        raise unknown("toy", name, TOYS)
    return TOYS[name]()
