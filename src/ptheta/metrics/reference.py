"""Features of real images, kept between evaluations: they are the same for every model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch

from ptheta.data.cache import cache_folder
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.metrics.features import Extractor, Features, extract
from ptheta.training.checkpoint import load_metadata, load_tensors, save_tensors

VERSION = 2  # of the extraction


def reference(data: Dataset, by: Extractor, processes: int = 1) -> Features:
    """The features of all images of `data`, from the cache where they have been taken before.

    The key is everything that decides them, and nothing else (what the data is called, where it
    lies): the images' fingerprint and number, the extractor, its weights and what it reads, the
    versions. Raises PthetaError where a file in the
    cache says that it holds something else.
    """
    about = {
        "images": str(len(data)),
        "fingerprint": data.fingerprint(),
        "extractor": by.name,
        "digest": by.digest,
        "reads": by.reads,
        "version": str(VERSION),
        "torch": torch.__version__,
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_folder() / "reference" / f"{key}.safetensors"
    if path.exists():
        return _read(path, about)
    found = extract(data, by, processes=processes)
    tensors = {"features": found.features}
    if found.logits is not None:
        tensors["logits"] = found.logits
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, tensors, about)
    except OSError:  # a cache that cannot be written costs time, nothing else
        pass
    return found


def _read(path: Path, about: dict[str, str]) -> Features:
    kept = load_metadata(path)
    wrong = [key for key, value in about.items() if kept.get(key) != value]
    tensors = load_tensors(path)
    if wrong or len(tensors["features"]) != int(about["images"]):
        raise PthetaError(
            f"{path} was made with other values of {wrong[0] if wrong else 'features'}: remove it"
        )
    return Features(tensors["features"], tensors.get("logits"))
