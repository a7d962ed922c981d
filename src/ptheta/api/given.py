"""Pictures that a user names, to be used as large as they are: one file, or those of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ptheta.api.places import distinct_names
from ptheta.config import brief
from ptheta.data.formats import named_so
from ptheta.data.picture import Loaded, Shape, is_grey, load, resize_and_crop
from ptheta.data.values import USUAL, by_itself
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.specs import ImageSpec

HALF = 128  # from this grey value on a mask is white


def path_named(place: object, flag: str) -> Path:
    """Raises PthetaError for what names no place, such as an image in memory."""
    if not isinstance(place, str | Path):
        raise PthetaError(
            f"{flag} of type {type(place).__name__}: give the path of a picture or of a folder, or "
            "tensors to ptheta.tasks.inpaint"
        )
    return expand(place)


def pictures_at(place: str | Path, flag: str) -> list[Path]:
    """The file that is named, or the pictures in the folder, by name.

    flag: what the caller calls the place, for messages
    Raises PthetaError where there is none.
    """
    path = path_named(place, flag)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PthetaError(f"{flag} {brief(str(place))}: there is no such file or folder")
    found = sorted(p for p in path.iterdir() if named_so(p.name) and p.is_file() and _seen(p))
    if not found:
        raise PthetaError(f"{flag} {brief(str(place))}: no pictures in this folder")
    return found


def _seen(path: Path) -> bool:
    return not path.name.startswith(".")


def names_of_results(paths: Sequence[Path], each: int = 1) -> tuple[str, ...]:
    """The names of what is made of pictures: cat.png of cat.jpg, or cat-1.png, cat-2.png, ... where
    there are several of each. Of two that differ in their suffix alone the suffix stays."""
    stems = distinct_names([Path(path.name) for path in paths])
    if each == 1:
        return tuple(f"{stem}.png" for stem in stems)
    return tuple(f"{stem}-{k}.png" for stem in stems for k in range(1, each + 1))


def partner(path: Path, among: Sequence[Path], flag: str) -> Path:
    """The picture of the same name among others, whatever its suffix where that is clear.

    Raises PthetaError where there is none, or where several are.
    """
    same = [p for p in among if p.name == path.name] or [p for p in among if p.stem == path.stem]
    if len(same) == 1:
        return same[0]
    what = f"{len(same)} pictures of the name" if same else "no picture of the name"
    raise PthetaError(
        f"{flag} {among[0].parent}: {what} {path.stem}, for {path}: give one for each"
    )


def read_picture(path: Path, spec: ImageSpec, flag: str) -> tuple[Tensor, tuple[str, ...]]:
    """A picture as it is, uint8 (C, H, W) with the channels and levels of a spec; and in words what
    was lost by that.

    Raises PthetaError for what is no picture, and for channels that no picture has.
    """
    if spec.channels not in (1, 3):
        raise PthetaError(
            f"{flag} {path}: this model learned images of {spec.channels} channels, and a picture "
            "has 1 or 3: complete tensors by ptheta.tasks"
        )
    image = loaded(path, flag).image
    width, height = image.size
    x = _pixels(image, Shape(spec.channels, height, width))
    lost = () if spec.channels == 3 or is_grey(image) else ("colour, and the model is of grey",)
    kept = spec.rounded(x[None])[0]
    if not torch.equal(kept, x):
        lost = (*lost, "other values than the model, to whose nearest they are rounded")
    return kept, lost


def read_mask(path: Path, flag: str) -> Tensor:
    """Which pixels are white in a picture: bool (H, W); grey is white from half on. A picture of 0
    and 1 alone is black and white, too.

    Raises PthetaError for what is no picture.
    """
    found = loaded(path, flag)
    white = by_itself(found.kind, found.top) or USUAL[found.kind]
    if white != USUAL[found.kind]:
        found = load(path, whites={found.kind: white})
    width, height = found.image.size
    return _pixels(found.image, Shape(1, height, width))[0] >= HALF


def loaded(path: Path, flag: str) -> Loaded:
    """Raises PthetaError where it cannot be read as a picture."""
    try:
        return load(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = "" if str(path) in str(error) else f" ({brief(str(error))})"
        raise PthetaError(
            f"{flag} {path}: this cannot be read{why}: give a picture that can"
        ) from None


def _pixels(image: Image.Image, shape: Shape) -> Tensor:
    return torch.from_numpy(np.array(resize_and_crop(image, shape)))
