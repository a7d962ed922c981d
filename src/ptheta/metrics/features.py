"""Feature extractors: what distances and scores see. A result is named after its extractor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError, unknown
from ptheta.metrics.pretrained import EfficientNetLite0, Inception
from ptheta.pixels import ImageSpec

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 28  # what the two classifiers read, pixels


class Extractor(Protocol):
    """name: part of every metric's name. digest: of the weights, for the protocol. reads: how an
    image is brought to what the network takes."""

    name: str
    digest: str
    reads: str
    classes: int  # of the classifier; 0 where there is none

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """uint8 (B, C, H, W) -> features float32 (B, d), and logits (B, K) or None."""
        ...


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
            self.about: dict[str, str] = file.metadata()  # with its test accuracies
        self.network = Classifier()
        self.network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
        self.network.eval()
        self.classes = self.network.head.out_features

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(to_grey(x))


class Pixels:
    """`pixels`: the image averaged to 8x8, values 0..1: C * 64 features, for images of any kind.

    It sees layout and colour; it sees neither sharpness nor what the image shows.
    """

    name, classes = "pixels", 0
    digest, reads = "area-8x8", "8x8, averaged"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return F.adaptive_avg_pool2d(x.float() / 255, 8).flatten(1), None


MAKERS: dict[str, Callable[[], Extractor]] = {
    "digits": lambda: Trained("digits"),
    "fashion": lambda: Trained("fashion"),
    "pixels": Pixels,
    "efficientnet-lite0": EfficientNetLite0,
    "inception-2015": Inception,
}


@cache
def extractor(name: str) -> Extractor:
    """The extractor of this name; raises PthetaError naming the nearest one, and where its weights
    are not here."""
    if name not in MAKERS:
        raise unknown("extractor", name, MAKERS)
    return MAKERS[name]()


def default_extractor(data_name: str, spec: ImageSpec) -> str:
    """The extractor that was trained on this kind of data, else `pixels`."""
    grey = spec.shape == (1, SIDE, SIDE)
    if grey and "fashion" in data_name:
        return "fashion"
    if grey and ("digits" in data_name or "mnist" in data_name):
        return "digits"
    return "pixels"


@dataclass(frozen=True)
class Features:
    """features float64 (N, d); logits float64 (N, K) or None."""

    features: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.features)


@torch.no_grad()
def extract(source: Tensor | Dataset, by: Extractor, batch_size: int = 500) -> Features:
    """The features of an image batch or a data set, a part at a time.

    Raises PthetaError for fewer than two images and for features that are not finite.
    """
    n = len(source)
    if n < 2:
        raise PthetaError(f"{n} image is too few for a distance or a score: give at least two")
    features, logits = [], []
    for start in range(0, n, batch_size):
        part = slice(start, min(start + batch_size, n))
        x = source[part] if isinstance(source, Tensor) else source.batch(part).x
        h, scores = by(x)
        features.append(h.double())
        if scores is not None:
            logits.append(scores.double())
    found = torch.cat(features)
    if not found.isfinite().all():
        raise PthetaError(f"the {by.name} features hold NaN or infinity: check the images")
    return Features(found, torch.cat(logits) if logits else None)
