"""Computed pairs: the image is the target, and the input is computed from it.

An input is a function of the image, its number (`Dataset.number`) and a seed only, so that it does
not depend on the batch, process or order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ptheta.data.counter import below, hash64
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset

GREY = 128  # what fills a hole
SMOOTH = 1.0  # standard deviation in pixels of the blur before edges are looked for
WEAK, STRONG = 0.1, 0.2  # gradients, black to white over one pixel = 1
LEAST_HOLE, MOST_HOLE = 4, 2  # a side of a hole is a fourth to a half of the image's
SLOTS = 2**32  # random numbers that an image may use
LUMA = np.array([19595, 38470, 7471])  # of 2^16: ITU-R BT.601, as Pillow rounds it


@dataclass(frozen=True)
class Making:
    """A degradation that computes inputs from images.

    make(x, numbers, seed, strength): uint8 (B, C, H, W) and the numbers of the images, int64 (B,)
        -> uint8 (B, C', H, W)
    spec_of: maps the spec of images to that of inputs. Raises PthetaError if it is not applicable
    strength, unit: default strength and its unit; None without a strength
    least: the smallest strength
    """

    make: Callable[[np.ndarray, np.ndarray, int, float], np.ndarray]
    spec_of: Callable[[ImageSpec], ImageSpec]
    strength: float | None = None
    unit: str = ""
    least: float = 0.0


@dataclass(frozen=True)
class MadeInputs:
    """The inputs of made pairs: see `ptheta.data.inputs.Inputs`."""

    making: Making
    spec: ImageSpec
    strength: float = 0.0
    seed: int = 0

    def take(self, data: Dataset, rows: np.ndarray) -> Tensor:
        x = np.ascontiguousarray(data.stored[rows])
        numbers = data.number(rows).astype(np.int64)
        return torch.from_numpy(self.making.make(x, numbers, self.seed, self.strength))


def grey(x: np.ndarray, numbers: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """Without colour."""
    return _luma(x)[:, None].astype(np.uint8)


def edges(x: np.ndarray, numbers: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """Black edges on white: Canny 1986, with gradients of Sobel after a Gaussian blur, of the
    channel in which they are steepest. An edge is a maximum of the gradient across it; weak ones
    count where they hang together with a strong one.
    """
    from scipy import ndimage  # slow to import

    light = x.astype(np.float32) / 255
    smooth = ndimage.gaussian_filter(light, (0, 0, SMOOTH, SMOOTH), truncate=3)
    slopes = _slopes(smooth)
    sizes = np.sqrt((slopes**2).sum(0))
    size, (down, across) = sizes[:, 0].copy(), slopes[:, :, 0].copy()
    for channel in range(1, x.shape[1]):
        steeper = sizes[:, channel] > size
        for of, to in ((sizes, size), (slopes[0], down), (slopes[1], across)):
            np.copyto(to, of[:, channel], where=steeper)
    ridge = _ridges(size, down, across)
    weak, strong = ridge > WEAK, ridge > STRONG
    around = np.zeros((3, 3, 3), dtype=bool)
    around[1] = True  # never from one image to the next
    parts, n = ndimage.label(weak, around)
    kept = np.zeros(n + 1, dtype=bool)
    kept[parts[strong]] = True
    kept[0] = False
    return np.where(kept[parts], 0, 255).astype(np.uint8)[:, None]


def _slopes(x: np.ndarray) -> np.ndarray:
    """The change from one pixel to the next down and across, by Sobel's filters: (2, *x.shape)."""
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (wide[..., :-2] + 2 * wide[..., 1:-1] + wide[..., 2:]) / 4
    columns = (wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]) / 4
    down, across = rows[..., 2:, :] - rows[..., :-2, :], columns[..., 2:] - columns[..., :-2]
    return np.stack([down, across])


