"""Multi-scale PixelCNN (van den Oord et al. 2016, arXiv:1601.06759, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Parts, option
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import Autoregressive, Stepper
from ptheta.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.masked import by_pixel
from ptheta.specs import ImageSpec, to_symmetric


@dataclass(frozen=True)
class MultiScaleConfig(PixelCNNConfig):
    scales: Parts = option(2, "grids; each has every second row and column of the next")
    context: Parts = option(3, "3x3 convolutions over the coarser grid's pixels")


class Context(nn.Module):
    """What the coarser grid tells each pixel of the finer one; all of it is known, so the
    convolutions need no mask."""

    def __init__(self, colours: int, features: int, layers: int) -> None:
        super().__init__()
        # beside the colours: where the grid is
        sizes = [colours + 1, *[features] * layers]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """uint8 (B, C, H, W), of which rows and columns 0, 2, 4, ... are read -> (B, F, H, W)."""
        grid = torch.zeros_like(x[:1, :1])
        grid[:, :, ::2, ::2] = 1
        known = torch.cat([to_symmetric(x) * grid, grid.expand(len(x), -1, -1, -1)], 1)
        h = by_pixel(known)
        for k, layer in enumerate(self.layers):
            h = layer(h if k == 0 else h.relu())
        return h


class MultiScalePixelCNN(Autoregressive):
    """The coarsest grid first, then each finer grid's new pixels given all coarser ones.

    Exact: log p(x) is the sum over all pixels, each counted in the first grid that holds it.
    """

    def __init__(
        self, spec: ImageSpec, config: MultiScaleConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        c, h, w = spec.shape
        self.strides = [2**k for k in reversed(range(config.scales))]
        self.nets = nn.ModuleList(
            PixelCNN(ImageSpec(c, -(-h // s), -(-w // s), spec.levels), config, condition)
            for s in self.strides
        )
        self.contexts = nn.ModuleList(
            Context(c, config.features, config.context) for _ in self.strides[1:]
        )
        self.distribution = self.net(0).distribution

    def net(self, scale: int) -> PixelCNN:
        found = self.nets[scale]
        assert isinstance(found, PixelCNN)
        return found

    def context(self, scale: int, x: Tensor) -> Tensor | None:
        """From x (B, C, h, w), the grid of this scale; None for the coarsest."""
        return self.contexts[scale - 1](x) if scale else None

    @property
    def order(self) -> list[int]:
        return [p for pixels in self.parts() for p in pixels]

    def parts(self) -> list[list[int]]:
        """The new pixels of each scale, as row * W + column, in raster order."""
        found, seen = [], set[int]()
        for s in self.strides:
            rows, columns = range(0, self.spec.height, s), range(0, self.spec.width, s)
            grid = [i * self.spec.width + j for i in rows for j in columns]
            found.append([p for p in grid if p not in seen])
            seen.update(grid)
        return found

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        self.spec.check(x)
        out: Tensor | None = None
        for scale, s in enumerate(self.strides):
            grid = x[:, :, ::s, ::s].contiguous()
            found = self.net(scale).output(grid, condition, self.context(scale, grid))
            if out is not None:  # what the coarser grids hold was counted there
                coarse = torch.zeros_like(found[:1, :1])
                coarse[:, :, ::2, ::2] = 1
                spread = torch.zeros_like(found)
                spread[:, :, ::2, ::2] = out
                found = torch.where(coarse > 0, spread, found)
            out = found
        assert out is not None
        return self.distribution(out)

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return MultiScaleStepper(self, n, condition)

    def graph(self) -> Graph:
        """One grid after the other, each pixel by pixel given the coarser one."""
        names = [f"x^{{({k + 1})}}" for k in range(self.config.scales)]
        variables = [Variable(name, "observed", f"grid {k + 1}") for k, name in enumerate(names)]
        arrows = [Arrow(coarse, fine, law="pixel by pixel") for coarse, fine in pairwise(names)]
        graph = Graph(tuple(variables), tuple(arrows))
        return graph if self.condition is None else graph.given(word(self.condition), *names)


class MultiScaleStepper(Stepper):
    """The stepper of one scale after the other; known pixels of coarser grids are walked over."""

    def __init__(self, model: MultiScalePixelCNN, n: int, condition: Condition | None) -> None:
        self.model, self.n, self.condition = model, n, condition
        spec = model.spec
        self.places = [(scale, p) for scale, pixels in enumerate(model.parts()) for p in pixels]
        device = next(model.parameters()).device
        self.x = torch.zeros(n, *spec.shape, dtype=torch.uint8, device=device)
        self.scale, self.walked = -1, 0

    def reach(self, t: int) -> int:
        """The inner stepper stands before pixel t of the order; returns t's number there."""
        scale, p = self.places[t]
        s, colours = self.model.strides[scale], self.model.spec.channels
        i, j = (q // s for q in divmod(p, self.model.spec.width))
        net = self.model.net(scale)
        grid = self.x[:, :, ::s, ::s]
        if scale != self.scale:
            context = self.model.context(scale, grid.contiguous())
            self.inner = net.stepper(self.n, self.condition, context)
            self.scale, self.walked = scale, 0
        number = i * net.spec.width + j
        for q in range(self.walked, number):  # on a coarser grid: known
            pixel = grid[:, :, q // net.spec.width, q % net.spec.width]
            self.inner.at(q, colours - 1, pixel)
            self.inner.put(q, pixel)
        self.walked = number
        return number

    def at(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        number = self.reach(t)
        return self.inner.at(number, c, pixel)

    def put(self, t: int, pixel: Tensor) -> None:
        number = self.reach(t)
        self.inner.put(number, pixel)
        self.walked = number + 1
        i, j = divmod(self.places[t][1], self.model.spec.width)
        self.x[:, :, i, j] = pixel


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "two grids, eight residual blocks of 64 channels each",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
}
