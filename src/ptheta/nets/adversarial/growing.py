"""Networks that grow: a generator and a discriminator of images of several sizes, each twice the
one before, whose layers learn one size after the other (Karras et al. 2018, arXiv:1710.10196)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ptheta.nets.adversarial.layers import leaky_relu
from ptheta.nets.convolutional import Norm, Size, pyramid, widths_for
from ptheta.nets.minibatch import MinibatchLayer
from ptheta.nets.modules import Layer, Modules, Stack
from ptheta.nets.resize import doubled, halved
from ptheta.specs import full


@dataclass(frozen=True)
class Plan:
    """The levels of a network, smallest first.

    sizes, widths: height and width of each level's maps, and their channels
    first: the level of the smallest images; those of stage k are of level first + k
    """

    sizes: tuple[Size, ...]
    widths: tuple[int, ...]
    first: int = 0

    @property
    def stages(self) -> int:
        """How many sizes images have, one after the other."""
        return len(self.sizes) - self.first


def plan(height: int, width: int, stages: int, features: int, most: int) -> Plan:
    """stages: 0 for as many as there are; features: channels of the largest map; most: of any"""
    sizes = pyramid(height, width)[::-1]
    first = len(sizes) - stages if stages else 0
    return Plan(tuple(sizes), tuple(widths_for(len(sizes), features, most)[::-1]), first)


class Doubled(Layer):
    """Maps (B, C, h, w) doubled and cropped to `size`."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return doubled(x, self.size)


class Halved(Layer):
    """Maps (B, C, H, W) halved, rounding up."""

    def forward(self, x: Tensor) -> Tensor:
        return halved(x)


class Growing(nn.Module):
    """What has a size at present.

    position: k where the layers of stage k, of 0, 1, ..., are the last; k + a while those of stage
        k + 1 fade in with weight a. It is stored with the weights, and never decreases
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan, self.position = plan, 0.0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.position, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.position = float(state)

    def grow(self, position: float) -> None:
        """To this position, where it is not beyond it."""
        self.position = min(max(self.position, position), float(self.plan.stages - 1))

    def grown(self) -> bool:
        """Whether no layers are fading in."""
        return self.position >= self.plan.stages - 1

    def now(self) -> tuple[int, float]:
        """The present stage, and the weight of its layers beside those of the one before: 1 where
        they stand alone."""
        stage = math.ceil(self.position)
        return stage, 1 - (stage - self.position)

    def size(self) -> Size:
        """Height and width of the present images."""
        return self.plan.sizes[self.plan.first + self.now()[0]]

    def sized(self, x: Tensor) -> Tensor:
        """Images of full size (B, C, H, W) in their present size."""
        for _ in range(self.plan.stages - 1 - self.now()[0]):
            x = halved(x)
        return x

    def presented(self, x: Tensor) -> Tensor:
        """Images of full size as they are to be seen at present: in their size, and, while its
        layers fade in, as much between that of the stage before and this one (section 2)."""
        x, (_, weight) = self.sized(x), self.now()
        if weight == 1:
            return x
        return torch.lerp(doubled(halved(x), (x.shape[2], x.shape[3])), x, weight)

    def enlarged(self, x: Tensor) -> Tensor:
        """Images of the present size in full size."""
        for size in self.plan.sizes[self.plan.first + self.now()[0] + 1 :]:
            x = doubled(x, size)
        return x


def _activated(layer: nn.Module, channels: int, dims: int, norm: Norm) -> list[nn.Module]:
    """A layer, its leaky ReLU, and what normalises that."""
    normed = norm(channels, dims)
    return [layer, leaky_relu(), *([] if normed is None else [normed])]


def _convolved(c_in: int, c_out: int, norm: Norm, kernel: int = 3) -> list[nn.Module]:
    """The same, of a convolution that keeps the size of a map."""
    return _activated(nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2), c_out, 4, norm)


def no_norm(channels: int, dims: int) -> None:
    return None


class GrowingGenerator(Growing):
    """Numbers (B, N) -> maps (B, C, h, w), of the present size."""

    if TYPE_CHECKING:

        def __call__(self, numbers: Tensor) -> Tensor: ...

    def __init__(self, plan: Plan, inputs: int, channels: int, norm: Norm) -> None:
        super().__init__(plan)
        (h, w), first = plan.sizes[0], plan.widths[0]
        project = nn.Sequential(nn.Linear(inputs, first * h * w), nn.Unflatten(1, (first, h, w)))
        start = Stack(*_activated(project, first, 4, norm), *_convolved(first, first, norm))
        later = zip(plan.widths, plan.widths[1:], plan.sizes[1:], strict=False)
        self.blocks = Modules(
            [
                start,
                *(
                    Stack(Doubled(size), *_convolved(a, b, norm), *_convolved(b, b, norm))
                    for a, b, size in later
                ),
            ]
        )
        self.to_image = Modules([nn.Conv2d(c, channels, 1) for c in plan.widths[plan.first :]])
        init_he(self)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.at(numbers, *self.now())

    def at(self, numbers: Tensor, stage: int, weight: float) -> Tensor:
        """The output at a stage whose layers are blended with the previous ones by this weight."""
        level = self.plan.first + stage
        before = maps = self.blocks[0](numbers)
        for block in self.blocks[1 : level + 1]:
            before, maps = maps, block(maps)
        if weight == 1:
            image: Tensor = self.to_image[stage](maps)
            return image
        small = doubled(self.to_image[stage - 1](before), self.plan.sizes[level])
        return torch.lerp(full(small), full(self.to_image[stage](maps)), weight)


class GrowingTrunk(Growing):
    """Images (B, C, h, w) of the present size -> features (B, width).

    statistics: batch statistics appended to its smallest maps (section 3)
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> Tensor: ...

    def __init__(
        self,
        plan: Plan,
        channels: int,
        norm: Norm,
        statistics: Callable[[int], MinibatchLayer] | None = None,
    ) -> None:
        super().__init__(plan)
        (h, w), first = plan.sizes[0], plan.widths[0]
        self.width = first
        layer_of_batch = None if statistics is None else statistics(first)
        end = Stack(
            *([] if layer_of_batch is None else [layer_of_batch]),
            *_convolved(first if layer_of_batch is None else layer_of_batch.width, first, norm),
            nn.Flatten(),
            *_activated(nn.Linear(first * h * w, first), first, 2, norm),
        )
        later = zip(plan.widths[1:], plan.widths, strict=False)
        self.blocks = Modules(
            [
                end,
                *(
                    Stack(*_convolved(a, a, norm), *_convolved(a, b, norm), Halved())
                    for a, b in later
                ),
            ]
        )
        images = (_convolved(channels, c, no_norm, 1) for c in plan.widths[plan.first :])
        self.from_image = Modules([Stack(*layers) for layers in images])
        init_he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.at(x, *self.now())

    def at(self, x: Tensor, stage: int, weight: float) -> Tensor:
        """Features of images at a stage whose layers are blended with the previous ones by this
        weight."""
        level = self.plan.first + stage
        maps = self.from_image[stage](x)
        if weight < 1:
            small = self.from_image[stage - 1](halved(x))
            maps = torch.lerp(full(small), full(self.blocks[level](maps)), weight)
            level -= 1
        for block in reversed(self.blocks[: level + 1]):
            maps = block(maps)
        return maps


@torch.no_grad()
def init_he(module: nn.Module) -> None:
    """Weights N(0, 2 / fan_in), biases 0: He et al. 2015 (arXiv:1502.01852)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
