"""Masked convolutions: a pixel sees only earlier pixels (raster order, then R, G, B).

The kernel is cropped rather than masked: rows below the pixel do not exist, so a k x k kernel costs
(k // 2 + 1) rows instead of k. What is left to mask is the pixel's own row.

Sub-pixel order: channel i of any map belongs to colour i % colours, and sees colours up to its own
(type B) or before its own (type A) at its own pixel (van den Oord et al. 2016, arXiv:1601.06759).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedConv2d(nn.Module):
    """(B, c_in, H, W) -> (B, c_out, H, W).

    kernel: odd width of the full kernel, pixels
    kind: "A" (own colour unseen, for the first layer alone) or "B" (own colour seen)
    colours: 1 or 3; the sub-pixel groups
    """

    mask: Tensor

    def __init__(self, c_in: int, c_out: int, kernel: int, kind: str, colours: int = 1) -> None:
        super().__init__()
        self.reach = kernel // 2
        template = nn.Conv2d(c_in, c_out, (self.reach + 1, kernel))
        self.weight, self.bias = template.weight, template.bias
        mask = torch.ones_like(self.weight)
        mask[:, :, -1, self.reach + 1 :] = 0
        source = torch.arange(c_in) % colours
        target = (torch.arange(c_out) % colours)[:, None]
        mask[:, :, -1, self.reach] = (source <= target if kind == "B" else source < target).float()
        with torch.no_grad():  # the initial scale is meant for the taps that are kept
            kept = mask.mean((1, 2, 3), keepdim=True)
            self.weight.div_(kept.clamp(min=1 / mask[0].numel()).sqrt())
        self.masks = bool((mask == 0).any())  # a 1x1 of type B over one colour needs none
        self.register_buffer("mask", mask, persistent=False)

    def kernel(self) -> Tensor:
        """The weight with what lies ahead set to zero: (c_out, c_in, reach + 1, kernel)."""
        return self.weight * self.mask if self.masks else self.weight

    def forward(self, x: Tensor) -> Tensor:
        # padding below as well is cheaper than an asymmetric copy; the extra rows are cropped
        y = F.conv2d(x, self.kernel(), self.bias, padding=self.reach)
        return y[:, :, : x.shape[2]] if self.reach else y
