"""How a number that has a bin is drawn within it (`ptheta.models.numbers`).

P(x) is the integral of p(v) over the bin of x, so that with any q(u | x) on the bin, u in [0, 1)^D,

    log P(x) >= E_q [log p(v(x, u)) - log q(u | x)],

up to the volume of the bin. Uniform: q = 1 (arXiv:1511.01844). Variational: q is a flow that is
learned with p (Ho et al. 2019, section 3.1, arXiv:1902.00275), and closes a part of the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.config import Entry
from ptheta.nets.flows.conditioners import perceptron, residual
from ptheta.nets.flows.couplings import Coupling, Halves, Interleaved, Moved
from ptheta.nets.flows.elementwise import EDGE, Sigmoid
from ptheta.nets.flows.laws import Affine
from ptheta.nets.flows.shapes import Squeeze, halvings
from ptheta.nets.flows.transform import Chain, Transform, summed

COUPLINGS = 2  # of q(u | x), beside a map of the context alone


@dataclass(frozen=True)
class Kind(Entry):
    """learned: whether q(u | x) has weights"""

    learned: bool = False


DEQUANTISATIONS: dict[str, Kind] = {
    "uniform": Kind(about="u uniform (1511.01844)"),
    "variational": Kind(learned=True, about="u by a flow given x (1902.00275)"),
}


class Noise(nn.Module):
    """q(u | x): logistic noise, a map given x, couplings given x, a sigmoid: uniform at first."""

    def __init__(self, flow: Transform, shape: tuple[int, ...], squeezed: bool) -> None:
        """shape: of u; squeezed: whether four pixels are channels of one place inside"""
        super().__init__()
        self.flow, self.shape = Chain([flow, Sigmoid()]), shape
        self.squeeze = Squeeze() if squeezed else None

    def drawn(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """u in (0, 1), (B, *shape), and log q(u | x), (B,). context: x as a network sees it"""
        u = streams.uniform(len(context), *self.shape, device=context.device)
        u = u.clamp(EDGE, 1 - EDGE)
        e = u.log() - (-u).log1p()
        log_q = summed(u.log() + (-u).log1p())
        if self.squeeze is not None:
            e, context = self.squeeze(e)[0], self.squeeze(context)[0]
        u, log_det = self.flow(e, context)
        u = u if self.squeeze is None else self.squeeze.inverse(u)
        return u, log_q - log_det


def of_images(shape: tuple[int, int, int], features: int) -> Noise:
    c, h, w = shape
    squeezed = halvings(h, w) > 0
    c = 4 * c if squeezed else c
    law = Affine("tanh")
    parts: list[Transform] = [Moved(residual(c, law.numbers * c, features, 1), law)]
    for i in range(COUPLINGS if c > 1 else 0):
        halves = Halves(c, bool(i % 2))
        net = residual(halves.seen + c, law.numbers * halves.moved, features, 1)
        parts.append(Coupling(halves, net, law))
    return Noise(Chain(parts), shape, squeezed)


def of_vectors(dims: int, width: int, hidden: Sequence[int]) -> Noise:
    """dims: discrete dimensions; width: dimensions of x"""
    law = Affine("tanh")
    parts: list[Transform] = [Moved(perceptron(width, law.numbers * dims, hidden), law)]
    for i in range(COUPLINGS if dims > 1 else 0):
        halves = Interleaved(dims, bool(i % 2))
        net = perceptron(halves.seen + width, law.numbers * halves.moved, hidden)
        parts.append(Coupling(halves, net, law))
    return Noise(Chain(parts), (dims,), squeezed=False)


def uniform(x: Tensor) -> tuple[Tensor, Tensor]:
    """u in [0, 1) of the shape of x and log q(u | x) = 0."""
    return streams.uniform_like(x), torch.zeros(len(x), dtype=x.dtype, device=x.device)
