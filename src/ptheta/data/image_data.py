"""Images as a data set: uint8 in memory or in a memory-mapped file."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ptheta.data import near
from ptheta.data.binarise import binarised, drawn_afresh
from ptheta.data.dataset import Dataset
from ptheta.data.inputs import Inputs
from ptheta.data.maps import PAGE, PageCounter, packed, unpacked
from ptheta.data.picture import Originals
from ptheta.data.positions import Positions
from ptheta.data.preview import Preview, places, preview
from ptheta.data.rows import Images, LazyImages
from ptheta.data.values import USUAL, Kind, Values
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.specs import ImageSpec, LabelMapSpec
from ptheta.specs.label_maps import Colour

SMALL = 2**28  # bytes of images up to which their fixed binarisation is kept in memory


@dataclass(frozen=True, eq=False, repr=False)
class ImageDataset(Dataset):
    """Images with their metadata. An example is an image, uint8 (C, H, W).

    Attributes:
        images: uint8 (N, C, H, W), an array or a memory map; never copied as a whole.
        levels: number of grey levels, 2..256; with 2, pixels are sampled: P(255) = value / 255.
        dynamic: with 2 levels, sample again for every batch (from torch's global generator) instead
            of once per image. The fixed sample depends on the image's number (see
            `Dataset.numbers`), so that an image keeps its pixels if its file is renamed.
        seed: seed of the fixed binarisation.
        masks: uint8 (N, H, W), a segmentation per row.
        inputs: the inputs, for data of pairs.
        partners: int64 (N,), for each stored row the row with the same content in another domain,
            -1 for none; to evaluate models trained on unpaired domains.
        palette: the colours of label maps; empty for other pictures.
        values: value range of the source; None if it is equivalent to 8 bits.
        binary: the images after fixed binarisation, cached if they are few.
        originals: (name, stored picture) of each row, in order; None if they were never files or
            cells of a table.
        pages: releases the pages of a memory map.
    """

    images: Images
    _: KW_ONLY
    levels: int = 256
    dynamic: bool = False
    seed: int = 0
    masks: np.ndarray | None = None
    inputs: Inputs | None = None
    partners: np.ndarray | None = None
    palette: tuple[Colour, ...] = ()
    values: Values | None = None
    originals: Originals | None = dataclasses.field(default=None, repr=False, compare=False)
    binary: dict[str, np.ndarray] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )
    pages: PageCounter = dataclasses.field(default_factory=PageCounter, repr=False, compare=False)

    example: ClassVar[str] = "image"
    examples: ClassVar[str] = "images"
    alike: ClassVar[str] = "copied, or encoded anew"

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise PthetaError(
                f"{self.name}: images of type {self.images.dtype} and shape {self.images.shape}; "
                "want uint8 (N, C, H, W)"
            )
        super().__post_init__()
        if self.dynamic and self.levels != 2:
            raise PthetaError(
                f"dynamic binarisation needs --levels 2, not {self.levels}: "
                "add --levels 2 or drop --dynamic"
            )
        if self.palette and self.levels != 256:
            raise PthetaError(
                f"label maps use the colours of their palette: leave out --levels {self.levels}"
            )

    def __getstate__(self) -> dict[str, object]:
        """For another process: a memory map goes as the name of its file, not as its bytes."""
        fresh: dict[str, object] = {"binary": {}, "pages": PageCounter(), "originals": None}
        return packed(self.__dict__, self.images) | fresh

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(unpacked(state))

    @property
    def spec(self) -> ImageSpec:
        _, c, h, w = self.images.shape
        if self.palette:
            return LabelMapSpec(c, h, w, self.levels, palette=self.palette)
        return ImageSpec(c, h, w, self.levels)

    @property
    def stored(self) -> Images:
        return self.images

    @property
    def lazy(self) -> LazyImages | None:
        """The images, if they are read when they are asked for."""
        return self.images if isinstance(self.images, LazyImages) else None

    def expect(self, indices: Positions) -> None:
        if self.lazy is not None:
            self.lazy.expect(self.rows(indices))

    def approach(self, indices: Positions) -> None:
        if self.lazy is not None:
            self.lazy.approach(self.rows(indices))

    def fingerprint(self) -> str:
        """As for other data; of images that are not in memory, by the hashes of their pixels."""
        if self.lazy is None:
            return super().fingerprint()
        rows = self.rows(slice(None))
        digest = hashlib.sha256(repr(self._told_apart_by()).encode())
        digest.update(self.number(rows).astype(np.int64).tobytes())
        digest.update(self.keys().astype("<u8").tobytes())
        return digest.hexdigest()[:12]

    @property
    def whites(self) -> dict[Kind, float]:
        """The value that is white in the source, for each kind of value in it."""
        return {"8-bit": USUAL["8-bit"]} if self.values is None else dict(self.values.whites)

    @property
    def draws(self) -> bool:
        return self.levels == 2 and self.dynamic

    def _take(self, rows: np.ndarray) -> Tensor:
        """The images of these rows, quantised or binarised."""
        fixed = self.levels == 2 and not self.dynamic
        if fixed and self.images.nbytes <= SMALL:
            if "images" not in self.binary:  # all at once, the first time
                everything = np.arange(len(self.images))
                self.binary["images"] = self._binarised(everything)
            x = torch.from_numpy(self.binary["images"][rows])
        elif fixed:
            x = torch.from_numpy(self._binarised(rows))
        else:
            x = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
            x = drawn_afresh(x) if self.levels == 2 else self.spec.rounded(x)
        self.pages.add(self.images, max(x.numel(), PAGE))
        return x

    def _binarised(self, rows: np.ndarray) -> np.ndarray:
        return binarised(self.images, rows, self.number(rows), self.seed)

    def _extra(self, rows: np.ndarray) -> dict[str, Tensor]:
        extra = super()._extra(rows)
        if self.masks is not None:
            extra["masks"] = torch.from_numpy(np.ascontiguousarray(self.masks[rows]))
        return extra

    def _preview(self) -> str:
        return html.picture(*self.preview())

    def preview(self) -> Preview:
        """Some images, with the inputs of pairs. No random stream is drawn from."""
        rows = self.rows(places(len(self)))
        seen = self._binarised(rows) if self.levels == 2 else self.images[rows]
        return preview(self, rows, self.spec.rounded(torch.from_numpy(np.ascontiguousarray(seen))))

    def keys(self) -> np.ndarray:
        return near.hashes((self.images, self.rows(slice(None))))

    def find_groups(self, *others: Dataset, place: Path | None = None) -> near.Groups:
        """Near-duplicates: see `ptheta.data.near`."""
        parts = ((data.stored, data.rows(slice(None))) for data in (self, *others))
        return near.find_groups(*parts, place=place)

    def read_as(self) -> dict[str, object]:
        return {"levels": self.levels}

    def with_levels(self, levels: int, dynamic: bool = False, seed: int = 0) -> Self:
        binary = self.binary if seed == self.seed else {}
        return dataclasses.replace(self, levels=levels, dynamic=dynamic, seed=seed, binary=binary)

    def with_fixed_binarisation(self) -> Self:
        return self.with_levels(self.levels, dynamic=False, seed=0)

    def with_numbers(self, numbers: np.ndarray) -> Self:
        return dataclasses.replace(self, numbers=numbers, binary={})

    def _told_apart_by(self) -> object:
        same = self.images.shape, self.levels, self.dynamic, self.seed
        return (*same, self.palette) if self.palette else same


def images_of(data: Dataset) -> ImageDataset:
    """The data set itself if it holds images; raises PthetaError otherwise."""
    if not isinstance(data, ImageDataset):
        raise PthetaError(
            f"{data.name} holds {data.examples} of {data.spec}, and images are needed here: "
            "give images"
        )
    return data
