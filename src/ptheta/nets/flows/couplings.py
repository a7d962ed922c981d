"""Couplings: one part moves the other (Dinh et al. 2015, arXiv:1410.8516)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ptheta.nets.flows.laws import Law
from ptheta.nets.flows.transform import Image, Transform, summed
from ptheta.nets.modules import Layer
from ptheta.specs import full


class Parting(nn.Module):
    """Which numbers move which. seen, moved: channels of both parts"""

    seen: int
    moved: int

    @abstractmethod
    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees, and what is moved."""

    @abstractmethod
    def joined(self, x: Tensor, moved: Tensor) -> Tensor:
        """x with the moved part in its place."""

    def own(self, each: Tensor) -> Tensor:
        """Of what is said of each number of the moved part, that of the numbers that do move."""
        return each


class Halves(Parting):
    """The first half of the channels, or of the numbers of a vector, moves the second; the other
    way round where it is flipped."""

    def __init__(self, channels: int, flipped: bool) -> None:
        super().__init__()
        first = channels // 2
        self.first, self.flipped = first, flipped
        self.seen, self.moved = (channels - first, first) if flipped else (first, channels - first)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.tensor_split([self.first], 1)
        return (b, a) if self.flipped else (a, b)

    def joined(self, x: Tensor, moved: Tensor) -> Tensor:
        seen, _ = self.parts(x)
        return torch.cat([moved, seen] if self.flipped else [seen, moved], 1)


class Interleaved(Parting):
    """Of a vector the numbers in even places move those in odd ones; the other way round where it
    is flipped."""

    def __init__(self, dims: int, flipped: bool) -> None:
        super().__init__()
        self.flipped = flipped
        self.seen, self.moved = dims // 2, dims - dims // 2
        if not flipped:
            self.seen, self.moved = self.moved, self.seen

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        even, odd = x[:, ::2], x[:, 1::2]
        return (odd, even) if self.flipped else (even, odd)

    def joined(self, x: Tensor, moved: Tensor) -> Tensor:
        out = x.clone()
        out[:, (0 if self.flipped else 1) :: 2] = moved
        return out


class Checkerboard(Parting):
    """The black pixels of a board move the white ones; the other way round where it is flipped."""

    mask: Tensor

    def __init__(self, shape: tuple[int, int, int], flipped: bool) -> None:
        super().__init__()
        self.seen = self.moved = shape[0]
        board = (torch.arange(shape[1])[:, None] + torch.arange(shape[2]) + flipped) % 2
        self.register_buffer("mask", board.bool(), persistent=False)  # of the pixels that move

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.masked_fill(self.mask, 0.0), x

    def joined(self, x: Tensor, moved: Tensor) -> Tensor:
        return torch.where(self.mask, moved, x)

    def own(self, each: Tensor) -> Tensor:
        return each.masked_fill(~self.mask, 0.0)


def said(net: Layer, law: Law, seen: Tensor, context: Tensor | None) -> Tensor:
    """What a network says of each number: (B, numbers of the law, *shape)."""
    h = seen if context is None else torch.cat([seen, context], 1)
    return spoken(full(net(h)), law)


def spoken(h: Tensor, law: Law) -> Tensor:
    """(B, numbers * C, ...) -> (B, numbers, C, ...)"""
    return h.reshape(len(h), law.numbers, -1, *h.shape[2:])


class Coupling(Transform):
    """One part is moved by a law of whose numbers a network of the other part says. net: channels
    of what is seen, and of the context, -> law.numbers times those of what is moved"""

    def __init__(self, parting: Parting, net: Layer, law: Law) -> None:
        super().__init__()
        self.parting, self.net, self.law = parting, net, law

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        seen, moved = self.parting.parts(x)
        y, log_d = self.law.forward(moved, said(self.net, self.law, seen, context))
        return self.parting.joined(x, y), summed(self.parting.own(log_d))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        seen, moved = self.parting.parts(z)
        x = self.law.inverse(moved, said(self.net, self.law, seen, context))
        return self.parting.joined(z, x)


class Moved(Transform):
    """All numbers are moved by what a network says of the context alone."""

    def __init__(self, net: Layer, law: Law) -> None:
        super().__init__()
        self.net, self.law = net, law

    def _said(self, context: Tensor | None) -> Tensor:
        assert context is not None
        return spoken(full(self.net(context)), self.law)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        y, log_d = self.law.forward(x, self._said(context))
        return y, summed(log_d)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.law.inverse(z, self._said(context))


class FactoredOut(Transform):
    """Half of the channels leaves: (B, C, H, W) -> (B, D), what `inner` makes of the first half,
    then the second half (arXiv:1605.08803, section 3.6).

    prior: a coupling that moves the second half given the first; to have z_2 = (x_2 + t) s normal
        is to have x_2 normal with mean -t and scale 1 / s, the learned prior of arXiv:1807.03039
    """

    def __init__(
        self, shape: tuple[int, int, int], inner: Transform, prior: Coupling | None
    ) -> None:
        super().__init__()
        c, h, w = shape
        self.kept = c // 2
        self.left = (c - self.kept, h, w)
        self.sizes = [self.kept * h * w, self.left[0] * h * w]
        self.inner, self.prior = inner, prior

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        moved = x.new_zeros(len(x))
        if self.prior is not None:
            x, moved = self.prior(x)
        a, b = x.tensor_split([self.kept], 1)
        z, log_det = self.inner(a)
        return torch.cat([z, b.flatten(1)], 1), log_det + moved

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        first, second = z.split(self.sizes, 1)
        x = torch.cat([self.inner.inverse(first), second.unflatten(1, self.left)], 1)
        return x if self.prior is None else self.prior.inverse(x)
