"""User images, by path or in memory, converted for a model at their own size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ptheta.compute import memory
from ptheta.config import brief
from ptheta.data.formats import opened
from ptheta.data.names import shown
from ptheta.data.pairs.made import MadeInputs, inputs_of
from ptheta.data.pairs.palette import in_colours
from ptheta.data.pairs.table import PAIRS
from ptheta.data.picture import Loaded, Raw, Shape, load, pixels
from ptheta.data.tree import Folder
from ptheta.data.values import USUAL, White
from ptheta.errors import PthetaError
from ptheta.files.paths import exists, expand
from ptheta.runs.config_file import whites
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec, LabelMapSpec, images_only

Picture = str | Path | Image.Image | np.ndarray | Tensor
Given = Picture | Sequence[Picture]
TAKEN = (
    "give a path, a Pillow image, an array or tensor of one image, (C, H, W) or (H, W, C), or "
    "of several, (N, C, H, W), or a list of these"
)
NUMBERS = "biuf"  # numpy kinds: booleans, integers, floats
FAR = 0.1  # relative distance beyond which a colour is not one of a palette
STRIP = 2**22  # pixels per batch when mapping to a palette
TAKES = 24  # bytes per pixel to read, store, translate and write an image


class Named(NamedTuple):
    """An image that is not read yet. name: path, relative to its folder if any."""

    name: str
    raw: Raw

    @property
    def file(self) -> Path | None:
        """The file; None for an image in memory."""
        return self.raw if isinstance(self.raw, Path) else None


class Read(NamedTuple):
    """x: uint8 (1, C, H, W); far: fraction of its pixels far from all colours of a palette

    target: uint8 (1, C', H, W), from which x was derived; None if unknown
    """

    x: Tensor
    far: float = 0.0
    target: Tensor | None = None


def pictures_of(given: Given) -> tuple[list[Named], bool]:
    """The given images, sorted by name; and whether there may be several.

    Raises PthetaError if it is not an image, or a folder without images.
    """
    if isinstance(given, str | Path):
        return _at(expand(given))
    if isinstance(given, Image.Image):
        if not all(given.size):
            raise PthetaError(f"an image of {given.size[0]}x{given.size[1]} pixels: {TAKEN}")
        return [_numbered(0, given)], False
    if isinstance(given, Tensor | np.ndarray):
        array = _array(given)
        if not array.size or array.dtype.kind not in NUMBERS:
            raise PthetaError(f"an array of {array.dtype} and shape {array.shape}: {TAKEN}")
        if array.ndim < 4:
            return [_numbered(0, _laid_out(array))], False
        return [_numbered(i, _laid_out(one)) for i, one in enumerate(array)], True
    if not isinstance(given, Sequence) or not given:
        raise PthetaError(f"input of type {type(given).__name__}: {TAKEN}")
    return list(_listed(given)), True


def _at(path: Path) -> tuple[list[Named], bool]:
    if not path.is_dir():
        if not exists(path):
            raise PthetaError(f"{brief(path)}: no such image or folder")
        return [Named(path.name, path)], False
    names = [name for name, *_ in Folder(path).listing().pictures]
    if not names:
        raise PthetaError(f"{brief(path)} contains no images: give an image, or a folder of images")
    return [Named(name, path / name) for name in names], True


def _listed(given: Sequence[Picture]) -> Iterator[Named]:
    for i, one in enumerate(given):
        (found, *others), _ = pictures_of(one)
        if others:
            raise PthetaError(f"element {i} of the list contains several images: {TAKEN}")
        yield found if found.file is not None else _numbered(i, found.raw)


def _numbered(i: int, raw: Raw) -> Named:
    return Named(f"{i:05d}.png", raw)


def _array(given: np.ndarray | Tensor) -> np.ndarray:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else given


def _laid_out(array: np.ndarray) -> Raw:
    """One image from (H, W), (C, H, W) or (H, W, C); a fourth channel is alpha."""
    if array.ndim == 2 and array.size:
        return array[None]
    if array.ndim == 3 and array.size and array.shape[0] in (1, 3):
        return array
    if array.ndim == 3 and array.size and array.shape[2] in (1, 3):
        return array.transpose(2, 0, 1)
    if array.ndim == 3 and array.size and array.shape[2] == 4 and array.dtype == np.uint8:
        return Image.fromarray(array)
    raise PthetaError(f"an array of {array.dtype} and shape {array.shape}: {TAKEN}")


@dataclass(frozen=True)
class Reader:
    """Reads images in the format of a model.

    spec: spec of the images, except for height and width
    white: value of white
    side: resize the shorter side to this many pixels; None to keep the size
    made: how an input is derived from an image, which then is the target; None if it is the input
    """

    spec: ImageSpec
    white: White
    side: int | None = None
    made: MadeInputs | None = None

    @classmethod
    def of(cls, run: Run, spec: ImageSpec, side: int | None, *, from_target: bool) -> Reader:
        """spec: spec of a run's inputs; from_target: whether targets are read, from which the
        inputs are derived as in training.

        Raises PthetaError if a model's inputs are not images, and if inputs cannot be derived.
        """
        made = _made_inputs(run) if from_target else None
        read = spec if made is None else images_only(run.spec, "a translation")
        if read.channels not in (1, 3):
            raise PthetaError(
                f"this model takes {read.channels} channels, and image files have 1 or 3: pass "
                "tensors to ptheta.tasks.translate"
            )
        return cls(read, White(run.plan.data.white, whites(run.about)), side, made)

    @property
    def palette(self) -> LabelMapSpec | None:
        """The spec, if it is of label maps."""
        return self.spec if isinstance(self.spec, LabelMapSpec) else None

    def __call__(self, named: Named, number: int = 0) -> Read:
        """number: index of the image, which seeds randomness in a derived input

        Raises PthetaError, which names the image, if it cannot be read or is too large for memory.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as damaged EXIF data
                self._check_room(named)
                image = self._loaded(named.raw).image
                read = self._plain(image) if self.palette is None else _map(image, self)
        except PthetaError:
            raise
        except FileNotFoundError:
            raise PthetaError(f"{shown(named.name)}: no such file") from None
        except UnidentifiedImageError:
            raise PthetaError(f"{shown(named.name)}: not an image") from None
        except Exception as error:  # decoders raise various errors for broken files
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PthetaError(f"{shown(named.name)}: {shown(text)}") from None
        return read if self.made is None else _of_target(read, self.made, number)

    def _check_room(self, named: Named) -> None:
        if not isinstance(named.raw, Path):
            return
        with opened(named.raw) as image:
            width, height = image.size
        memory.require(
            TAKES * width * height,
            f"{shown(named.name)}, {width:,}x{height:,} pixels, takes",
            "resize it first",
        )

    def _loaded(self, raw: Raw) -> Loaded:
        """White is as in training, or the default if a value exceeds it."""
        near = self.side if self.palette is None else None
        fixed = {kind: self.white.fixed(kind, 0) or USUAL[kind] for kind in USUAL}
        loaded = load(raw, near, fixed)
        return load(raw, near) if loaded.top > fixed[loaded.kind] else loaded

    def _plain(self, image: Image.Image) -> Read:
        if self.side is not None:
            image = image.resize(self.sized(image), Image.Resampling.LANCZOS)
        x = torch.from_numpy(pixels(image, self.spec.channels).copy())[None]
        for strip in _strips(x):
            strip.copy_(self.spec.rounded(strip))
        return Read(x)

    def sized(self, image: Image.Image) -> tuple[int, int]:
        """The target width and height of an image."""
        if self.side is None:
            return image.size
        share = self.side / min(image.size)
        width, height = (max(1, round(n * share)) for n in image.size)
        memory.require(TAKES * width * height, f"--size {self.side} takes", "give a smaller one")
        return width, height


def _map(image: Image.Image, reader: Reader) -> Read:
    """A label map in the palette's colours, downscaled by majority as in training."""
    spec = reader.palette
    assert spec is not None
    x = torch.from_numpy(pixels(image, spec.channels).copy())[None]
    far = sum(int((spec.distance(strip) > FAR).sum()) for strip in _strips(x))
    share = far / x[0, 0].numel()
    width, height = reader.sized(image)
    if (width, height) != image.size:
        made = in_colours(image, Shape(spec.channels, height, width), spec.palette)
        return Read(torch.from_numpy(made)[None], far=share)
    for strip in _strips(x):
        strip.copy_(spec.rounded(strip))
    return Read(x, far=share)


def _strips(x: Tensor) -> tuple[Tensor, ...]:
    """Strips of rows of an image (1, C, H, W)."""
    return torch.split(x, max(1, STRIP // x.shape[3]), 2)


def _made_inputs(run: Run) -> MadeInputs:
    """How the inputs of a run are derived from images. Raises PthetaError if they are not."""
    settings = run.plan.data
    making = None if settings.pairs is None else PAIRS[settings.pairs].making
    if making is None or settings.reverse:
        raise PthetaError(
            "--from-target: the inputs of this run are not derived from its targets: leave it out"
        )
    return inputs_of(making, images_only(run.spec, "a translation"), settings.pair_strength)


def _of_target(read: Read, made: MadeInputs, number: int) -> Read:
    x = made.making.make(read.x.numpy(), np.array([number]), made.seed, made.strength)
    return Read(torch.from_numpy(x), target=read.x)
