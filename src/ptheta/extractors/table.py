"""The extractors by name, and the default one for given images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from ptheta import plugins
from ptheta.data import embedded
from ptheta.data.dataset import Dataset
from ptheta.data.identity import keys
from ptheta.errors import PthetaError, unknown
from ptheta.extractors.base import Extractor
from ptheta.extractors.classifiers import SIDE, TRAINED, Pixels, Trained
from ptheta.extractors.gradients import Gradients
from ptheta.extractors.pretrained import EfficientNetLite0, Inception
from ptheta.extractors.vectors import Standardised
from ptheta.extractors.vision import Clip, Dinov2
from ptheta.specs import VectorSpec

LOOKED_AT = 10_000  # number of images looked up among the embedded ones
ALIKE = 0.05  # minimum fraction found; about 0.2 for MNIST

EXTRACTORS: dict[str, Callable[[], Extractor]] = {
    **{kind: partial(Trained, kind) for kind in TRAINED},
    "pixels": Pixels,
    "gradients": Gradients,
    "efficientnet-lite0": EfficientNetLite0,
    "inception-2015": Inception,
    "dinov2": Dinov2,
    "clip": Clip,
}


@cache
def load_extractor(name: str) -> Extractor:
    """The extractor of this name. Raises PthetaError for an unknown name and for missing
    weights."""
    plugins.load()
    if name not in EXTRACTORS:
        raise unknown("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]()


def default_extractor(data: Dataset) -> str:
    """The extractor that was trained on this kind of images, else `pixels`.

    Determined by the `kin` of the data or, if that is empty, by the images: a fraction of `ALIKE`
    must be among those that a classifier was trained or tested on.
    """
    if data.spec.shape != (1, SIDE, SIDE):
        return "pixels"
    if data.resembles:
        return data.resembles if data.resembles in TRAINED else "pixels"
    some = np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(np.int64)
    own = keys(data.subset(some))
    shares = {kind: float(np.isin(own, known_keys(kind)).mean()) for kind in TRAINED}
    best = max(shares, key=lambda kind: shares[kind])
    return best if shares[best] >= ALIKE else "pixels"


def _of_vectors(
    spec: VectorSpec, asked: str | Extractor | None
) -> tuple[Extractor, dict[str, str]]:
    own = Standardised(spec)
    if asked in (None, own.name):
        return own, {"extractor_chosen": "vectors are their own features"}
    if isinstance(asked, str):
        raise PthetaError(
            f"--extractor {asked} takes features of images, and these are {spec}: leave it out"
        )
    assert asked is not None
    return asked, {"extractor_chosen": "as asked for"}


@cache
def known_keys(kind: str) -> np.ndarray:
    """The keys of the embedded images of a kind, train and test: uint64 (N,)."""
    return np.concatenate(
        [keys(embedded.load_embedded(kind, split)) for split in ("train", "test")]
    )


def choose_extractor(
    data: Dataset, asked: str | Extractor | None
) -> tuple[Extractor, dict[str, str]]:
    """The requested extractor, else the default one, with the reason for the protocol.

    Raises PthetaError for an extractor of images with vectors.
    """
    if isinstance(data.spec, VectorSpec):
        return _of_vectors(data.spec, asked)
    if asked is not None:
        extractor = load_extractor(asked) if isinstance(asked, str) else asked
        return extractor, {"extractor_chosen": "as asked for"}
    name = default_extractor(data)
    why = f"trained on images like these ({name})"
    if name == "pixels":
        why = "no extractor is known to be trained on images like these"
        if data.spec.shape[0] == 1:
            why += "; if they are digits or clothes, give --extractor digits or fashion"
    return load_extractor(name), {"extractor_chosen": why}
