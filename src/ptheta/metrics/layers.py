"""The KL of each layer of a hierarchical model's codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import HasLayers
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.measures.results import NORMAL
from ptheta.metrics.likelihood import batches
from ptheta.tasks.needs import HasKL, require_one

SAYS_NOTHING = 0.1  # nats: a layer with a smaller KL counts as unused


class LayersJson(TypedDict):
    """One run: KL by layer with standard errors, their sum, layers in use, examples."""

    run: str
    kl: list[float]
    errors: list[float]
    total: float
    used: int
    examples: int


@dataclass(frozen=True)
class LayerKL:
    """KL by layer. kl: the mean KL of each layer over n examples, nats, the layer next to x first;
    errors: their standard errors; total, error: of the sum"""

    name: str
    kl: tuple[float, ...]
    errors: tuple[float, ...]
    total: float
    error: float
    n: int

    @property
    def used(self) -> int:
        """Number of layers with a KL of more than 0.1 nats."""
        return sum(value > SAYS_NOTHING for value in self.kl)

    def rows(self) -> list[list[str]]:
        """Table rows: one per layer, from x up, and one for their sum."""
        every = zip(self.kl, self.errors, strict=True)
        rows = [
            [self.name, f"{i + 1}", f"{kl:.3f} +- {NORMAL * e:.3f}", _share(kl, self.total)]
            for i, (kl, e) in enumerate(every)
        ]
        return [*rows, [self.name, "sum", f"{self.total:.3f} +- {NORMAL * self.error:.3f}", ""]]

    def to_json(self) -> LayersJson:
        return {
            "run": self.name,
            "kl": list(self.kl),
            "errors": list(self.errors),
            "total": self.total,
            "used": self.used,
            "examples": self.n,
        }


def _share(part: float, total: float) -> str:
    return f"{100 * part / total:.1f} %" if total > 0 else ""


@torch.no_grad()
def layer_kl(
    model: nn.Module, data: Dataset, name: str, *, n: int = 2000, seed: int = 0
) -> LayerKL:
    """The KL of each layer over the first n examples, by one posterior sample each. A model with
    one layer has the KL of its bound. Raises PthetaError if the model has no bound with a
    posterior."""
    if n < 2:
        raise PthetaError(f"n = {n}: ask for at least two examples")
    able = require_one(model, (HasLayers, HasKL), "say what its layers of codes carry")
    some = in_turn(data.with_fixed_binarisation()).subset(slice(0, n))
    with seeded(seed):
        found = torch.cat([_of_batch(able, x, y) for x, y in batches(able, some, 500, "layers")])
    count = len(found)
    errors = found.std(0) / count**0.5
    total = found.sum(1)
    return LayerKL(
        name,
        tuple(found.mean(0).tolist()),
        tuple(errors.tolist()),
        total.mean().item(),
        (total.std() / count**0.5).item(),
        count,
    )


def _of_batch(model: nn.Module, x: Tensor, y: Condition | None) -> Tensor:
    if isinstance(model, HasLayers):
        return model.layer_kl(x, y).cpu().double()
    assert isinstance(model, HasKL)
    return model.bound_terms(x, y)["kl"].cpu().double()[:, None]
