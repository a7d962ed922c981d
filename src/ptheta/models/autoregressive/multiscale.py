"""Multi-scale PixelCNN (van den Oord et al. 2016, arXiv:1601.06759, section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Parts, option
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import PixelModel
from ptheta.models.autoregressive.pixelcnn import PixelCNN, PixelCNNConfig
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.nets.masked import by_pixel
from ptheta.nets.modules import Modules
from ptheta.specs import ImageSpec, to_symmetric


@dataclass(frozen=True)
class MultiScaleConfig(PixelCNNConfig):
    scales: Parts = option(
        2, "number of grids; each has every second row and column of the next", basic=True
    )
    context: Parts = option(3, "number of 3x3 convolutions over the pixels of the coarser grid")


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


class MultiScalePixelCNN(PixelModel):
    """The coarsest grid first, then each finer grid's new pixels given all coarser ones.

    Exact: log p(x) is the sum over all pixels, each counted in the first grid that holds it.
    """

    def __init__(
        self, spec: ImageSpec, config: MultiScaleConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        c, h, w = spec.shape
        self.strides: list[int] = [2**k for k in reversed(range(config.scales))]
        self.nets = Modules(
            PixelCNN(ImageSpec(c, -(-h // s), -(-w // s), spec.levels), config, condition)
            for s in self.strides
        )
        self.contexts = Modules(
            Context(c, config.features, config.context) for _ in self.strides[1:]
        )
        self.distribution = self.nets[0].distribution

    def context(self, scale: int, x: Tensor) -> Tensor | None:
        """From x (B, C, h, w), the grid of this scale; None for the coarsest."""
        return self.contexts[scale - 1](x) if scale else None

    @property
    def order(self) -> list[int]:
        return [p for pixels in self.pixels_by_scale() for p in pixels]

    def pixels_by_scale(self) -> list[list[int]]:
        """The new pixels of each scale, as row * W + column, in raster order."""
        by_scale, coarser = [], set[int]()
        for s in self.strides:
            rows, columns = range(0, self.spec.height, s), range(0, self.spec.width, s)
            grid = [i * self.spec.width + j for i in rows for j in columns]
            by_scale.append([p for p in grid if p not in coarser])
            coarser.update(grid)
        return by_scale

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        self.spec.check(x)
        out: Tensor | None = None
        for scale, s in enumerate(self.strides):
            grid = x[:, :, ::s, ::s].contiguous()
            fine = self.nets[scale].output(grid, condition, self.context(scale, grid))
            if out is not None:  # what the coarser grids hold was counted there
                coarse = torch.zeros_like(fine[:1, :1])
                coarse[:, :, ::2, ::2] = 1
                spread = torch.zeros_like(fine)
                spread[:, :, ::2, ::2] = out
                fine = torch.where(coarse > 0, spread, fine)
            out = fine
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
        self.colours, self.width = model.spec.channels, model.spec.width
        pixels = model.pixels_by_scale()
        self.scales = [scale for scale, new in enumerate(pixels) for _ in new]  # of each pixel
        self.places = [divmod(p, self.width) for new in pixels for p in new]  # row and column
        device = next(model.parameters()).device
        self.x = torch.zeros(n, *model.spec.shape, dtype=torch.uint8, device=device)
        self.scale = -1

    def number(self, t: int) -> int:
        """What the inner stepper calls pixel t of the order: its place on the grid of its scale."""
        stride = self.model.strides[self.scales[t]]
        i, j = self.places[t]
        return i // stride * self.grid_width + j // stride

    def begin_scale(self, scale: int) -> None:
        """A stepper of this scale, before its first pixel; the coarser grids are complete."""
        stride = self.model.strides[scale]
        self.grid = self.x[:, :, ::stride, ::stride]  # a view: it fills as pixels are observed
        net, context = self.model.nets[scale], self.model.context(scale, self.grid.contiguous())
        self.inner = net.stepper(self.n, self.condition, context)
        self.scale, self.grid_width, self.walked = scale, net.spec.width, 0

    def walk_to(self, number: int) -> None:
        """Shows the inner stepper the pixels before this one: they are of coarser grids."""
        for q in range(self.walked, number):
            pixel = self.grid[:, :, q // self.grid_width, q % self.grid_width]
            self.inner.conditional(q, self.colours - 1, pixel)
            self.inner.observe(q, pixel)
        self.walked = number

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        if self.scales[t] != self.scale:
            self.begin_scale(self.scales[t])
        number = self.number(t)
        self.walk_to(number)
        return self.inner.conditional(number, c, pixel)

    def observe(self, t: int, pixel: Tensor) -> None:
        number = self.number(t)
        self.inner.observe(number, pixel)
        self.walked = number + 1
        i, j = self.places[t]
        self.x[:, :, i, j] = pixel


RECIPES: Recipes = {
    "default": {
        "about": "two grids, eight residual blocks of 64 channels each",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999},
    },
}
