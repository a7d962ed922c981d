"""Divergences of two known densities, cell by cell on a grid of one or two dimensions, float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError

LogDensity = Callable[[Tensor], Tensor]  # points (N, D) -> log of the density at each, nats (N,)
CELLS = {1: 20_000, 2: 600}  # minimum cells along each side
MOST = 4_000_000  # maximum number of cells
NEGLIGIBLE = 1e-6  # maximum mass beyond the grid
CHUNK = 100_000  # cells evaluated at a time


@dataclass(frozen=True)
class Grid:
    """A box divided into equal cells. low, high: the box (D,), D = 1 or 2; cells: along each
    side"""

    low: tuple[float, ...]
    high: tuple[float, ...]
    cells: int

    def __post_init__(self) -> None:
        if len(self.low) not in CELLS or len(self.high) != len(self.low):
            raise PthetaError(
                f"a grid of {len(self.low)} dimensions: densities are compared on one of 1 or 2"
            )
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)) or self.cells < 2:
            raise PthetaError(f"{self}: want low below high, and two cells or more")

    @classmethod
    def over(cls, sides: Sequence[tuple[float, float]], finest: float = math.inf) -> Grid:
        """A grid over a box ((low, high) of each dimension), with cells of at most half of
        `finest`, the length scale of the densities."""
        low, high = tuple(a for a, _ in sides), tuple(b for _, b in sides)
        widest = max(b - a for a, b in sides)
        wanted = 2 * widest / finest
        most = round(MOST ** (1 / len(sides)))
        return cls(low, high, min(most, max(CELLS.get(len(sides), 2), math.ceil(wanted))))

    @property
    def volume(self) -> float:
        """Volume of a cell."""
        sides = zip(self.low, self.high, strict=True)
        return math.prod((b - a) / self.cells for a, b in sides)

    def centres(self) -> Tensor:
        """Centres of all cells: float64 (cells^D, D)."""
        at = (torch.arange(self.cells, dtype=torch.float64) + 0.5) / self.cells
        axes = [a + (b - a) * at for a, b in zip(self.low, self.high, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)

    def coarser(self) -> Grid:
        """The grid with half as many cells along each side."""
        return Grid(self.low, self.high, max(2, self.cells // 2))


@dataclass(frozen=True)
class Divergences:
    """Divergences of p and q in nats, as sums of non-negative terms.

    kl: p log(p / q) - p + q summed over the cells and the exterior as one cell: KL(p || q) if p has
        no mass outside the grid, else a lower bound; reverse_kl: the same for q and p
    total_variation: |p - q| / 2 summed over the cells and the exterior as one cell: 0 to 1
    outside_p, outside_q: the mass beyond the grid; negative if the grid is too coarse
    """

    kl: float
    reverse_kl: float
    total_variation: float
    outside_p: float
    outside_q: float


def divergences(log_p: LogDensity, log_q: LogDensity, grid: Grid) -> Divergences:
    """Divergences of two normalised densities; infinite if one has no mass in a cell where the
    other has.

    Raises PthetaError for a density that is NaN or infinite.
    """
    sums = torch.zeros(5, dtype=torch.float64)
    for x in grid.centres().split(CHUNK):
        a, b = (_checked(of(x), x) + math.log(grid.volume) for of in (log_p, log_q))
        p, q = a.exp(), b.exp()
        terms = (_cells(p, q, a - b), _cells(q, p, b - a), (p - q).abs(), p, q)
        sums += torch.stack([term.sum() for term in terms])
    kl, reverse, apart, p, q = sums.tolist()
    rest = max(0.0, 1 - p), max(0.0, 1 - q)
    return Divergences(
        kl + _rest(*rest),
        reverse + _rest(*rest[::-1]),
        (apart + abs(rest[0] - rest[1])) / 2,
        1 - p,
        1 - q,
    )


def _rest(p: float, q: float) -> float:
    """p log(p / q) - p + q of the masses beyond the grid, or 0 if p may be a discretisation
    error."""
    if p < NEGLIGIBLE:
        return max(0.0, q - p)
    return 0.0 if q < NEGLIGIBLE else p * math.log(p / q) - p + q


def _cells(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """p log(p / q) - p + q by cell, which is q if p is 0."""
    return torch.where(p > 0, p * log_ratio, 0.0) - p + q


def _checked(log_density: Tensor, x: Tensor) -> Tensor:
    found = log_density.detach().cpu().double()
    if found.shape != (len(x),) or bool((found.isnan() | (found == math.inf)).any()):
        raise PthetaError(
            f"a log density of shape {tuple(found.shape)} for {len(x)} points, or one that is NaN "
            "or infinite: give log p(x) in nats, (N,)"
        )
    return found
