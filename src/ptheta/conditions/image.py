"""An image as a condition: a mask, a sketch, or the input of a pair."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.conditions.base import tensor_of
from ptheta.data.decoder import look_of
from ptheta.data.inputs import MaskInputs
from ptheta.data.offers import Offers
from ptheta.data.picture import load
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.specs import ImageSpec, LabelMapSpec, from_levels

if TYPE_CHECKING:
    from ptheta.data.dataset import Dataset


@dataclass(frozen=True)
class Image:
    """An image for each example: uint8 (B, C, H, W) of `spec`."""

    spec: LabelMapSpec | ImageSpec
    kind: ClassVar[str] = "image"

    def __len__(self) -> int:
        return self.size

    @property
    def count(self) -> int:
        return self.spec.levels

    @property
    def size(self) -> int:
        return math.prod(self.spec.scaled_shape)

    def check(self, condition: Condition) -> Condition:
        return self.spec.check(tensor_of(condition, self.kind))

    def parse(self, text: str) -> Condition:
        """Read an image from a path, resized to cover the size and cropped."""
        path = expand(text)
        try:
            image = load(path).image
        except (OSError, ValueError, SyntaxError) as error:
            raise PthetaError(f"--image {text}: {error}; give a picture that can be read") from None
        x = torch.from_numpy(np.array(look_of(self.spec).pixels(image)))
        return self.spec.rounded(x[None])

    def examples(self, n: int, start: int = 0) -> Condition:
        """Flat images, from black to white and again."""
        levels = torch.arange(start, start + n) % self.spec.levels
        flat = from_levels(levels, self.spec.levels).view(n, 1, 1, 1)
        return self.spec.rounded(flat.expand(n, *self.spec.shape).contiguous())

    def describe(self, condition: Condition) -> list[str]:
        """The mean grey value of each image, from 0 to 1."""
        means = tensor_of(condition, self.kind).float().flatten(1).mean(1) / 255
        return [f"image of mean {mean:.2f}" for mean in means.tolist()]

    def vector(self, condition: Condition) -> Tensor:
        """The pixels in [-1, 1]; for a label map one plane per colour."""
        return self.planes(condition).flatten(1)

    def planes(self, condition: Condition) -> Tensor:
        """Images in network scale: (B, *spec.scaled_shape), in [-1, 1]."""
        return self.spec.scaled(tensor_of(condition, self.kind))

    @classmethod
    def of_data(cls, data: Dataset, source: str) -> Image:
        """The spec of the inputs of pairs, or else of segmentation masks. Raises PthetaError if the
        training data has neither."""
        inputs = data.inputs or MaskInputs.of(data)
        if inputs is None:
            advice = "".join(f" ({line})" for line in data.advice)
            raise PthetaError(
                f"{source} has no inputs and no masks (it offers {Offers.of(data)}), and the model "
                "is conditional on an image: choose the inputs by --pairs (side-by-side: "
                "each picture holds both; edges: computed from the images; the help of train lists "
                "all), or give data with masks, or leave out --condition image if you gave it"
                f"{advice}"
            )
        return cls(inputs.spec)

    def take(self, data: Dataset, rows: np.ndarray) -> Condition | None:
        """The inputs; without inputs the masks, with labels as equally spaced grey values; None if
        there are neither."""
        if data.inputs is not None:
            return data.inputs.take(data, rows)
        return None if data.masks is None else MaskInputs(self.spec).take(data, rows)

    def adapted(self, data: Dataset) -> Dataset:
        """Raise PthetaError if the inputs of the data do not match this spec."""
        if data.inputs is not None and data.inputs.spec != self.spec:
            raise PthetaError(
                f"the inputs of {data.name} are {data.inputs.spec}, and the run learned "
                f"{self.spec}: give inputs of that size, channels and colours"
            )
        return replace(data, condition=self)

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "spec": self.spec.to_json()}
