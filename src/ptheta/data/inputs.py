"""The inputs of a data set of pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ptheta.data.maps import PAGE, PageCounter, packed, unpacked
from ptheta.data.rows import Images
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec, from_levels

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@runtime_checkable
class Inputs(Protocol):
    """The input of each stored row of a data set, the target being its image."""

    @property
    def spec(self) -> ImageSpec:
        """The spec of an input."""
        ...

    def take(self, data: Dataset, rows: np.ndarray) -> Tensor:
        """The inputs of these stored rows: uint8 (B, C, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class StoredInputs:
    """Inputs that are stored as pictures: uint8 (N, C, H, W), one for each stored row.

    images: an array or a memory map; never copied whole
    pages: hands back the pages of a memory map
    """

    images: Images
    spec: ImageSpec
    pages: PageCounter = field(default_factory=PageCounter, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.shape[1:] != self.spec.shape:
            raise PthetaError(
                f"inputs of type {self.images.dtype} and shape {self.images.shape}: want uint8 "
                f"(N, {', '.join(map(str, self.spec.shape))})"
            )

    def __getstate__(self) -> dict[str, object]:
        """For another process: a memory map goes as the name of its file, not as its bytes."""
        return packed(self.__dict__, self.images) | {"pages": PageCounter()}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(unpacked(state))

    def take(self, data: Dataset, rows: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
        self.pages.add(self.images, max(x.numel(), PAGE))
        return self.spec.rounded(x)


@dataclass(frozen=True)
class MaskInputs:
    """The segmentation masks of the data: their numbers as equally spaced grey values."""

    spec: ImageSpec

    @classmethod
    def of(cls, data: Dataset) -> MaskInputs | None:
        """None where the data has no masks."""
        if data.masks is None:
            return None
        parts = int(data.masks[data.rows(slice(None))].max()) + 1
        _, height, width = data.masks.shape
        return cls(ImageSpec(1, height, width, max(2, parts)))

    def take(self, data: Dataset, rows: np.ndarray) -> Tensor:
        assert data.masks is not None
        numbers = torch.from_numpy(np.ascontiguousarray(data.masks[rows]))
        levels = self.spec.labels if isinstance(self.spec, LabelMapSpec) else self.spec.levels
        return from_levels(numbers.clamp(max=levels - 1), levels)[:, None]
