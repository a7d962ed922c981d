"""The protocol of a number: what was measured on what, and how. It is stored with every number."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
import torch

import ptheta
from ptheta.data.dataset import Dataset
from ptheta.extractors.base import Extractor
from ptheta.measures.results import About

VERSION = 5  # of the metrics' definitions

# numbers are of the same scale only where all of these agree
COMPARABLE = (
    *("data", "split", "levels", "fingerprint", "resized_to"),
    *("extractor", "extractor_digest", "extractor_reads", "statistics", "metrics_version"),
    *("real_images", "samples", "seed"),
    # of some metrics alone
    *("how", "images", "splits", "neighbours", "compared", "paths", "training_images"),
    *("batch", "machine", "bandwidth", "cells", "among", "judge"),
)


def protocol(
    test: Dataset, extractor: Extractor, n: int, seed: int, about: About | None = None
) -> dict[str, object]:
    """Of n samples held against the images of `test` by the features of `extractor`.

    about: what made the samples, such as the hash of a checkpoint
    """
    return {
        "data": test.name,
        "split": test.split,
        **test.read_as(),
        "fingerprint": test.fingerprint(),
        "annotations": annotations_of(test),
        "extractor": extractor.name,
        "extractor_digest": extractor.digest,
        "extractor_reads": extractor.reads,
        "real_images": len(test),
        "samples": n,
        "seed": seed,
        "statistics": "float64",
        "features": "float32",
        "metrics_version": VERSION,
        "ptheta": ptheta.__version__,
        "torch": torch.__version__,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **(about or {}),
    }


AT_ONCE = 512  # inputs that are read


def annotations_of(test: Dataset) -> str:
    """Twelve hex digits that change with what belongs to the images and is not in their
    fingerprint: labels, attributes, captions, masks, inputs, partners, and which of them are
    training images too, or of combinations that training did not see."""
    rows = test.rows(slice(None))
    of_rows = (test.labels, test.attributes, test.masks)
    digest = hashlib.sha256(repr((test.classes, test.attribute_names)).encode())
    for values in of_rows:
        digest.update(b"none" if values is None else np.ascontiguousarray(values[rows]).tobytes())
    for start in range(0, len(rows) if test.inputs is not None else 0, AT_ONCE):
        assert test.inputs is not None
        digest.update(test.inputs.take(test, rows[start : start + AT_ONCE]).numpy().tobytes())
    if test.unseen is not None:
        digest.update(test.unseen[rows].tobytes())
    if test.partners is not None:
        digest.update(test.partners[rows].astype(np.int64).tobytes())
    digest.update(repr(test.caption_texts()).encode(errors="surrogatepass"))
    digest.update(test.repeated().tobytes())
    return digest.hexdigest()[:12]


def differing(a: About, b: About) -> list[str]:
    """In what two protocols differ that makes their numbers incomparable."""
    return [key for key in COMPARABLE if a.get(key) != b.get(key)]


# what makes two protocols agree, where an option does
FLAGS = {
    "samples": "-n",
    "seed": "--seed",
    "extractor": "--extractor",
    "extractor_digest": "--extractor",
    "data": "--data",
    "fingerprint": "--data",
    "resized_to": "--size",
    "levels": "--levels (of train)",
}


def cure(a: About, b: About) -> str:
    """The options that make numbers of two protocols comparable: "give -n 300"; empty where none
    does."""
    flags = list(dict.fromkeys(FLAGS[key] for key in differing(a, b) if key in FLAGS))
    counts = [n for n in (a.get("samples"), b.get("samples")) if isinstance(n, int)]
    if "-n" in flags and counts:  # fewer can always be drawn
        flags[flags.index("-n")] = f"-n {min(counts)}"
    return f"give the same {' and '.join(flags)} to both" if flags else ""


def scale(of: About) -> str:
    """The same text for protocols whose numbers are comparable, and for no others."""
    return repr([of.get(key) for key in COMPARABLE])


def differences(a: About, b: About) -> str:
    """In what two protocols differ: "samples 300 and 1000"."""
    return ", ".join(f"{k.replace('_', ' ')} {a.get(k)} and {b.get(k)}" for k in differing(a, b))
