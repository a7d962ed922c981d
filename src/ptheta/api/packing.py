"""The `pack` function: write a data set as tar shards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptheta.config import brief
from ptheta.data.memory import Source
from ptheta.data.request import DataSettings
from ptheta.data.shards.pack import Cut, opened, refuse_existing, write
from ptheta.errors import PthetaError
from ptheta.files.out import check_folder

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
LEAST = 2**10  # bytes of a shard
SEED = 0  # of the order of the examples


@dataclass(frozen=True)
class Packed:
    """Result of `ptheta.pack`.

    Attributes:
        folder: The set of shards; give it, or its address after copying it, as data.
        images: Number of images by split.
        shards: Number of shards by split.
        bytes: Size of all shards.
        notes: What was not packed.
    """

    folder: Path
    images: Mapping[str, int]
    shards: Mapping[str, int]
    bytes: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = ", ".join(
            f"{n:,} {split} images in {self.shards[split]:,} shard{'s' * (self.shards[split] > 1)}"
            for split, n in self.images.items()
        )
        return f"{self.folder}: {parts}, {self.bytes:,} bytes"


def pack(
    source: Source,
    out: str | Path,
    *,
    shard_size: str | int = "256M",
    images_per_shard: int | None = None,
    keep_order: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    caption_column: str | None = None,
) -> Packed:
    """Write images as tar shards with an index, to be read in place or from an address.

    Pictures keep the bytes of their files; images of arrays become PNG files. Labels, captions,
    attributes, splits, groups of near-duplicates and the identity of each image are kept. The same
    source gives the same bytes. The folder appears when it is complete.

    Args:
        source: see `open_data`; images
        out: folder to write, which must not exist or be empty
        shard_size: most bytes of a shard, such as "256M"; a larger image has a shard of its own
        images_per_shard: most images of a shard
        keep_order: keep the order of the source; by default the images are shuffled once, so that
            a few shards are like the whole, as training on shards needs
        image_column, label_column, caption_column: of a source with columns, see `open_data`

    Raises:
        PthetaError: if the source cannot be read or holds no images, or `out` is not empty.
    """
    place = check_folder(out)
    cut = Cut(size_of(shard_size), images_per_shard)
    if images_per_shard is not None and images_per_shard < 1:
        raise PthetaError(f"images_per_shard = {images_per_shard}: choose 1 or more")
    refuse_existing(place)
    settings = DataSettings.asked(
        image_column=image_column, label_column=label_column, caption_column=caption_column
    )
    index = write(opened(source, settings), place, cut, None if keep_order else SEED)
    notes = [n for entry in index.splits.values() for n in entry.notes if "not packed" in n]
    return Packed(
        place,
        {split: entry.samples for split, entry in index.splits.items()},
        {split: len(entry.shards) for split, entry in index.splits.items()},
        sum(shard.bytes for entry in index.splits.values() for shard in entry.shards),
        tuple(dict.fromkeys(notes)),
    )


def size_of(text: str | int) -> int:
    """Bytes of a size such as 256M. Raises PthetaError for other texts, and for less than 1K."""
    found = re.fullmatch(r"([0-9]{1,15})([KMG]?)", str(text).strip().upper().removesuffix("B"))
    size = int(found[1]) * UNITS[found[2]] if found is not None else 0
    if size < LEAST:
        raise PthetaError(
            f"--shard-size {brief(str(text))}: want a size of at least 1K, such as 256M or 1G"
        )
    return size