def _ridges(size: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The gradient where neither neighbour in its direction has a larger one, 0 elsewhere."""
    padded = np.pad(size, ((0, 0), (1, 1), (1, 1)))
    _, h, w = size.shape
    eighth = np.rint(np.arctan2(down, across) / (np.pi / 4)).astype(np.int8) & 3
    ahead, behind = np.empty_like(size), np.empty_like(size)
    for number, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        here = eighth == number
        np.copyto(ahead, padded[:, 1 + y : 1 + y + h, 1 + x : 1 + x + w], where=here)
        np.copyto(behind, padded[:, 1 - y : 1 - y + h, 1 - x : 1 - x + w], where=here)
    return np.where((size > ahead) & (size >= behind), size, 0)


def small(x: np.ndarray, numbers: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """Shrunk by a factor, each pixel the mean of a box, and enlarged again (bicubic)."""
    _, _, h, w = x.shape
    less = max(1, round(w / strength)), max(1, round(h / strength))
    out = np.empty_like(x)
    for image, made in zip(x, out, strict=True):
        for plane, to in zip(image, made, strict=True):
            shrunk = Image.fromarray(plane).resize(less, Image.Resampling.BOX)
            to[...] = np.asarray(shrunk.resize((w, h), Image.Resampling.BICUBIC))
    return out


def hole(x: np.ndarray, numbers: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """A grey rectangle anywhere, its sides a fourth to a half of the image's."""
    sides = []
    for slot, n in enumerate(x.shape[2:]):
        least, most = max(1, n // LEAST_HOLE), max(1, n // MOST_HOLE)
        length = least + _drawn(numbers, seed, 2 * slot, most - least + 1)
        first = _drawn(numbers, seed, 2 * slot + 1, n - length + 1)
        places = np.arange(n)
        sides.append((places >= first[:, None]) & (places < (first + length)[:, None]))
    inside = sides[0][:, None, :, None] & sides[1][:, None, None, :]
    return np.where(inside, np.uint8(GREY), x)


def noise(x: np.ndarray, numbers: np.ndarray, seed: int, strength: float) -> np.ndarray:
    """Gaussian noise is added, and the sum is rounded and clipped to 0..255."""
    n, half = x[0].size, -(-x[0].size // 2)
    first = numbers.astype(np.uint64)[:, None] * np.uint64(SLOTS)
    bits = hash64(seed, first + np.arange(2 * half, dtype=np.uint64))
    uniform = (bits >> np.uint64(11)) * 2.0**-53
    # Box and Muller 1958
    radius, angle = np.sqrt(-2 * np.log1p(-uniform[:, :half])), 2 * np.pi * uniform[:, half:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1)[:, :n]
    noisy: np.ndarray = np.rint(x + strength * normal.reshape(x.shape))
    return noisy.clip(0, 255).astype(np.uint8)


def _drawn(numbers: np.ndarray, seed: int, slot: int, n: int | np.ndarray) -> np.ndarray:
    """A whole number below n for each image."""
    return below(seed, numbers.astype(np.uint64) * np.uint64(SLOTS) + np.uint64(slot), n)


def _luma(x: np.ndarray) -> np.ndarray:
    """Brightness of images, uint8 (B, C, H, W) -> int64 (B, H, W), 0..255."""
    if x.shape[1] != len(LUMA):
        flat: np.ndarray = x.mean(1).astype(np.int64)
        return flat
    light: np.ndarray = np.einsum("bchw,c->bhw", x.astype(np.int64), LUMA) + 2**15 >> 16
    return light


def _alike(spec: ImageSpec) -> ImageSpec:
    return ImageSpec(*spec.shape)


def _of_colour(spec: ImageSpec) -> ImageSpec:
    if spec.channels == 1:
        raise PthetaError(
            "--pairs grey needs colour images, but these are grey: choose other pairs, or add "
            "--channels 3"
        )
    return ImageSpec(1, spec.height, spec.width)


def _of_two_levels(spec: ImageSpec) -> ImageSpec:
    return ImageSpec(1, spec.height, spec.width, 2)


MAKINGS = {
    "grey": Making(grey, _of_colour),
    "edges": Making(edges, _of_two_levels),
    "small": Making(small, _alike, 4, "the factor", least=1),
    "hole": Making(hole, _alike),
    "noise": Making(noise, _alike, 50, "the standard deviation, where white is 255"),
}


def inputs_of(making: Making, spec: ImageSpec, strength: float | None) -> MadeInputs:
    """Raise PthetaError for unsuitable images and for too small a strength."""
    own = making.strength or 0.0 if strength is None else strength
    if own < making.least:
        raise PthetaError(
            f"--pair-strength {own:g}: {making.unit} is {making.least:g} or more: give a larger one"
        )
    return replace(MadeInputs(making, making.spec_of(spec)), strength=own)
