"""Transforms that move numbers and no volume."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ptheta.nets.flows.transform import Image, Transform, nothing, seed_of


class Squeeze(Transform):
    """(B, C, H, W) -> (B, 4 C, H/2, W/2): the four pixels of a square become channels
    (arXiv:1605.08803, section 3.6)."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        z: Tensor = pixel_unshuffle(x, 2)
        return z, nothing(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x: Tensor = pixel_shuffle(z, 2)
        return x


class Flatten(Transform):
    """(B, *shape) -> (B, D)"""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        return x.flatten(1), nothing(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z.reshape(len(z), *self.shape)


class Permutation(Transform):
    """Numbers, or channels, in another order. order: (C,), the place that each is taken from"""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", torch.argsort(order), persistent=False)

    @classmethod
    def reversing(cls, dims: int) -> Permutation:
        return cls(torch.arange(dims).flip(0))

    @classmethod
    def drawn(cls, dims: int, number: int) -> Permutation:
        """One of all orders, by the number of its seed."""
        return cls(torch.randperm(dims, generator=seed_of(number), device="cpu"))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        return x[:, self.order], nothing(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z[:, self.back]


def halvings(height: int, width: int) -> int:
    """How often such maps can be squeezed."""
    times = 0
    while height % 2 == width % 2 == 0:
        height, width, times = height // 2, width // 2, times + 1
    return times
