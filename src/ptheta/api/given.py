"""Images given by the user, used at their own size: one file, or those of a folder."""

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

HALF = 128  # grey value from which a mask is white


def path_named(place: object, flag: str) -> Path:
    """Raises PthetaError if this is not a path, such as an image in memory."""
    if not isinstance(place, str | Path):
        raise PthetaError(
            f"{flag} of type {type(place).__name__}: give the path of an image or a folder, or "
            "pass tensors to ptheta.tasks.inpaint"
        )
    return expand(place)


def pictures_at(place: str | Path, flag: str) -> list[Path]:
    """The given file, or the images in the folder, sorted by name.

    flag: name of the option, for messages
    Raises PthetaError if there is none.
    """
    path = path_named(place, flag)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise PthetaError(f"{flag} {brief(str(place))}: no such file or folder")
    found = sorted(p for p in path.iterdir() if named_so(p.name) and p.is_file() and _seen(p))
    if not found:
        raise PthetaError(f"{flag} {brief(str(place))}: no images in this folder")
    return found


def _seen(path: Path) -> bool:
    return not path.name.startswith(".")


def names_of_results(paths: Sequence[Path], each: int = 1) -> tuple[str, ...]:
    """Names of output files: cat.png for cat.jpg, or cat-1.png, cat-2.png, ... for several outputs
    each. If two names differ only in their suffix, it is kept."""
    stems = distinct_names([Path(path.name) for path in paths])
    if each == 1:
        return tuple(f"{stem}.png" for stem in stems)
    return tuple(f"{stem}-{k}.png" for stem in stems for k in range(1, each + 1))


def partner(path: Path, among: Sequence[Path], flag: str) -> Path:
    """The image with the same name among others; the suffix may differ if that is unambiguous.

    Raises PthetaError if there is none, or several.
    """
    same = [p for p in among if p.name == path.name] or [p for p in among if p.stem == path.stem]
    if len(same) == 1:
        return same[0]
    what = f"{len(same)} images named" if same else "no image named"
    raise PthetaError(
        f"{flag} {among[0].parent}: {what} {path.stem}, for {path}: give one for each"
    )


def read_picture(path: Path, spec: ImageSpec, flag: str) -> tuple[Tensor, tuple[str, ...]]:
    """Reads an image at its own size, uint8 (C, H, W) with the channels and levels of a spec; also
    returns descriptions of what was lost.

    Raises PthetaError if it is not an image, or for channels that image files do not have.
    """
    if spec.channels not in (1, 3):
        raise PthetaError(
            f"{flag} {path}: this model was trained on {spec.channels} channels, and image files "
            "have 1 or 3: use tensors with ptheta.tasks"
        )
    image = loaded(path, flag).image
    width, height = image.size
    x = _pixels(image, Shape(spec.channels, height, width))
    lost = (
        ()
        if spec.channels == 3 or is_grey(image)
        else ("colour, and the model is for grey images",)
    )
    kept = spec.rounded(x[None])[0]
    if not torch.equal(kept, x):
        lost = (*lost, "other values than the model, and are rounded to the nearest")
    return kept, lost


def read_mask(path: Path, flag: str) -> Tensor:
    """The white pixels of an image: bool (H, W), thresholded at half. Values of only 0 and 1 also
    count as black and white.

    Raises PthetaError if it is not an image.
    """
    found = loaded(path, flag)
    white = by_itself(found.kind, found.top) or USUAL[found.kind]
    if white != USUAL[found.kind]:
        found = load(path, whites={found.kind: white})
    width, height = found.image.size
    return _pixels(found.image, Shape(1, height, width))[0] >= HALF


def loaded(path: Path, flag: str) -> Loaded:
    """Raises PthetaError if it cannot be read as an image."""
    try:
        return load(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = "" if str(path) in str(error) else f" ({brief(str(error))})"
        raise PthetaError(f"{flag} {path}: cannot be read{why}: give a valid image") from None


def _pixels(image: Image.Image, shape: Shape) -> Tensor:
    return torch.from_numpy(np.array(resize_and_crop(image, shape)))
