"""A summary of a data source for the user."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict, Unpack

import numpy as np

from ptheta.data.columns.about import columns_about, columns_advice
from ptheta.data.columns.summary import ColumnAbout
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.memory import Source
from ptheta.data.names import called, shown
from ptheta.data.offers import Offers
from ptheta.data.reader import SourceReader
from ptheta.data.request import DataOptions, DataSettings, Request
from ptheta.data.selection import selected
from ptheta.data.sources import check_kind, finished, reader_of
from ptheta.data.splits import sides
from ptheta.data.vector_data import VectorDataset
from ptheta.data.words import Words, occurring
from ptheta.errors import PthetaError
from ptheta.specs import ImageSpec, LabelMapSpec

LOOKED_AT = 1000  # number of images sampled for statistics
FEW = 500  # number of training images that a model may memorise
UNBALANCED = 10  # times as many images in one class as in another
MANY_BROKEN = 0.1  # share of all files
MANY_REPEATS = 0.5  # share of all rows
LONGEST = 300  # letters of a caption that is shown, which ends with a whole word
MOST_VALUES = 12  # of an attribute, named one by one

About = TypedDict(
    "About",
    {
        "source": str,
        "kind": str,
        "images": dict[str, int],
        "rows": dict[str, int],
        "shards": dict[str, int],
        "bytes of shards": dict[str, int],
        "columns": dict[str, ColumnAbout],
        "size": str,
        "pairs": str,
        "label maps": list[str],
        "partners": str,
        "pixel values": str,
        "offers": dict[str, str],
        "classes": dict[str, int],
        "captions": str,
        "attributes": list[str],
        "skipped files": int,
        "skipped": list[str],
        "left out": list[str],
        "near-duplicates": int,
        "test images that repeat training images": int,
        "test rows that repeat training rows": int,
        "notes": list[str],
        "suggestions": list[str],
    },
    total=False,
)
About.__doc__ = """Summary of a source, JSON-ready; entries without content are left out.

images, rows: their number by split; a source has one of both
shards, bytes of shards: their number and the sum of their sizes by split, as they are stored
pairs: inputs and targets; label maps: the colours of each part; partners: how many training images
    have one in the other domain
classes: training examples per class; attributes: each with its values, in the syntax of `--where`;
    captions: an example; offers: see `ptheta.data.offers`
