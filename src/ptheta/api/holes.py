"""Images with holes: pictures that a user names, and which of their pixels are known."""

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
# what is known of image number i, which a file holds or a data set: bool (C, H, W)
Masks = Callable[[int, Path | None, Shape], Tensor]


def masks_asked(known: str | None, mask: str | Path | None, spec: ImageSpec, seed: int) -> Masks:
    """known: a name of `ptheta.masks.MASKS`, the part that is given; mask: a picture, or a folder
    of them, white where pixels are unknown, or such a name, or the left, top, right and bottom of a
    box. Default: the upper half is known.

    Raises PthetaError for both at once, for a name of no mask and no file, and for an empty box.
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
            f"{MASK} {mask}: there is no such file or folder, and it is no name of a mask "
            f"({', '.join(MASKS)}) nor a box (left,top,right,bottom in pixels, such as 4,4,12,12)"
        )
    return _drawn(pictures_at(mask, MASK), place.is_dir(), spec)


def _named(name: str, known: bool, seed: int) -> Masks:
    """A part of each image by its name, which is known, or all but it is."""
    mask_of(name)  # that of none is refused now

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        return regions(name, 1, shape, seed + i)[0] == known

    return of


def _boxed(text: str) -> Masks:
    """All but a box of each image, whose right column and bottom row are those after its last."""
    left, top, right, bottom = (int(part) for part in text.split(","))
    if left >= right or top >= bottom:
        raise PthetaError(
            f"{MASK} {text}: this box holds no pixel: give left,top,right,bottom with left before "
            "right and top before bottom"
        )

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        _, h, w = shape
        if left < 0 or top < 0 or right > w or bottom > h:
            raise PthetaError(
                f"{MASK} {text}: this box is not within an image of {size_text((h, w))} pixels: "
                f"give 0,0,{w},{h} at most"
            )
        known = torch.ones(shape, dtype=torch.bool)
        known[:, top:bottom, left:right] = False
        return known

    return of


def _drawn(pictures: list[Path], several: bool, spec: ImageSpec) -> Masks:
    """Masks from pictures: one for all images, or for each image that of its name."""

    def of(i: int, path: Path | None, shape: Shape) -> Tensor:
        if several and path is None:
            raise PthetaError(
                f"{MASK} {pictures[0].parent}: a folder of masks goes with a folder of images "
                f"({IMAGE}), by their names: name one mask for test images"
            )
        file = partner(path, pictures, MASK) if several and path is not None else pictures[0]
        return ~_sized(read_mask(file, MASK), file, shape, spec).expand(shape)

    return of


def _sized(mask: Tensor, file: Path, shape: Shape, spec: ImageSpec) -> Tensor:
    """A mask (H, W) of the size of the image; one of the model's size is stretched to it.

    Raises PthetaError for any other size.
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
    """An image x, uint8 (C, H, W), and which of it is known, bool (C, H, W)."""

    x: Tensor
    known: Tensor


@dataclass(frozen=True)
class Holes:
    """Pictures with holes, read one by one, as large as they are.

    size: the only (H, W) that is taken; None for any
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
        """Of the files that `each` completions of each are written to."""
        return names_of_results(self.pictures, each)

    def read(self, i: int) -> Hole:
        """Raises PthetaError for what is no picture, and for another size than is taken."""
        return self._read(i)[0]

    def _read(self, i: int) -> tuple[Hole, tuple[str, ...]]:
        path = self.pictures[i]
        x, lost = sized_picture(path, self.spec, self.size, "completes")
        c, h, w = x.shape
        return Hole(x, self.masks(i, path, (c, h, w))), lost

    def checked(self) -> tuple[str, set[Shape]]:
        """Reads all of them once: a hash of what they hold, and their shapes (C, H, W).

        Raises PthetaError as `read` does. Warns of what a picture loses to become one of the
        model's, and of pictures without a hole.
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
            warnings.warn(f"{k} of {n} pictures have {loss}", stacklevel=3)
        if whole:
            warnings.warn(
                f"{whole} of {n} pictures have no unknown pixel (a mask is white where pixels are "
                "unknown): they come back as they are",
                stacklevel=3,
            )
        return found.hexdigest(), shapes

    def stacked(self) -> Hole:
        """All of them, of one size: (N, C, H, W) each."""
        holes = [self.read(i) for i in range(len(self.pictures))]
        return Hole(torch.stack([h.x for h in holes]), torch.stack([h.known for h in holes]))
