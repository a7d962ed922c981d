"""What a source holds, for the user to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.names import called, shown
from ptheta.data.request import Columns, Request
from ptheta.data.sources import Found, find, finished
from ptheta.data.splits import sides
from ptheta.data.values import White


def describe(
    source: Source,
    *,
    size: int | None = None,
    channels: int | None = None,
    white: float | None = None,
    **columns: Unpack[Columns],
) -> dict[str, Any]:
    """What is known of a source, JSON-ready: kind, size, splits, classes with counts, skipped
    files (all of them listed), notes on how it is read, and suggestions.

    size, channels: what images are brought to, as in training: a source without splits is divided
        by the pixels of then
    white: the value that is white, as for `open_data`
    columns: image_column, label_column, caption_column, likewise
    """
    found = find(source)
    request = Request(size=size, channels=channels, max_broken=1.0, white=White(white), **columns)
    found.check_columns(request, source)
    splits = _splits(found, request)
    train = splits["train"]
    spec = train.spec
    some = train.images[train.rows(slice(None, None, -(-len(train) // 1000)))]
    about: dict[str, Any] = {
        "source": shown(called(source)),
        "kind": found.kind,
        "images": {split: len(data) for split, data in splits.items()},
        "size": f"{spec.channels}x{spec.height}x{spec.width} (channels, height, width)",
        "pixel values": f"{some.min()} to {some.max()}, mean {some.mean():.1f}",
    }
    if train.labels is not None:
        counts = np.bincount(
            train.labels[train.rows(slice(None))], minlength=len(train.classes)
        ).tolist()
        about["classes"] = dict(zip(train.classes, counts, strict=True))
    if train.captions is not None:
        about["captions"] = f"such as {train.captions[int(train.rows([0])[0])]!r}"
    if train.attributes is not None:
        about["attributes"] = list(train.attribute_names)
    skipped = list(dict.fromkeys(line for data in splits.values() for line in data.skipped))
    about["skipped files"] = len(skipped)
    if skipped:
        about["skipped"] = skipped
    left_out = list(dict.fromkeys(line for data in splits.values() for line in data.left_out))
    if left_out:
        about["left out"] = left_out
    about |= _duplicates(splits)
    said = (*found.notes, *(note for data in splits.values() for note in data.notes))
    if notes := list(dict.fromkeys(said)):
        about["notes"] = notes
    if advice := _advice(some, about, train):
        about["suggestions"] = advice
    return about


def _splits(found: Found, asked: Request) -> dict[str, Dataset]:
    """The parts of a source, or the two sides of one that has none."""
    splits = {}
    for split in found.splits:
        request = replace(asked, split=split)
        data, part = found.read(request)
        if part.divide:
            data, held, notes = sides(data)
            data = replace(data, notes=(*data.notes, *notes))
            splits = {"train": data.subset(np.flatnonzero(~held))}
            if held.any():
                splits["test"] = data.subset(np.flatnonzero(held))
            return splits
        if part.name == split or split == "test":  # val may answer for test, not test for val
            splits[split] = finished(found, data, part, request)
    return splits


def _duplicates(splits: dict[str, Dataset]) -> dict[str, int]:
    """How many images there are more than once."""
    found = {}
    groups = [d.groups[d.rows(slice(None))] for d in splits.values() if d.groups is not None]
    if groups:
        more = sum(len(g) - len(np.unique(g)) for g in groups)
        found["near-duplicates"] = int(more)
    repeats = sum(int(data.repeated().sum()) for data in splits.values())
    if repeats:
        found["test images that repeat training images"] = repeats
    return found


def _advice(some: np.ndarray, about: dict[str, Any], train: Dataset) -> list[str]:
    """What to mend or to set before training on this. some: up to 1000 images."""
    found = []
    n, values = len(train), np.unique(some)
    if n < 500:
        found.append(f"{n} training images are few: a model may memorise them; give more")
    if len(values) == 1:
        found.append(f"every pixel looked at is {values[0]}: check the files")
    elif values.tolist() == [0, 255]:  # of others, binary pixels would be drawn by their shade
        found.append("two pixel values only: add --levels 2 for a binary model")
    if train.spec.channels == 3 and (some == some[:, :1]).all():
        found.append("colour images without colour: add --channels 1")
    counts = about.get("classes", {})
    if counts and min(counts.values()) * 10 < max(counts.values()):
        least = min(counts, key=lambda name: counts[name])
        found.append(f"classes are unbalanced: {least!r} has {counts[least]} training images")
    if about["skipped files"]:
        total = about["skipped files"] + sum(about["images"].values())
        if about["skipped files"] > 0.1 * total:
            found.append("many files cannot be read: mend or remove them, or add --max-broken 1")
        else:
            found.append("mend or remove the files that cannot be read")
    return [*found, *train.advice]
