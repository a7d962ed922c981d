"""Ordinary differential equations, by Runge-Kutta rules with steps of a fixed size, and what their
flow does to a density (Chen et al. 2018, arXiv:1806.07366, theorem 1).

    dw/ds = f(w, s),    d log p(w) / ds = -div f

The divergence is exact by one product with the Jacobian for each number, or estimated by random
signs, E[e' J e] = tr J (Hutchinson 1990; Grathwohl et al. 2019, arXiv:1810.01367).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ptheta.config import Entry

Field = Callable[[Tensor, float], Tensor]  # numbers (B, ...), time -> as the numbers


@dataclass(frozen=True)
class Solver(Entry):
    """A rule with stages k_i = f(w + h sum_j rows[i][j] k_j, s + nodes[i] h), whose step is
    h sum_i weights[i] k_i. order: its error is of h^order"""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: int


SOLVERS: dict[str, Solver] = {
    "euler": Solver((0.0,), ((),), (1.0,), 1, about="one pass a step"),
    "midpoint": Solver((0.0, 0.5), ((), (0.5,)), (0.0, 1.0), 2, about="two passes"),
    "heun": Solver((0.0, 1.0), ((), (1.0,)), (0.5, 0.5), 2, about="two passes"),
    "rk4": Solver(
        (0.0, 0.5, 0.5, 1.0),
        ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
        (1 / 6, 1 / 3, 1 / 3, 1 / 6),
        4,
        about="four passes",
    ),
}


def integrate(f: Field, w: Tensor, times: Sequence[float], solver: Solver) -> Tensor:
    """w at the last of the times, from that at the first."""
    for s, u in pairwise(times):
        w = w + (u - s) * _slope(f, w, s, u - s, solver)
    return w


def _slope(f: Field, w: Tensor, s: float, h: float, solver: Solver) -> Tensor:
    stages: list[Tensor] = []
    for node, row in zip(solver.nodes, solver.rows, strict=True):
        at = w
        for share, stage in zip(row, stages, strict=True):
            at = at if not share else at + h * share * stage
        stages.append(f(at, s + node * h))
    total = torch.zeros_like(w)
    for weight, stage in zip(solver.weights, stages, strict=True):
        total = total if not weight else total + weight * stage
    return total


def with_divergence(f: Field, probes: Tensor, exact: bool) -> Field:
    """The field of rows (B, D + K), numbers and K integrals of the divergence beside them.

    probes: (K, B, D), one for each estimate; exact: they are unit vectors, and K is 1
    """
    columns = 1 if exact else len(probes)

    def both(rows: Tensor, s: float) -> Tensor:
        with torch.enable_grad():
            w = rows[:, :-columns].detach().requires_grad_()
            out = f(w, s)
            last = len(probes) - 1
            found = [
                (torch.autograd.grad(out, w, e, retain_graph=i < last)[0] * e).sum(1)
                for i, e in enumerate(probes)
            ]
        each = torch.stack(found, 1)
        return torch.cat([out.detach(), each.sum(1, keepdim=True) if exact else each], 1)

    return both
