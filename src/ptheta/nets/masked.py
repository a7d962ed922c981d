"""Masked convolutions: a pixel sees only earlier pixels (raster order, then R, G, B).

Kernels are cropped rather than masked: rows below the pixel are left out, so a k x k kernel costs
(k // 2 + 1) rows instead of k. Only the pixel's own row has to be masked.

Sub-pixel order: channel i of any map belongs to colour i % colours, and sees colours up to its own
(type B) or before its own (type A) at its own pixel (van den Oord et al. 2016, arXiv:1601.06759).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.errors import PthetaError, unknown
from ptheta.nets.autograd import Saved
from ptheta.nets.modules import Layer


def even_kernel(**kernels: int) -> str | None:
    """The error message for the first of these widths that is even, or None."""
    even = ((name, width) for name, width in kernels.items() if width % 2 == 0)
    return next((f"{name} = {width} must be odd: add 1" for name, width in even), None)


def check_odd(**kernels: int) -> None:
    """Raise PthetaError for an even kernel width."""
    even = even_kernel(**kernels)
    if even is not None:
        raise PthetaError(even)


def by_pixel(x: Tensor) -> Tensor:
    """x (B, C, H, W) with its channels last in memory, as the convolutions here run fastest.

    With a single channel the strides of both layouts coincide and torch falls back to contiguous
    kernels: the strides are set explicitly to those of channels last.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    _, c, h, w = x.shape
    return x.as_strided(x.shape, (c * h * w, 1, c * w, c))


MaskKind = Literal["A", "B"]


def sees(c_in: int, c_out: int, kind: MaskKind, colours: int, parts: int = 1) -> Tensor:
    """Which inputs of its own pixel each output may see: (c_out, c_in), 0 or 1.

    parts: equal parts of the output with a colour order each, such as the two halves of a gate
    Raises PthetaError for another kind, or parts that are not equal.
    """
    if kind not in get_args(MaskKind):
        raise unknown("mask type", kind, get_args(MaskKind))
    if parts < 1 or c_out % parts:
        raise PthetaError(f"{c_out} channels cannot be cut into {parts} equal parts")
    source = torch.arange(c_in) % colours
    target = (torch.arange(c_out) % (c_out // parts) % colours)[:, None]
    return (source <= target if kind == "B" else source < target).float()


class MaskedConv2d(Layer):
    """(B, c_in, H, W) -> (B, c_out, H, W).

    kernel: odd width of the full kernel, pixels
    kind: "A" (own colour unseen, for the first layer alone) or "B" (own colour seen)
    colours: 1 or 3; the sub-pixel groups
    dilation: pixels between neighbouring taps (arXiv:1511.07122)
    parts: see `sees`
    """

    mask: Tensor

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        kind: MaskKind,
        colours: int = 1,
        dilation: int = 1,
        parts: int = 1,
    ) -> None:
        super().__init__()
        check_odd(kernel=kernel)
        self.reach, self.dilation = kernel // 2, dilation
        self.weight, self.bias = _conv(c_in, c_out, (self.reach + 1, kernel))
        mask = torch.ones_like(self.weight)
        mask[:, :, -1, self.reach + 1 :] = 0
        mask[:, :, -1, self.reach] = sees(c_in, c_out, kind, colours, parts)
        _rescale(self.weight, mask)
        self.masks = _hides(kernel, kind, colours)
        self.register_buffer("mask", mask, persistent=False)

    def kernel(self) -> Tensor:
        """The weight with what lies ahead set to zero: (c_out, c_in, reach + 1, kernel)."""
        return self.weight * self.mask if self.masks else self.weight

    def forward(self, x: Tensor) -> Tensor:
        # padding below as well is cheaper than an asymmetric copy; the extra rows are cropped
        margin = self.reach * self.dilation
        y = F.conv2d(x, self.kernel(), self.bias, padding=margin, dilation=self.dilation)
        return _Crop.apply(y, x.shape[2], x.shape[3]) if self.reach else y


class RowConv2d(Layer):
    """(B, c_in, H, W) -> (B, c_out, H, W): sees its own row up to its own pixel.

    kernel: odd width of the full kernel, of which the columns to the right do not exist
    kind, colours, parts: as in MaskedConv2d
    """

    mask: Tensor

    def __init__(
        self, c_in: int, c_out: int, kernel: int, kind: MaskKind, colours: int = 1, parts: int = 1
    ) -> None:
        super().__init__()
        check_odd(kernel=kernel)
        self.reach = kernel // 2
        self.weight, self.bias = _conv(c_in, c_out, (1, self.reach + 1))
        mask = torch.ones_like(self.weight)
        mask[:, :, 0, -1] = sees(c_in, c_out, kind, colours, parts)
        _rescale(self.weight, mask)
        self.masks = _hides(kernel, kind, colours)
        self.register_buffer("mask", mask, persistent=False)

    def kernel(self) -> Tensor:
        """(c_out, c_in, 1, reach + 1), the own pixel's tap last."""
        return self.weight * self.mask if self.masks else self.weight

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.kernel(), self.bias, padding=(0, self.reach))
        return _Crop.apply(y, x.shape[2], x.shape[3]) if self.reach else y


class AboveConv2d(Layer):
    """(B, c_in, H, W) -> (B, c_out, H, W): all columns in reach, of the rows above.

    kernel: odd width; strict: the pixel's own row is not seen (for the first layer)
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, *, strict: bool) -> None:
        super().__init__()
        check_odd(kernel=kernel)
        self.reach = kernel // 2
        # a 1 x 1 kernel still sees one row
        rows = max(self.reach, 1) if strict else self.reach + 1
        self.padding = (rows if strict else self.reach, self.reach)
        self.weight, self.bias = _conv(c_in, c_out, (rows, kernel))

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, padding=self.padding)
        return _Crop.apply(y, x.shape[2], x.shape[3])


class _Saved(Saved, Protocol):
    cut: tuple[int, int, int, int]


class _Crop(torch.autograd.Function):
    """The first rows and columns. Slicing does the same, but its gradient comes in another memory
    layout than the convolution's, which costs a copy of every map."""

    apply: ClassVar[Callable[[Tensor, int, int], Tensor]]

    @staticmethod
    def forward(ctx: _Saved, x: Tensor, height: int, width: int) -> Tensor:
        ctx.cut = (0, x.shape[3] - width, 0, x.shape[2] - height)
        return x[:, :, :height, :width]

    @staticmethod
    def backward(ctx: _Saved, grad: Tensor) -> tuple[Tensor, None, None]:
        return F.pad(grad, ctx.cut), None, None


def _conv(c_in: int, c_out: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Weight and bias as torch starts them."""
    conv = nn.Conv2d(c_in, c_out, size)
    assert conv.bias is not None
    return conv.weight, conv.bias


def _hides(kernel: int, kind: MaskKind, colours: int) -> bool:
    """Whether a mask may hide anything: a 1x1 of type B over one colour needs none. Told without a
    look at the mask, so that a model's weights can be counted where no tensor holds numbers."""
    return kernel > 1 or kind == "A" or colours > 1


def _rescale(weight: Tensor, mask: Tensor) -> None:
    """The initial scale is meant for the taps that are kept."""
    with torch.no_grad():
        kept = mask.mean((1, 2, 3), keepdim=True)
        weight.div_(kept.clamp(min=1 / mask[0].numel()).sqrt())