skipped: all files that cannot be read
"""


def describe(source: Source, **options: Unpack[DataOptions]) -> About:
    """Summarise a data source.

    Args:
        source: see `open_data`.
        options: see `open_data`. With a size or channels, images are converted first, as in
            training; a source without splits is then divided by the converted pixels.

    Returns:
        Kind, size, splits, classes with counts, all skipped files, notes on how the source is read,
        and suggestions.
    """
    settings = DataSettings.asked(**options)
    reader = reader_of(source)
    reader.check(settings, called(source))
    asked = Request(settings=settings).tolerant()
    splits = {
        split: selected(data, replace(asked, split=split))
        for split, data in _splits(reader, asked).items()
    }
    train = splits["train"]
    about: About = {"source": shown(called(source)), "kind": reader.kind}
    counts = {split: len(data) for split, data in splits.items()}
    if isinstance(train, VectorDataset):
        about |= {"rows": counts, "columns": columns_about(train)}
        advice = columns_advice(train)
    else:
        images = images_of(train)
        about |= {"images": counts, **_of_shards(reader)}
        about |= {**_of_images(images), **_of_pairs(images)}
        advice = _advice(_sample(images), images)
    about |= _conditions(train)
    if "images" in about:
        about |= _left_out(splits)
    about |= _duplicates(splits)
    lines = (*reader.notes, *(note for data in splits.values() for note in data.notes))
    if notes := list(dict.fromkeys(lines)):
        about["notes"] = notes
    advice += _of_repeats(about)
    if advice := [*advice, *_of_classes(about), *_of_files(about), *train.advice]:
        about["suggestions"] = advice
    return about


def _of_shards(reader: SourceReader) -> About:
    """The files of a source in shards."""
    if not reader.shards:
        return {}
    return {
        "shards": {split: len(sizes) for split, sizes in reader.shards.items()},
        "bytes of shards": {split: sum(sizes) for split, sizes in reader.shards.items()},
    }


def _of_images(train: ImageDataset) -> About:
    """Their size and values."""
    spec, sample = train.spec, _sample(train)
    return {
        "size": f"{spec.channels}x{spec.height}x{spec.width} (channels, height, width)",
        "pixel values": f"{sample.min()} to {sample.max()}, mean {sample.mean():.1f}",
    }


def _of_pairs(train: ImageDataset) -> About:
    """Entries on pairs of inputs and targets, and on partners in another domain."""
    about: About = {}
    specs: dict[str, ImageSpec] = {"targets": train.spec}
    if train.inputs is not None:
        specs = {"inputs": train.inputs.spec} | specs
        about["pairs"] = f"inputs {specs['inputs']}, targets {specs['targets']}"
    maps = {part: spec for part, spec in specs.items() if isinstance(spec, LabelMapSpec)}
    if maps:
        about["label maps"] = [f"{part}: {_colours(spec)}" for part, spec in maps.items()]
    if train.partners is not None:
        n = int((train.partners[train.rows(slice(None))] >= 0).sum())
        about["partners"] = f"{n:,} of {len(train):,} images have a partner in the other domain"
    return about


def _colours(spec: LabelMapSpec) -> str:
    return " ".join("#" + "".join(f"{value:02x}" for value in colour) for colour in spec.palette)


def _sample(train: ImageDataset) -> np.ndarray:
    """Some images, uint8 (N, C, H, W)."""
    return np.asarray(train.images[train.rows(slice(None, None, -(-len(train) // LOOKED_AT)))])


def _splits(reader: SourceReader, asked: Request) -> dict[str, Dataset]:
    """The parts of a source, or the two sides of one that has none."""
    splits = {}
    for split in reader.splits:
        request = replace(asked, split=split)
        data, part = reader.read(request)
        check_kind(data, asked.settings)
        if part.divide:
            data, held, _ = sides(data)
            splits = {"train": data.subset(np.flatnonzero(~held))}
            if held.any():
                splits["test"] = data.subset(np.flatnonzero(held))
            return splits
        if part.name == split or split == "test":  # val may answer for test, not test for val
            splits[split] = finished(reader, data, part, request)
    return splits


def _conditions(train: Dataset) -> About:
    """The conditions that a model could use."""
    about: About = {}
    if offers := Offers.of(train).lines():
        about["offers"] = offers
    if train.labels is not None:
        labels = train.labels[train.rows(slice(None))]
        counts = np.bincount(labels, minlength=len(train.classes)).tolist()
        about["classes"] = dict(zip(train.classes, counts, strict=True))
    if train.captions is not None:
        about["captions"] = _a_caption(train)
    if train.attributes is not None:
        values = train.attributes[train.rows(slice(None))]
        about["attributes"] = [
            f"{name}: {_values(column, train.attribute_values.get(name, {}))}"
            for name, column in zip(train.attributes_named(), values.T, strict=True)
        ]
    return about


def _values(column: np.ndarray, words: Words) -> str:
    """The values of an attribute, as `--where` takes them; of many numbers their range, of many
    words the first."""
    there = occurring(column, words)
    if len(there) <= MOST_VALUES:
        return ", ".join(there)
    if words:
        return f"{', '.join(there[:MOST_VALUES])}, ... ({len(there)} in all)"
    return f"{there[0]} to {there[-1]}"


def _a_caption(train: Dataset) -> str:
    """The first, or why it cannot be read."""
    try:
        text = textwrap.shorten(train.caption(int(train.rows([0])[0])), LONGEST, placeholder=" ...")
        return f"such as {text!r}"
    except PthetaError as error:
        return str(error)


def _left_out(splits: Mapping[str, Dataset]) -> About:
    """Files and folders of the source that are not read."""
    skipped = list(dict.fromkeys(line for data in splits.values() for line in data.skipped))
    about: About = {"skipped files": len(skipped)}
    if skipped:
        about["skipped"] = skipped
    if left_out := list(dict.fromkeys(line for data in splits.values() for line in data.left_out)):
        about["left out"] = left_out
    return about


def _duplicates(splits: Mapping[str, Dataset]) -> About:
    """How many images there are more than once."""
    about: About = {}
    groups = [d.groups[d.rows(slice(None))] for d in splits.values() if d.groups is not None]
    if groups:
        about["near-duplicates"] = int(sum(len(g) - len(np.unique(g)) for g in groups))
    if repeats := sum(int(data.repeated().sum()) for data in splits.values()):
        if isinstance(splits["train"], VectorDataset):
            about["test rows that repeat training rows"] = repeats
        else:
            about["test images that repeat training images"] = repeats
    return about


def _advice(sample: np.ndarray, train: ImageDataset) -> list[str]:
    """Suggestions before training on these images. sample: uint8 (N, C, H, W), some of them"""
    lines = []
    values = np.unique(sample)
    if len(train) < FEW:
        lines.append(f"{len(train)} training images only: a model may memorise them; add more")
    if len(values) == 1:
        lines.append(f"every sampled pixel is {values[0]}: check the files")
    elif values.tolist() == [0, 255]:  # of others, binary pixels would be drawn by their shade
        lines.append("only two pixel values: add --levels 2 for a binary model")
    if train.spec.channels == 3 and (sample == sample[:, :1]).all():
        lines.append("colour images without colour: add --channels 1")
    return lines


def _of_repeats(about: About) -> list[str]:
    rows = sum(about.get("rows", {}).values())
    if not rows or about.get("near-duplicates", 0) <= MANY_REPEATS * rows:
        return []
    return [
        "most rows are duplicates, and equal rows are held out together, so that held-out rows are "
        "of kinds never seen in training; give train and test as separate files"
    ]


def _of_classes(about: About) -> list[str]:
    counts = about.get("classes", {})
    if not counts or min(counts.values()) * UNBALANCED >= max(counts.values()):
        return []
    least = min(counts, key=lambda name: counts[name])
    return [f"classes are unbalanced: {least!r} has {counts[least]} training examples"]


def _of_files(about: About) -> list[str]:
    broken = about.get("skipped files", 0)
    if not broken:
        return []
    if broken > MANY_BROKEN * (broken + sum(about["images"].values())):
        return ["many files cannot be read: repair or remove them, or add --max-broken 1"]
    return ["repair or remove the files that cannot be read"]
