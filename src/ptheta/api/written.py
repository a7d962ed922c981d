"""Base class for results about examples: printed tables, a file with a row for each example, and an
image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ptheta.api.grid import Block
from ptheta.data.memory import Source
from ptheta.files import html
from ptheta.files.images import PICTURES
from ptheta.files.out import check_new, refuse_source
from ptheta.specs import DataSpec, images_only

TABLE = (".csv",)


class Where(TypedDict):
    """The fields of an `Answer` with its output paths."""

    path: Path | None
    picture: Path | None


@dataclass(frozen=True, kw_only=True)
class Answer(ABC):
    """Base class of such results.

    remarks: lines on how it was done
    path, picture: files of the table and the image; None if not written
    """

    remarks: tuple[str, ...] = ()
    path: Path | None = None
    picture: Path | None = None

    @abstractmethod
    def blocks(self) -> Sequence[Block]:
        """The printed output."""

    def _repr_html_(self) -> str:
        """Notebook display: the tables."""
        tables = [block.rows for block in self.blocks() if block.rows]
        return html.card(self, *(html.table(rows[1:], rows[0]) for rows in tables))

    @property
    def places(self) -> dict[str, str | None]:
        """The output paths, as JSON."""
        each = {"path": self.path, "picture": self.picture}
        return {name: None if place is None else str(place) for name, place in each.items()}


@dataclass(frozen=True)
class Places:
    """table: from `out`; picture: from `show`; None if not written"""

    table: Path | None
    picture: Path | None

    @classmethod
    def at(
        cls,
        out: str | Path | None,
        show: str | Path | None,
        *sources: Source | None,
        force: bool,
        drawn: Collection[str] = tuple(PICTURES),
    ) -> Places:
        """sources: inputs; drawn: supported image suffixes

        Raises PthetaError for a file that cannot be written, exists, or is an input.
        """
        table = check_new(out, TABLE, "--out", force)
        picture = check_new(show, drawn, "--show", force)
        for place, flag in ((table, "--out"), (picture, "--show")):
            for source in sources:
                if place is not None:
                    refuse_source(place, source, "data", flag=flag)
        return cls(table, picture)

    @property
    def where(self) -> Where:
        return {"path": self.table, "picture": self.picture}

    def images(self, spec: DataSpec, what: str) -> None:
        """Raises PthetaError if the data are not images. what: contents of the image"""
        if self.picture is not None:
            images_only(spec, f"--show, an image of {what},", "leave it out")
