"""The protocol of a result: data, method and settings, stored with every result."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
import torch

import ptheta
from ptheta.data.dataset import Dataset
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import place_of
from ptheta.measures.results import About

VERSION = 5  # version of the metrics' definitions

# values are comparable only if all of these agree
COMPARABLE = (
    *("data", "split", "levels", "fingerprint", "resized_to"),
    *("extractor", "extractor_digest", "extractor_reads", "statistics", "metrics_version"),
    *("real_images", "samples", "seed"),
    # for some metrics only
    *("how", "images", "splits", "neighbours", "compared", "paths", "training_images"),
    *("batch", "machine", "bandwidth", "cells", "among", "judge"),
)


def protocol(
    test: Dataset, extractor: Extractor, n: int, seed: int, about: About | None = None
) -> dict[str, object]:
    """Protocol of comparing n samples with the images of `test` by the features of `extractor`.

    about: additional entries, such as the hash of a checkpoint
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
        "device": place_of(extractor),
        "metrics_version": VERSION,
        "ptheta": ptheta.__version__,
        "torch": torch.__version__,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **(about or {}),
    }


AT_ONCE = 512  # inputs read at a time


def annotations_of(test: Dataset) -> str:
    """A hash of twelve hex digits of the annotations that are not in the fingerprint of the images:
    labels, attributes, captions, masks, inputs, partners, duplicates of training images, and
    held-out combinations."""
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
    """The entries that make the values of two protocols incomparable."""
    return [key for key in COMPARABLE if a.get(key) != b.get(key)]


# the option that sets an entry, if there is one
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
    """The options that make the values of two protocols comparable, as "give -n 300"; "" if there
    are none."""
    flags = list(dict.fromkeys(FLAGS[key] for key in differing(a, b) if key in FLAGS))
    counts = [n for n in (a.get("samples"), b.get("samples")) if isinstance(n, int)]
    if "-n" in flags and counts:  # drawing fewer is always possible
        flags[flags.index("-n")] = f"-n {min(counts)}"
    return f"give the same {' and '.join(flags)} to both" if flags else ""


def scale(of: About) -> str:
    """A key that is equal if and only if the values of two protocols are comparable."""
    return repr([of.get(key) for key in COMPARABLE])


def differences(a: About, b: About) -> str:
    """Differences of two protocols, as "samples 300 and 1000"."""
    return ", ".join(f"{k.replace('_', ' ')} {a.get(k)} and {b.get(k)}" for k in differing(a, b))
