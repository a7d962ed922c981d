"""The masks of a masked autoencoder (Germain et al. 2015, arXiv:1502.03509)."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ptheta.compute.constants import on


class Masks:
    """Who sees whom for one order of the pixels, or of the columns of a vector; its number is the
    seed, 0 is raster order. colours: sub-pixels of a pixel, which stay together
    reverse: the last comes first

    A hidden unit of degree k sees the first k sub-pixels; a sub-pixel of rank r (0, 1, ...) is
    predicted from units of degree up to r (eq. 8 and 9 of the paper).
    """

    def __init__(
        self,
        pixels: int,
        colours: int,
        hidden: tuple[int, ...],
        number: int,
        *,
        reverse: bool = False,
    ) -> None:
        self.reverse = reverse
        self.pixels, self.colours, self.hidden, self.number = pixels, colours, hidden, number

    @cached_property
    def _drawn(self) -> tuple[Tensor, list[Tensor]]:
        """The order of the pixels, and the degrees of each layer's units: worked out at first use,
        since a model may be built to count its weights alone."""
        draw = torch.Generator().manual_seed(self.number)
        pixels, dims = self.pixels, self.pixels * self.colours
        order = torch.randperm(pixels, generator=draw) if self.number else torch.arange(pixels)
        order = order.flip(0) if self.reverse else order
        lowest, found = min(1, dims - 1), []
        for units in self.hidden:
            degrees = torch.randint(lowest, max(dims, lowest + 1), (units,), generator=draw)
            found.append(degrees)
            lowest = int(degrees.min())
        return order, found

    @property
    def order(self) -> Tensor:
        return self._drawn[0]

    @property
    def degrees(self) -> list[Tensor]:
        return self._drawn[1]

    @cached_property
    def ranks(self) -> Tensor:
        """(D,) of the sub-pixels in raster order."""
        ranks = torch.argsort(self.order)[:, None] * self.colours
        return (ranks + torch.arange(self.colours)).flatten()

    def layers(self, device: torch.device) -> list[Tensor]:
        """The mask of each layer but the last, and of the last for one number of each sub-pixel."""
        masks, seen = [], on(self.ranks, device) + 1  # an input of rank r is seen from r + 1 on
        for degrees in self.degrees:
            degrees = on(degrees, device)
            masks.append((seen <= degrees[:, None]).float())
            seen = degrees
        masks.append((seen <= on(self.ranks, device)[:, None]).float())
        return masks
