"""Images of any height and width for networks that want a multiple, or a least size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Margins(NamedTuple):
    """Rows and columns around an image."""

    top: int
    bottom: int
    left: int
    right: int


def to_multiple(size: Sequence[int], multiple: int) -> Margins:
    """What is missing to multiples of a number, at both sides alike. size: height and width"""
    height, width = size
    return _around(-height % multiple, -width % multiple)


def to_least(size: Sequence[int], least: int) -> Margins:
    """What is missing to images of a least side, at both sides alike. size: height and width"""
    height, width = size
    return _around(max(0, least - height), max(0, least - width))


def _around(rows: int, columns: int) -> Margins:
    return Margins(rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)


def reflected(x: Tensor, margins: Margins) -> Tensor:
    """x (..., H, W) with such margins, in which it is mirrored at its borders, again and again
    where they are larger than the image itself."""
    if not any(margins):
        return x
    top, bottom, left, right = margins
    if max(top, bottom) < x.shape[-2] and max(left, right) < x.shape[-1]:
        return pad(x, (left, right, top, bottom), mode="reflect")
    rows = mirrored(x.shape[-2], top, bottom).to(x.device)
    columns = mirrored(x.shape[-1], left, right).to(x.device)
    return x[..., rows[:, None], columns]


def mirrored(n: int, before: int, after: int) -> Tensor:
    """The places 0..n-1 of a row that continues in its mirror image: (before + n + after,)"""
    places = torch.arange(-before, n + after)
    if n == 1:
        return torch.zeros_like(places)
    there = places.remainder(2 * (n - 1))
    return torch.where(there < n, there, 2 * (n - 1) - there)


def cropped(x: Tensor, margins: Margins) -> Tensor:
    """x (..., H, W) without its margins."""
    top, bottom, left, right = margins
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
