"""The bundled extractors: small classifiers of the embedded images, and downsampled pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ptheta.compute.layout import channels_last
from ptheta.errors import PthetaError

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 28  # input side of the classifiers, pixels
TRAINED = ("digits", "fashion")  # embedded data sets with a classifier


class Classifier(nn.Module):
    """A small convolutional classifier of 28x28 grey images; 64 features before the last layer.

    Trained by `scripts/train_extractor.py` on the embedded images, shifted by up to two pixels and
    half of them binarised, so that it reads images of 2 levels as well.
    """

    def __init__(self, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * 7 * 7, width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Float (B, 1, 28, 28) in [0, 1] -> features (B, 64), logits (B, classes)."""
        h = self.body(x)
        return h, self.head(h)


def to_grey(x: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> float (B, 1, 28, 28) in [0, 1]: ITU-R 601 luma, antialiased resize."""
    u = x.float() / 255
    if u.shape[1] == 3:
        u = (u * u.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    elif u.shape[1] != 1:
        raise PthetaError(f"images of {u.shape[1]} channels have no features here: give 1 or 3")
    if u.shape[2:] != (SIDE, SIDE):
        u = F.interpolate(u, (SIDE, SIDE), mode="bilinear", antialias=True)
    return u


class Trained:
    """`digits` or `fashion`: the shipped classifier of that data set."""

    reads = "28x28 grey, bilinear, antialiased"

    def __init__(self, name: str) -> None:
        path = WEIGHTS / f"{name}.safetensors"
        self.name = name
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        with safe_open(path, "pt") as file:
            self.about: dict[str, str] = file.metadata()  # includes its test accuracies
        self.network = Classifier()
        self.network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        channels_last(self.network).eval()  # twice as fast
        self.classes = self.network.head.out_features

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        read: tuple[Tensor, Tensor | None] = self.network.to(x.device)(to_grey(x))
        return read


class Pixels:
    """`pixels`: the image averaged to 8x8, values 0..1: C * 64 features, for images of any kind.

    Sensitive to layout and colour, but neither to sharpness nor to semantic content.
    """

    name, classes = "pixels", 0
    digest, reads = "area-8x8", "8x8, averaged"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return F.adaptive_avg_pool2d(x.float() / 255, 8).flatten(1), None
