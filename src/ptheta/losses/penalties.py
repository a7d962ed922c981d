"""Penalties on a discriminator or a generator: evaluation points and costs.

Most are functions of the gradient of d at one example (gradient penalties); none needs to be: a
cost is given the network itself. Each entry of `PENALTIES` is one penalty; those of a run are
summed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ptheta.compute import streams

At = Literal["real", "fake", "interpolated", "perturbed", "code"]
OWN_OUTPUT = "the penalty takes the gradient of each example's own output"


class Evaluation(NamedTuple):
    """A network at the points where a penalty is taken.

    points: scaled examples (B, ...), or codes (B, L) for a penalty on the generator; the
        outputs can be differentiated in them
    outputs: the network's outputs for them: d (B,), or examples (B, ...)
    network: the network, for a cost that needs its outputs elsewhere
    """

    points: Tensor
    outputs: Tensor
    network: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Penalty:
    """at: where it is taken. Examples belong to the discriminator's loss: "real", "fake", or those
        of `POINTS`; "code" to the generator's: the codes z of the fakes
    cost: of each example, (B,)
    weight: the default
    formula: for pages and pictures
    excludes: trait of another part -> why the penalty does not go with it
    """

    at: At
    cost: Callable[[Evaluation], Tensor]
    weight: float
    formula: str
    paper: str
    excludes: Mapping[str, str] = field(default_factory=lambda: {"batchwise": OWN_OUTPUT})
    traits: frozenset[str] = frozenset()

    @property
    def about(self) -> str:
        return f"{self.formula} ({self.paper})"


def squared_grad_norm(outputs: Tensor, points: Tensor) -> Tensor:
    """|grad_x d(x)|^2 at each example, (B,), differentiable in the weights of d.

    outputs: (B,) of d, each of its own example alone; points: the examples (B, ...) they came from
    """
    (grad,) = torch.autograd.grad(outputs.sum(), points, create_graph=True)
    return grad.float().square().flatten(1).sum(1)


def one_centred(squared: Tensor) -> Tensor:
    """(|grad d| - 1)^2 of the squared norm; smooth where the gradient is 0."""
    return ((squared + 1e-12).sqrt() - 1).square()


def zero_centred(squared: Tensor) -> Tensor:
    """|grad d|^2 / 2 of the squared norm."""
    return 0.5 * squared


def drift(found: Evaluation) -> Tensor:
    """d(x)^2: keeps outputs of a loss that compares them alone near 0 (Karras et al. 2018, appendix
    A.1)."""
    return found.outputs.square()


def gradient_penalty(of: Callable[[Tensor], Tensor]) -> Callable[[Evaluation], Tensor]:
    """The cost that is this function of |grad d|^2."""
    return lambda found: of(squared_grad_norm(found.outputs, found.points))


def interpolate(real: Tensor, fake: Tensor) -> Tensor:
    """e x + (1 - e) G(z), one e ~ U(0, 1) for each pair: Gulrajani et al. 2017, algorithm 1."""
    e = streams.uniform(len(real), *(1,) * (real.ndim - 1), device=real.device, dtype=real.dtype)
    return torch.lerp(fake, real, e).detach()


def perturb_real(real: Tensor, fake: Tensor) -> Tensor:
    """x + N(0, s^2) with s half the deviation of the batch's numbers: Kodali et al. 2017."""
    return (real + 0.5 * streams.deviation(real) * streams.normal_like(real)).detach()


# the points that are not the examples of the step themselves
POINTS: dict[At, Callable[[Tensor, Tensor], Tensor]] = {
    "interpolated": interpolate,
    "perturbed": perturb_real,
}

PENALTIES: dict[str, Penalty] = {
    "gp": Penalty(
        "interpolated",
        gradient_penalty(one_centred),
        10.0,
        "(|grad d(e x + (1 - e) G(z))| - 1)^2",
        "arXiv:1704.00028",
    ),
    "dragan": Penalty(
        "perturbed",
        gradient_penalty(one_centred),
        10.0,
        "(|grad d(x + noise)| - 1)^2",
        "arXiv:1705.07215",
    ),
    "r1": Penalty(
        "real", gradient_penalty(zero_centred), 10.0, "|grad d(x)|^2 / 2", "arXiv:1801.04406"
    ),
    "r2": Penalty(
        "fake", gradient_penalty(zero_centred), 10.0, "|grad d(G(z))|^2 / 2", "arXiv:1801.04406"
    ),
    "drift": Penalty("real", drift, 1e-3, "d(x)^2", "arXiv:1710.10196", excludes={}),
}


def penalise(
    penalty: Penalty, network: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """A penalty with its default weight, in a loop of anyone's own: (B,), to be added to a loss.

    network: gives the output of each example, (B,); real, fake: examples (B, ...). Of a penalty at
        codes: the generator, and fake are its codes
    """
    given = POINTS[penalty.at](real, fake) if penalty.at in POINTS else fake
    points = (real if penalty.at == "real" else given).detach().requires_grad_()
    return penalty.weight * penalty.cost(Evaluation(points, network(points), network))
