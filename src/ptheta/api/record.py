"""The record in a folder of images: the request and the progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json, write_json
from ptheta.schemas import Drawn, parse

FORMAT = 2
ABOUT = "Images that ptheta draws: not data to train on."  # note for readers of the file
CURE = "choose another --out"

# What the images depend on, by name.
Identity = Mapping[str, str | int | list[int] | list[float] | None]


@dataclass(frozen=True)
class Record:
    """asked: what the images depend on; done: number of images drawn so far"""

    asked: Identity
    done: int = 0

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """Reads a record; None if there is no such file. Raises PthetaError for an invalid one."""
        if not file.is_file():
            return None
        if not file.read_bytes().lstrip().startswith(b"{"):
            raise PthetaError(f"{file.parent} contains images of an older version: {CURE}")
        found = parse(Drawn, read_json(file), file, CURE)
        return cls(found.asked, found.done)

    def write(self, file: Path) -> None:
        """Writes the record atomically."""
        about = {"about": ABOUT, "format": FORMAT, "asked": dict(self.asked)}
        write_json(file, about | {"done": self.done})

    def check_same(self, asked: Identity, folder: Path) -> None:
        """Raises PthetaError if the images in `folder` belong to another request."""
        for name in (*asked, *self.asked):
            values = (of.get(name) for of in (self.asked, asked))
            here, now = (brief("none" if value is None else value) for value in values)
            if here != now:
                raise PthetaError(
                    f"--out {folder}: the images there were started with {name} {here}, and now "
                    f"{name} is {now}: use the same options to resume, or {CURE}"
                )
