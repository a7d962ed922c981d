"""The record in a folder of images: the request and the progress."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json, write_json
from ptheta.schemas import Drawn, parse
from ptheta.tasks.sample import Place

FORMAT = 1
ABOUT = "Images that ptheta draws: not data to train on."  # note for readers of the file
CURE = "choose another --out"

# What the images depend on, by name.
Identity = Mapping[str, str | int | list[int] | list[float] | None]


@dataclass(frozen=True)
class Record:
    """asked: what the images depend on; place: where sampling continues"""

    asked: Identity
    place: Place

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """Reads a record; None if there is no such file. Raises PthetaError for an invalid one."""
        if not file.is_file():
            return None
        if not file.read_bytes().lstrip().startswith(b"{"):
            raise PthetaError(f"{file.parent} contains images of an older version: {CURE}")
        found = parse(Drawn, read_json(file), file, CURE)
        try:
            noise = tuple(_state(text) for text in found.noise)
            for state in noise[:1]:
                torch.Generator().set_state(state)  # validates it
        except (ValueError, RuntimeError):
            raise PthetaError(f"{file}: noise: not a valid random state; {CURE}") from None
        return cls(found.asked, Place(found.done, noise))

    def write(self, file: Path) -> None:
        """Writes the record atomically."""
        noise = [base64.b64encode(state.numpy().tobytes()).decode() for state in self.place.noise]
        about = {"about": ABOUT, "format": FORMAT, "asked": dict(self.asked)}
        write_json(file, about | {"done": self.place.done, "noise": noise})

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


def _state(text: str) -> Tensor:
    """Decodes a random state. Raises ValueError if it is not base64."""
    return torch.frombuffer(bytearray(base64.b64decode(text, validate=True)), dtype=torch.uint8)
