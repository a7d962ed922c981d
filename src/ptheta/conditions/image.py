"""An image as a condition: a mask, a sketch, the other half of a pair."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import tensor_of
from ptheta.data.offers import Offers
from ptheta.data.picture import Shape, load, resize_and_crop
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.specs import ImageSpec, from_levels, quantise, to_symmetric

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Image:
    """An image for each example: uint8 (B, C, H, W) of `spec`."""

    spec: ImageSpec
    kind: ClassVar[str] = "image"

    def __len__(self) -> int:
        return self.size

    @property
    def count(self) -> int:
        return self.spec.levels

    @property
    def size(self) -> int:
        return self.spec.dims

    def check(self, condition: Condition) -> Condition:
        return self.spec.check(tensor_of(condition, self.kind))

    def parse(self, text: str) -> Condition:
        """The path of a picture, which is resized to cover the size and cropped."""
        path = expand(text)
        try:
            image = load(path).image
        except (OSError, ValueError, SyntaxError) as error:
            raise PthetaError(f"--image {text}: {error}; give a picture that can be read") from None
        c, h, w = self.spec.shape
        x = torch.from_numpy(np.array(resize_and_crop(image, Shape(c, h, w))))
        return quantise(x[None], self.spec.levels)

    def examples(self, n: int, start: int = 0) -> Condition:
        """Flat images, from black to white and again."""
        levels = torch.arange(start, start + n) % self.spec.levels
        flat = from_levels(levels, self.spec.levels).view(n, 1, 1, 1)
        return flat.expand(n, *self.spec.shape).contiguous()

    def describe(self, condition: Condition) -> list[str]:
        """Their mean grey value, from 0 to 1."""
        means = tensor_of(condition, self.kind).float().flatten(1).mean(1) / 255
        return [f"image of mean {mean:.2f}" for mean in means.tolist()]

    def vector(self, condition: Condition) -> Tensor:
        """Its pixels in [-1, 1]."""
        return to_symmetric(tensor_of(condition, self.kind)).flatten(1)

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Image:
        """The segmentation masks of training data. Raises PthetaError where it has none."""
        if data.masks is None:
            raise PthetaError(
                f"{source} has no masks (it offers {Offers.of(data)}), and the model is "
                "conditional on an image: give data with masks, or leave out --condition image"
            )
        parts = int(data.masks[data.rows(slice(None))].max()) + 1
        _, height, width = data.masks.shape
        return cls(ImageSpec(1, height, width, max(2, parts)))

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        """Masks with their numbers as equally spaced grey values."""
        if data.masks is None:
            return None
        numbers = torch.from_numpy(np.ascontiguousarray(data.masks[rows]))
        return from_levels(numbers.clamp(max=self.spec.levels - 1), self.spec.levels)[:, None]

    def adapted(self, data: Dataset) -> Dataset:
        return replace(data, condition=self)

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "spec": asdict(self.spec)}
