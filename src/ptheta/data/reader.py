"""Readers of sources, chosen by name or path, which read one split at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ptheta.data.dataset import Dataset
from ptheta.data.names import shortened
from ptheta.data.pairs.attach import with_inputs
from ptheta.data.pairs.table import LABEL_MAPS, PAIRS
from ptheta.data.request import DataSettings, Request
from ptheta.data.splits import SPLITS, Part
from ptheta.data.values import Levels, merged
from ptheta.errors import PthetaError

Read = Callable[[Request], tuple[Dataset, Part]]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class SourceReader:
    """A reader of a source.

    kind: type of the source in messages, such as "folder of images"
    read: reads the part for a request
    splits: the available splits
    notes: notes on how the source was found
    has_columns: whether it has columns to choose from
    readable_whole: whether it can be read as one part (`Request.whole`)
    pairs: the kinds of pairs, names of `PAIRS`, that it may store
    shards: the bytes of each shard of a split, for a source in shards
    """

    kind: str
    read: Read
    splits: tuple[str, ...] = SPLITS
    notes: tuple[str, ...] = ()
    has_columns: Callable[[], bool] = _never
    readable_whole: bool = False
    pairs: tuple[str, ...] = ()
    shards: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def check(self, settings: DataSettings, source: str) -> None:
        """Raise PthetaError for requested columns or pairs that do not exist, and for a setting out
        of range.

        source: its name
        """
        settings.check()
        self._check_pairs(settings, source)
        if (asked := settings.of_tables) and not self.has_columns():
            option, name = next(iter(asked.items()))
            raise PthetaError(
                f"{option} {shortened(name)}: {source} ({self.kind}) has no columns; leave it out"
            )

    def _check_pairs(self, settings: DataSettings, source: str) -> None:
        """Raise PthetaError for kinds of pairs that such a source cannot store, and for label maps
        that are not read from pictures. source: its name
        """
        kind = settings.pairs
        able = [name for name, entry in PAIRS.items() if entry.inputs or name in self.pairs]
        if kind is not None and kind not in able:
            raise PthetaError(
                f"--pairs {kind}: {shortened(source)} ({self.kind}) has no such pairs: choose "
                f"{' or '.join(able)}"
            )
        stored = kind is None or PAIRS[kind].inputs is None or not settings.reverse
        if "target" in LABEL_MAPS[settings.label_maps] and stored and not self.pairs:
            raise PthetaError(
                f"--label-maps {settings.label_maps}: label maps are read from pictures in files "
                f"or tables, and {shortened(source)} is of the kind {self.kind}: leave it out"
            )


class ReadOnce:
    """Read each part once. A part read under a strict limit on unreadable files is reused for a
    looser one."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.made: dict[str, tuple[float, tuple[Dataset, Part]]] = {}

    def __call__(self, request: Request) -> tuple[Dataset, Part]:
        broken = request.settings.max_broken
        kept = self.made.get(request.split)
        if kept is None or kept[0] > broken:
            kept = self.made[request.split] = broken, self.read(request)
        return kept[1]


def with_pairs(reader: SourceReader) -> SourceReader:
    """The source, with requested inputs computed if they are not stored."""
    return replace(reader, read=_WithInputs(reader))


@dataclass(frozen=True)
class _WithInputs:
    reader: SourceReader

    def __call__(self, request: Request) -> tuple[Dataset, Part]:
        data, part = self.reader.read(request)
        return with_inputs(data, request), part


def with_one_white(reader: SourceReader) -> SourceReader:
    """The source, read so that one value is white in all of its parts."""
    return replace(reader, read=_OneWhite(reader))


@dataclass(frozen=True)
class _OneWhite:
    reader: SourceReader

    def __call__(self, request: Request) -> tuple[Dataset, Part]:
        data, part = self.reader.read(request)
        if data.values is None:
            return data, part
        tops, asked = data.values.tops, request.white
        if not data.values.certain(k for k, top in tops.items() if asked.fixed(k, top)):
            tops = merged([tops, *self._tops(request)])
        asked.check(tops, data.name)
        whites = asked.of(tops)
        if any(whites[kind] != white for kind, white in data.values.whites.items()):
            data, part = self.reader.read(replace(request, whites=whites))
        notes, advice = (*data.notes, *asked.notes(tops)), (*data.advice, *asked.advice(tops))
        return replace(data, notes=notes, advice=advice), part

    def _tops(self, request: Request) -> Iterator[Levels]:
        """The largest values of each part."""
        for split in self.reader.splits:
            try:
                data, part = self.reader.read(replace(request.tolerant(), split=split))
            except PthetaError:  # reported when that part is requested
                continue
            if part.name == split and data.values is not None:
                yield data.values.tops
