"""Scenes of `ptheta.data.shapes` in two domains: day and night.

By day every object has a plain fill and the background is white; by night every object is striped
and the background is black. The domains differ in nothing else, and a day scene determines the
night scene pixel by pixel, so that the correct translation is unique and known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.image_data import ImageDataset
from ptheta.data.shapes import ATTRIBUTE_VALUES, ATTRIBUTES, VERSION, Look, numbers_of_pairs, scenes

LOOKS = {"day": Look("plain", "white"), "night": Look("striped", "black")}
DOMAINS = tuple(LOOKS)
TRAIN, TEST = 5000, 1000  # scenes of each domain; those of the test part are the same in both
SIZES = (len(DOMAINS) * TRAIN, len(DOMAINS) * TEST)  # images of both parts
PART = 500  # scenes drawn at a time


@dataclass(frozen=True)
class _Captions:
    """Metadata of scenes in the cache."""

    captions: list[str]


def numbers(split: str, seed: int = 0) -> tuple[np.ndarray, ...]:
    """The numbers of the scenes of each domain, in the order of DOMAINS: int64 (n,) each. Scenes of
    one object look alike too often, so these all have two."""
    every = numbers_of_pairs(len(DOMAINS) * TRAIN + TEST, seed)
    if split == "test":
        return (every[-TEST:],) * len(DOMAINS)
    return tuple(every[k * TRAIN : (k + 1) * TRAIN] for k in range(len(DOMAINS)))


def load_day_night(
    split: str, size: int = 32, seed: int = 0, place: Path | None = None
) -> ImageDataset:
    """All day scenes, then all night scenes. Training: 5,000 different scenes in each domain. Test:
    1,000 scenes in both domains, paired by `partners`."""
    found = numbers(split, seed)

    def build(writer: Writer) -> _Captions:
        captions: list[str] = []
        for look, own in zip(LOOKS.values(), found, strict=True):
            for at in range(0, len(own), PART):
                part = scenes(own[at : at + PART], seed, size, look)
                writer.add("images", part.images)
                writer.add("masks", part.masks)
                writer.add("attributes", part.attributes.view(np.uint8))
                captions += part.captions
        return _Captions(captions)

    stored = cached(place, ("day-night", size, split, seed), VERSION, build, _Captions)
    n = len(found[0])
    partners = np.roll(np.arange(len(DOMAINS) * n), n) if split == "test" else None
    return ImageDataset(
        name="day-night",
        split=split,
        images=stored.arrays["images"],
        labels=np.repeat(np.arange(len(DOMAINS)), n),
        classes=DOMAINS,
        captions=tuple(stored.about.captions),
        attributes=np.asarray(stored.arrays["attributes"]).view(np.int8),
        attribute_names=ATTRIBUTES,
        attribute_values=ATTRIBUTE_VALUES,
        masks=stored.arrays["masks"],
        partners=partners,
    )
