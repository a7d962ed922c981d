"""Images with unknown pixels, given by the user, and their masks."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ptheta.api.given import (
    names_of_results,
    partner,
    path_named,
    pictures_at,
    read_mask,
)
from ptheta.api.own import IMAGE, Shape, size_text, sized_picture
from ptheta.errors import PthetaError
from ptheta.masks import MASKS, mask_of
from ptheta.specs import ImageSpec
from ptheta.tasks.inpaint import regions

MASK, KNOWN = "--mask", "--known"
BOX = re.compile(r"-?\d{1,9}(\s*,\s*-?\d{1,9}){3}")
# mask of known pixels of image i, from a file or a data set: bool (C, H, W)
Masks = Callable[[int, Path | None, Shape], Tensor]


def masks_asked(known: str | None, mask: str | Path | None, spec: ImageSpec, seed: int) -> Masks:
    """known: a name in `ptheta.masks.MASKS`, the known part; mask: an image or a folder of images,
    white where pixels are unknown, or such a name, or the left, top, right and bottom of a box.
    Default: the upper half is known.

    Raises PthetaError if both are given, for an unknown name or file, and for an empty box.
    """
    if known is not None and mask is not None:
        raise PthetaError(f"{KNOWN} {known}, {MASK} {mask}: give one of them")
    if mask is None:
        return _named(known or "upper", True, seed)
    place = path_named(mask, MASK)
    if not place.exists() and str(mask) in MASKS:
        return _named(str(mask), False, seed)
    if not place.exists() and BOX.fullmatch(str(mask).strip()):
        return _boxed(str(mask))
    if not place.exists():
        raise PthetaError(
            f"{MASK} {mask}: no such file or folder, and neither the name of a mask "
            f"({', '.join(MASKS)}) nor a box (left,top,right,bottom in pixels, such as 4,4,12,12)"
        )
    return _drawn(pictures_at(mask, MASK), place.is_dir(), spec)


def _named(name: str, known: bool, seed: int) -> Masks:
    """The named part of each image, or all but it, is known."""
    mask_of(name)  # unknown names fail here

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        return regions(name, 1, shape, seed + i)[0] == known

    return of


def _boxed(text: str) -> Masks:
    """All but a box of each image is known; right and bottom are exclusive."""
    left, top, right, bottom = (int(part) for part in text.split(","))
    if left >= right or top >= bottom:
        raise PthetaError(
            f"{MASK} {text}: this box is empty: give left,top,right,bottom with left before "
            "right and top before bottom"
        )

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        _, h, w = shape
        if left < 0 or top < 0 or right > w or bottom > h:
            raise PthetaError(
                f"{MASK} {text}: this box is not inside an image of {size_text((h, w))} pixels: "
                f"give 0,0,{w},{h} at most"
            )
        known = torch.ones(shape, dtype=torch.bool)
        known[:, top:bottom, left:right] = False
        return known

    return of


def _drawn(pictures: list[Path], several: bool, spec: ImageSpec) -> Masks:
    """Masks from image files: one for all images, or one per image by name."""

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        if several and path is None:
            raise PthetaError(
                f"{MASK} {pictures[0].parent}: a folder of masks needs a folder of images with "
                f"the same names ({IMAGE}): give a single mask for test images"
            )
        file = partner(path, pictures, MASK) if several and path is not None else pictures[0]
        return ~_sized(read_mask(file, MASK), file, shape, spec).expand(shape)

    return of


def _sized(mask: Tensor, file: Path, shape: Shape, spec: ImageSpec) -> Tensor:
    """Resizes a mask (H, W) to the image if it has the model's size.

    Raises PthetaError for another size.
    """
    size = tuple(shape[1:])
    if mask.shape == size:
        return mask
    if mask.shape == (spec.height, spec.width):
        return interpolate(mask[None, None].float(), size)[0, 0] > 0
    raise PthetaError(
        f"{MASK} {file} is {size_text(mask.shape)} pixels, and the image {size_text(size)}: give a "
        "mask as large as the image"
    )


class Hole(NamedTuple):
    """An image x, uint8 (C, H, W), and its known pixels, bool (C, H, W)."""

    x: Tensor
    known: Tensor


@dataclass(frozen=True)
class Holes:
    """Images with unknown pixels, read one by one at their own size.

    size: required (H, W); None for any
    """

    pictures: list[Path]
    masks: Masks
    spec: ImageSpec
    size: tuple[int, int] | None

    @classmethod
    def at(cls, image: str | Path, masks: Masks, spec: ImageSpec, *, any_size: bool) -> Holes:
        size = None if any_size else (spec.height, spec.width)
        return cls(pictures_at(image, IMAGE), masks, spec, size)

    def names(self, each: int) -> tuple[str, ...]:
        """File names for `each` completions per image."""
        return names_of_results(self.pictures, each)

    def read(self, i: int) -> Hole:
        """Raises PthetaError if it is not an image, or has another size than required."""
        return self._read(i)[0]

    def _read(self, i: int) -> tuple[Hole, tuple[str, ...]]:
        path = self.pictures[i]
        x, lost = sized_picture(path, self.spec, self.size, "completes")
        c, h, w = x.shape
        return Hole(x, self.masks(i, path, (c, h, w))), lost

    def checked(self) -> tuple[str, set[Shape]]:
        """Reads all of them once: returns a hash of their contents, and their shapes (C, H, W).

        Raises PthetaError as `read` does. Warns of conversion losses, and of images without unknown
        pixels.
        """
        found, losses, shapes = hashlib.sha256(), Counter[str](), set[Shape]()
        whole = 0
        for i in range(len(self.pictures)):
            (x, known), lost = self._read(i)
            losses.update(lost)
            whole += bool(known.all())
            shapes.add((x.shape[0], x.shape[1], x.shape[2]))
            for one in (x, known):
                found.update(f"{tuple(one.shape)}".encode())
                found.update(one.contiguous().numpy().tobytes())
        n = len(self.pictures)
        for loss, k in losses.items():
            warnings.warn(f"{k} of {n} images have {loss}", stacklevel=3)
        if whole:
            warnings.warn(
                f"{whole} of {n} images have no unknown pixel (a mask is white where pixels are "
                "unknown): they are returned unchanged",
                stacklevel=3,
            )
        return found.hexdigest(), shapes

    def stacked(self) -> Hole:
        """All images and masks, of one size: (N, C, H, W) each."""
        holes = [self.read(i) for i in range(len(self.pictures))]
        return Hole(torch.stack([h.x for h in holes]), torch.stack([h.known for h in holes]))
