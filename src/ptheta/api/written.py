"""What the uses that look at examples give: tables to read, a file with a row for each example, and
a picture."""

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
    """The fields of an `Answer` that say where it was written."""

    path: Path | None
    picture: Path | None


@dataclass(frozen=True, kw_only=True)
class Answer(ABC):
    """What such a use gives, beside its numbers.

    remarks: lines on how it was done
    path, picture: where a table and a picture were written; None where nowhere
    """

    remarks: tuple[str, ...] = ()
    path: Path | None = None
    picture: Path | None = None

    @abstractmethod
    def blocks(self) -> Sequence[Block]:
        """What is printed of it."""

    def _repr_html_(self) -> str:
        """For notebooks: its tables."""
        tables = [block.rows for block in self.blocks() if block.rows]
        return html.card(self, *(html.table(rows[1:], rows[0]) for rows in tables))

    @property
    def places(self) -> dict[str, str | None]:
        """Where it was written, as JSON says it."""
        each = {"path": self.path, "picture": self.picture}
        return {name: None if place is None else str(place) for name, place in each.items()}


@dataclass(frozen=True)
class Places:
    """table: of `out`; picture: of `show`; None for nowhere"""

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
        """sources: what is read; drawn: suffixes of the picture

        Raises PthetaError for what cannot be written, is there already, or is what is read.
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
        """Raises PthetaError for a picture of what are no images. what: it shows"""
        if self.picture is not None:
            images_only(spec, f"--show, a picture of {what},", "leave it out")
