"""Cache of the features of real images, which are the same for every model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from ptheta.data.cache import cache_folder
from ptheta.data.dataset import Dataset
from ptheta.errors import CannotWrite, PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.extractors.placed import place_of
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors

VERSION = 3  # version of the extraction


def reference(
    data: Dataset, extractor: Extractor, extraction: Callable[[], Features] | None = None
) -> Features:
    """The features of all images of `data`, cached.

    extraction: how they are extracted if they are not in the cache; by default in this process

    The cache key contains only what determines the features, not the name or path of the data:
    fingerprint and number of the images, the extractor, its weights and input format, versions, and
    the kind of device if it is not the CPU, since the last bits of features depend on it.
    A damaged or mismatched file is rebuilt.
    """
    about = {
        "images": str(len(data)),
        "fingerprint": data.fingerprint(),
        "extractor": extractor.name,
        "digest": extractor.digest,
        "reads": extractor.reads,
        "version": str(VERSION),
        "torch": torch.__version__,
        **({} if place_of(extractor) == "cpu" else {"device": place_of(extractor)}),
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "reference" / f"{key}.safetensors"
    if (kept := _read(path, about)) is not None:
        return kept
    found = extract(data, extractor) if extraction is None else extraction()
    tensors = {"features": found.features}
    if found.logits is not None:
        tensors["logits"] = found.logits
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, tensors, about)
    except (OSError, CannotWrite):  # an unwritable cache only costs time
        pass
    return found


def _read(path: Path, about: dict[str, str]) -> Features | None:
    """The cached features; None if they are missing, damaged or mismatched."""
    if not path.is_file():
        return None
    try:
        kept, tensors = load_metadata(path), load_tensors(path)
    except PthetaError:
        return None
    features = tensors.get("features")
    whole = features is not None and features.ndim == 2 and len(features) == int(about["images"])
    if features is None or not whole or kept != about or not features.isfinite().all():
        return None
    return Features(features, tensors.get("logits"))
