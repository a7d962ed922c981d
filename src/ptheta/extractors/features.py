"""Feature extractors: what distances and scores see. A result is named after its extractor."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ptheta.compute.layout import keep_large_blocks
from ptheta.data import embedded
from ptheta.data.dataset import Dataset
from ptheta.data.identity import keys
from ptheta.errors import PthetaError, unknown
from ptheta.extractors.pretrained import EfficientNetLite0, Inception
from ptheta.extractors.vision import Clip, Dinov2
from ptheta.terminal.progress import watched
from ptheta.training.ranks import spread

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 28  # what the two classifiers read, pixels
IN_MEMORY = 2**28  # bytes of features
EMBEDDED_KINDS = ("digits", "fashion")  # each has a classifier, trained on the embedded set
LOOKED_AT = 10_000  # images that are looked up among the embedded ones
ALIKE = 0.05  # of them; of MNIST a sixth of the training and a fifth of the test images are


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
    "dinov2": Dinov2,
    "clip": Clip,
}


@cache
def extractor(name: str) -> Extractor:
    """The extractor of this name; raises PthetaError naming the nearest one, and where its weights
    are not here."""
    if name not in MAKERS:
        raise unknown("extractor", name, MAKERS)
    return MAKERS[name]()


def default_extractor(data: Dataset) -> str:
    """The extractor that was trained on this kind of images, else `pixels`.

    Known from what the data is: its `kin`, or where that is empty the images themselves, of which
    `ALIKE` must be among those that a classifier was trained or tested on.
    """
    if data.spec.shape != (1, SIDE, SIDE):
        return "pixels"
    if data.resembles:
        return data.resembles if data.resembles in EMBEDDED_KINDS else "pixels"
    some = np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(np.int64)
    own = keys(data.subset(some))
    shares = {kind: float(np.isin(own, known_keys(kind)).mean()) for kind in EMBEDDED_KINDS}
    best = max(shares, key=lambda kind: shares[kind])
    return best if shares[best] >= ALIKE else "pixels"


@cache
def known_keys(kind: str) -> np.ndarray:
    """The keys of the embedded images of a kind, train and test: uint64 (N,)."""
    return np.concatenate(
        [keys(embedded.load_embedded(kind, split)) for split in ("train", "test")]
    )


def chosen(data: Dataset, asked: str | Extractor | None) -> tuple[Extractor, dict[str, str]]:
    """The extractor that is asked for, else the default one; and why, for the protocol."""
    if asked is not None and not isinstance(asked, str):
        return asked, {"extractor_chosen": "as asked for"}
    if asked is not None:
        return extractor(asked), {"extractor_chosen": "as asked for"}
    name = default_extractor(data)
    why = f"trained on images like these ({name})"
    if name == "pixels":
        why = "no extractor is known to be trained on images like these"
        if data.spec.channels == 1:
            why += "; if they are digits or clothes, give --extractor digits or fashion"
    return extractor(name), {"extractor_chosen": why}


@dataclass(frozen=True)
class Features:
    """features float32 (N, d); logits float32 (N, K) or None."""

    features: Tensor
    logits: Tensor | None

    def __len__(self) -> int:
        return len(self.features)


def extract(
    source: Tensor | Dataset, by: Extractor, batch_size: int = 500, processes: int = 1
) -> Features:
    """The features of an image batch or a data set, a part at a time: no more than `batch_size`
    images are in memory, and features beyond `IN_MEMORY` bytes lie in a file that is mapped (those
    of several processes in memory that these share).

    processes: that share the batches. A batch is the same whoever takes it, and no number is added
        up across batches, so the features are those of one process.
    Raises PthetaError for fewer than two images and for features that are not finite.
    """
    n = len(source)
    if n < 2:
        raise PthetaError(f"{n} image is too few for a distance or a score: give at least two")
    if processes < 1:
        raise PthetaError(f"processes = {processes}: give at least one")
    keep_large_blocks()
    starts = range(0, n, batch_size)
    h, scores = _batch(source, by, 0, batch_size)
    rest = list(starts)[1:]
    several = processes > 1 and bool(rest)
    found = Features(
        _room(n, h.shape[1], several),
        None if scores is None else _room(n, scores.shape[1], several),
    )
    _put(found, 0, h, scores)
    if not several:
        _fill(found, source, by, batch_size, rest)
    else:
        threads = torch.get_num_threads()
        spread(_share, (found, source, by, batch_size, rest, processes, threads), processes)
    if not all(part.isfinite().all() for part in found.features.split(batch_size)):
        raise PthetaError(f"the {by.name} features hold NaN or infinity: check the images")
    return found


def _batch(
    source: Tensor | Dataset, by: Extractor, start: int, size: int
) -> tuple[Tensor, Tensor | None]:
    part = slice(start, min(start + size, len(source)))
    with torch.no_grad():
        return by(source[part] if isinstance(source, Tensor) else source.batch(part).x)


def _fill(
    into: Features, source: Tensor | Dataset, by: Extractor, size: int, starts: list[int]
) -> None:
    for start in watched(starts, f"{by.name} features"):
        _put(into, start, *_batch(source, by, start, size))


def _put(into: Features, start: int, h: Tensor, scores: Tensor | None) -> None:
    into.features[start : start + len(h)] = h.float()
    if into.logits is not None and scores is not None:
        into.logits[start : start + len(h)] = scores.float()


def _share(
    rank: int,
    into: Features,
    source: Tensor | Dataset,
    by: Extractor,
    size: int,
    starts: list[int],
    processes: int,
    threads: int,
) -> None:
    """The batches of one process: every `processes`-th."""
    keep_large_blocks()
    torch.set_num_threads(threads)  # as many as one process has: sums are then the same to the bit
    _fill(into, source, by, size, starts[rank::processes])


def _room(n: int, d: int, shared: bool) -> Tensor:
    """An empty float32 (n, d): in memory where it is small, else in a file without a name, which
    other processes could not open."""
    if shared:
        return torch.empty(n, d).share_memory_()
    if 4 * n * d <= IN_MEMORY:
        return torch.empty(n, d)
    with tempfile.NamedTemporaryFile() as file:  # the mapping outlives the name
        return torch.from_file(file.name, shared=True, size=n * d).view(n, d)
