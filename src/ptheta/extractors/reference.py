"""Features of real images, kept between evaluations: they are the same for every model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from ptheta.data.cache import cache_folder
from ptheta.data.dataset import Dataset
from ptheta.errors import CannotWrite, PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.files.tensors import load_metadata, load_tensors, save_tensors

VERSION = 3  # of the extraction


def reference(data: Dataset, extractor: Extractor, processes: int = 1) -> Features:
    """The features of all images of `data`, from the cache where they have been taken before.

    The key is everything that decides them, and nothing else (what the data is called, where it
    lies): the images' fingerprint and number, the extractor, its weights and what it reads, the
    versions. A file that is damaged, or says that it holds something else, is made anew.
    """
    about = {
        "images": str(len(data)),
        "fingerprint": data.fingerprint(),
        "extractor": extractor.name,
        "digest": extractor.digest,
        "reads": extractor.reads,
        "version": str(VERSION),
        "torch": torch.__version__,
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "reference" / f"{key}.safetensors"
    if (kept := _read(path, about)) is not None:
        return kept
    found = extract(data, extractor, processes=processes)
    tensors = {"features": found.features}
    if found.logits is not None:
        tensors["logits"] = found.logits
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, tensors, about)
    except (OSError, CannotWrite):  # a cache that cannot be written costs time, nothing else
        pass
    return found


def _read(path: Path, about: dict[str, str]) -> Features | None:
    """What is kept; None where it is missing, damaged, or of something else: it is made anew."""
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
