"""The index of a set of shards: what is in them, without reading them.

A set is a folder with `index.json`, tar files in the layout of webdataset (`000123.png`,
`000123.cls`, `000123.txt`, `000123.json`) and, for each split, a table with one row per example
(`train.npy`) and the captions (`train.captions`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from ptheta.config import Side
from ptheta.errors import PthetaError

INDEX = "index.json"
FORMAT = "ptheta-shards"
VERSION = 1
WINDOW = 8  # shards that are shuffled together in training


Natural = Annotated[int, Ge(0), Le(2**62)]


class Damaged(PthetaError):
    """An index that is not as it was written."""


class Entry(BaseModel):
    """A file of the set."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    bytes: Natural
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    samples: Natural = 0


class SplitEntry(BaseModel):
    """A split. table: one row per example (see `table_type`); labelled: whether they have labels;
    captions: the captions in UTF-8, one after the other; notes: how the source was read"""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    samples: Natural
    shards: list[Entry]
    table: Entry
    labelled: bool
    captions: Entry | None
    notes: list[str]
    advice: list[str]


class Index(BaseModel):
    """index.json.

    shape: (channels, height, width) to which pictures are decoded without --size and --channels
    resized: whether this resizes pictures; tops: the largest stored value by kind
    attributes: their names; attribute_values: the number of each word; attribute_type: NumPy's name
        of their type; suffixes: of the pictures, numbered by the tables
    window: shards that are shuffled together; digest: of the rest
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal["ptheta-shards"]
    version: Annotated[int, Ge(1)]
    name: str
    shape: tuple[Literal[1, 3], Side, Side]
    resized: bool
    tops: dict[Literal["8-bit", "integer", "float"], float]
    classes: list[str]
    attributes: list[str]
    attribute_values: dict[str, dict[str, float]]
    attribute_type: Annotated[str, StringConstraints(pattern=r"^[<|][fiub][1248]$")]
    resembles: str
    suffixes: list[str]
    window: Annotated[int, Ge(1), Le(2**31)]
    splits: Annotated[dict[Literal["train", "val", "test"], SplitEntry], MinLen(1)]
    digest: str = ""

    def sum(self) -> str:
        return _sum(self.model_dump(mode="json"))

    def text(self) -> str:
        """The file, with the digest of its content."""
        content = self.model_dump(mode="json")
        return json.dumps(content | {"digest": _sum(content)}, indent=1) + "\n"

    @classmethod
    def parse(cls, text: bytes, place: object) -> Index:
        """Raises PthetaError for a damaged index, and for one of a later version."""
        try:
            values: object = json.loads(text)
        except (ValueError, RecursionError):
            raise _damaged(place, "it is not JSON") from None
        if isinstance(values, dict) and values.get("format") == FORMAT:
            version = values.get("version")
            if isinstance(version, int) and version > VERSION:
                raise PthetaError(
                    f"{place} is of version {version} of the format of shards, and this program "
                    f"reads {VERSION}: install a newer ptheta"
                )
        try:
            index = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise _damaged(place, f"{where}: {first['msg']}") from None
        if index.digest != index.sum():
            raise _damaged(place, "its content does not have the digest that it states")
        return index


def _sum(content: dict[str, object]) -> str:
    kept = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _damaged(place: object, why: str) -> Damaged:
    return Damaged(
        f"{place} is not an index of shards: {why}; pack the data again (ptheta data pack)"
    )


def table_type(attributes: int, kind: str) -> np.dtype:
    """The type of a row of a table.

    offset, size, crc: of the picture in its shard; suffix: number of its file name suffix
    label: -1 for none; number: that of the example in its source; key: hash of its pixels as
        decoded by default; group, repeat: see `Dataset`; text, length: its caption in the file of
        captions
    """
    fields: list[tuple[str, str]] = [
        *(("offset", "<u8"), ("size", "<u8"), ("crc", "<u4"), ("suffix", "<u2")),
        *(("label", "<i8"), ("number", "<i8"), ("key", "<u8"), ("group", "<i8")),
        *(("repeat", "?"), ("text", "<u8"), ("length", "<u4")),
    ]
    more: list[tuple[str, str, tuple[int, ...]]] = []
    if attributes:
        more.append(("attributes", kind, (attributes,)))
    return np.dtype([*fields, *more])


def key_of(number: int, total: int) -> str:
    """The name of an example in its shard, without suffix."""
    return f"{number:0{max(6, len(str(max(0, total - 1))))}d}"


def shard_name(split: str, number: int) -> str:
    return f"{split}-{number:06d}.tar"


def starts_of(shards: Sequence[Entry]) -> np.ndarray:
    """The first row of each shard: int64 (S,)."""
    sizes = np.array([shard.samples for shard in shards], dtype=np.int64)
    found: np.ndarray = np.cumsum(sizes) - sizes
    return found
