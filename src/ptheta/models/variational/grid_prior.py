"""A model whose codes are categories on a grid, with a prior of such grids fitted to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    CodesOnGrid,
    Decodes,
    Encodes,
    HasLogProb,
    NamesPrior,
    Samples,
    condition_of,
)
from ptheta.conditions import word
from ptheta.games import Terms
from ptheta.models.base import EVERY_KIND, Model
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, from_levels, to_levels


@runtime_checkable
class GridCoder(CodesOnGrid, NamesPrior, Encodes, Decodes, Protocol):
    """What such a prior can be fitted to."""

    spec: DataSpec

    def parameters(self) -> Iterator[nn.Parameter]: ...


@runtime_checkable
class GridPrior(HasLogProb, Samples, Protocol):
    """What such a prior can be: a model of images that has log p and draws."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


def order_of(vectors: Tensor) -> Tensor:
    """Codes along the principal axis of their vectors, so that levels that are near to one another
    stand for vectors that are: (K, D) -> int64 (K,), the code of each level.

    A prior that sees levels as numbers learns sooner so; what it can say is the same in any order.
    """
    centred = vectors.double() - vectors.double().mean(0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    axis = axes[:, -1]
    axis = axis * axis[axis.abs().argmax()].sign()
    order: Tensor = (centred @ axis).argsort(stable=True)
    return order


class WithGridPrior(Model):
    """p(x) = sum over maps m of p(m) p(x | m), where p(m) is a model of its own.

    Each example has one map m(x), so

        log p(x) >= log p(x | m(x)) + log p(m(x))

    which is the ELBO of a posterior that is one point, exactly and without noise. What the prior is
    asked for, such as a label, is the condition of the whole.

    order: the code of each level of the prior's images, (K,)
    """

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    order: Tensor
    level: Tensor

    def __init__(self, model: GridCoder, prior: GridPrior, order: Tensor) -> None:
        super().__init__(model.spec, None, condition_of(prior))
        self.model, self.of_maps = model, prior
        self.register_buffer("order", order)
        self.register_buffer("level", torch.argsort(order))

    def map_of(self, x: Tensor) -> Tensor:
        """The codes of examples as the prior sees them: uint8 (B, 1, H', W')."""
        return reordered(self.model.code_map(x), self.level)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.model.encode(x)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.model.decode(z)

    @torch.no_grad()
    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """The vectors of the codes of n maps m ~ p(m): (n, P D)."""
        m = reordered(self.of_maps.sample(n, condition), self.order)
        vectors = self.model.code_vectors()
        return vectors[to_levels(m, len(vectors)).flatten(1)].flatten(1)

    @torch.no_grad()
    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """x ~ p(x | m) with m ~ p(m)."""
        m = reordered(self.of_maps.sample(n, condition), self.order)
        return self.model.of_code_map(m).sample()

    def draws_elements(self) -> bool:
        return True

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        m = self.model.code_map(x)
        log_p = self.model.of_code_map(m).log_prob_of_example(x)
        of_map = self.of_maps.log_prob(reordered(m, self.level), self.asked(condition))
        return {"reconstruction": -log_p, "codes": -of_map}

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        terms = self.bound_terms(x, condition)
        return -(terms["reconstruction"] + terms["codes"])

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """The ELBO, whatever k: a posterior of one point has one importance sample."""
        return self.elbo(x, condition)

    def graph(self) -> Graph:
        graph = Graph(
            (
                Variable("k", "latent", "map of codes"),
                Variable("x", "observed", self.spec.one),
            ),
            (
                Arrow("k", "x", law="p(x | k)"),
                Arrow("x", "k", "inference", "nearest codes"),
            ),
        )
        return graph if self.condition is None else graph.given(word(self.condition), "k")


def reordered(m: Tensor, to: Tensor) -> Tensor:
    """A map with each code k in the place of another, to[k]. to: (K,)"""
    return from_levels(to[to_levels(m, len(to))], len(to))
