"""Pictures of a user, by a path or in memory, as what a model takes: as large as they are."""

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
    "give a path, an image of Pillow, an array or a tensor of one, (C, H, W) or (H, W, C), or of "
    "several, (N, C, H, W), or a list of these"
)
NUMBERS = "biuf"  # kinds of numpy: truth values, whole numbers, floats
FAR = 0.1  # of black to white: what is farther from all colours of a palette is none of them
STRIP = 2**22  # pixels that are brought to the colours of a palette at once
TAKES = 24  # bytes for each pixel, of a picture as it is read, held, made and written


class Named(NamedTuple):
    """A picture that was not read yet. name: a path, below the folder where it lies in one"""

    name: str
    raw: Raw

    @property
    def file(self) -> Path | None:
        """None for what is in memory."""
        return self.raw if isinstance(self.raw, Path) else None


class Read(NamedTuple):
    """x: uint8 (1, C, H, W); far: share of its pixels that are far from all colours of a palette

    target: uint8 (1, C', H, W), of which x was made; None where it is not known
    """

    x: Tensor
    far: float = 0.0
    target: Tensor | None = None


def pictures_of(given: Given) -> tuple[list[Named], bool]:
    """What a user gives, one by one and sorted by name; and whether it may be several.

    Raises PthetaError for what is none, and for a folder without any.
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
            raise PthetaError(f"{brief(path)}: no such picture or folder")
        return [Named(path.name, path)], False
    names = [name for name, *_ in Folder(path).listing().pictures]
    if not names:
        raise PthetaError(f"{brief(path)} holds no pictures: give a picture, or a folder of them")
    return [Named(name, path / name) for name in names], True


def _listed(given: Sequence[Picture]) -> Iterator[Named]:
    for i, one in enumerate(given):
        (found, *others), _ = pictures_of(one)
        if others:
            raise PthetaError(f"number {i} of the list holds several pictures: {TAKEN}")
        yield found if found.file is not None else _numbered(i, found.raw)


def _numbered(i: int, raw: Raw) -> Named:
    return Named(f"{i:05d}.png", raw)


def _array(given: np.ndarray | Tensor) -> np.ndarray:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else given


def _laid_out(array: np.ndarray) -> Raw:
    """One picture (H, W), (C, H, W) or (H, W, C); alpha is the fourth of four numbers."""
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
    """Reads pictures as what a model takes.

    spec: of what is read, but for height and width
    white: which value is white
    side: pixels that the shorter side is brought to; None for pictures as large as they are
    made: how an input is made of a picture, which then is the target; None where it is the input
    """

    spec: ImageSpec
    white: White
    side: int | None = None
    made: MadeInputs | None = None

    @classmethod
    def of(cls, run: Run, spec: ImageSpec, side: int | None, *, from_target: bool) -> Reader:
        """spec: of the inputs of a run; from_target: whether targets are read, of which the inputs
        are made as in training.

        Raises PthetaError where a model takes what is no picture, and where no input can be made.
        """
        made = _made_inputs(run) if from_target else None
        read = spec if made is None else images_only(run.spec, "a translation")
        if read.channels not in (1, 3):
            raise PthetaError(
                f"this model takes {read.channels} channels, and a picture has 1 or 3: give "
                "tensors to ptheta.tasks.translate"
            )
        return cls(read, White(run.plan.data.white, whites(run.about)), side, made)

    @property
    def palette(self) -> LabelMapSpec | None:
        """The spec, where it is of label maps."""
        return self.spec if isinstance(self.spec, LabelMapSpec) else None

    def __call__(self, named: Named, number: int = 0) -> Read:
        """number: of the picture, by which what is random in a made input is drawn

        Raises PthetaError, which names the picture, where it cannot be read or memory is too small.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # damaged EXIF and the like
                self._check_room(named)
                image = self._loaded(named.raw).image
                read = self._plain(image) if self.palette is None else _map(image, self)
        except PthetaError:
            raise
        except FileNotFoundError:
            raise PthetaError(f"{shown(named.name)}: no such file") from None
        except UnidentifiedImageError:
            raise PthetaError(f"{shown(named.name)}: not an image") from None
        except Exception as error:  # whatever a broken file makes a decoder raise
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
            "make it smaller before",
        )

    def _loaded(self, raw: Raw) -> Loaded:
        """What is white is what was in training, and the usual where that is exceeded."""
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
        """The width and height that a picture is brought to."""
        if self.side is None:
            return image.size
        share = self.side / min(image.size)
        width, height = (max(1, round(n * share)) for n in image.size)
        memory.require(TAKES * width * height, f"--size {self.side} takes", "give a smaller one")
        return width, height


def _map(image: Image.Image, reader: Reader) -> Read:
    """A label map in the colours of the palette, made smaller by majority as in training."""
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
    """Rows of a picture (1, C, H, W), a few at a time."""
    return torch.split(x, max(1, STRIP // x.shape[3]), 2)


def _made_inputs(run: Run) -> MadeInputs:
    """How the inputs of a run are made of images. Raises PthetaError where they are not."""
    settings = run.plan.data
    making = None if settings.pairs is None else PAIRS[settings.pairs].making
    if making is None or settings.reverse:
        raise PthetaError(
            "--from-target: the inputs of this run are not made of its images, but pictures "
            "themselves: leave it out"
        )
    return inputs_of(making, images_only(run.spec, "a translation"), settings.pair_strength)


def _of_target(read: Read, made: MadeInputs, number: int) -> Read:
    x = made.making.make(read.x.numpy(), np.array([number]), made.seed, made.strength)
    return Read(torch.from_numpy(x), target=read.x)
