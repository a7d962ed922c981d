"""The record in a folder of images: what was asked for, and how far the drawing has come."""

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
ABOUT = "Images that ptheta draws: not data to train on."  # for who looks into the file
CURE = "choose another --out"

# What images depend on, by name.
Identity = Mapping[str, str | int | list[int] | list[float] | None]


@dataclass(frozen=True)
class Record:
    """asked: what the images depend on; place: where the drawing of them goes on"""

    asked: Identity
    place: Place

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """None where there is no such file. Raises PthetaError for one that is no record."""
        if not file.is_file():
            return None
        if not file.read_bytes().lstrip().startswith(b"{"):
            raise PthetaError(f"{file.parent} holds images of an earlier ptheta: {CURE}")
        found = parse(Drawn, read_json(file), file, CURE)
        try:
            noise = tuple(_state(text) for text in found.noise)
            for state in noise[:1]:
                torch.Generator().set_state(state)  # whether it is one
        except (ValueError, RuntimeError):
            raise PthetaError(f"{file}: noise: it is no state of a random stream; {CURE}") from None
        return cls(found.asked, Place(found.done, noise))

    def write(self, file: Path) -> None:
        """Atomically."""
        noise = [base64.b64encode(state.numpy().tobytes()).decode() for state in self.place.noise]
        about = {"about": ABOUT, "format": FORMAT, "asked": dict(self.asked)}
        write_json(file, about | {"done": self.place.done, "noise": noise})

    def check_same(self, asked: Identity, folder: Path) -> None:
        """Raises PthetaError where the images in `folder` were asked for otherwise."""
        for name in (*asked, *self.asked):
            values = (of.get(name) for of in (self.asked, asked))
            here, now = (brief("none" if value is None else value) for value in values)
            if here != now:
                raise PthetaError(
                    f"--out {folder}: the images there were begun with {name} {here}, and {name} "
                    f"{now} is asked for now: ask as before to go on, or {CURE}"
                )


def _state(text: str) -> Tensor:
    """Raises ValueError for what is not base64."""
    return torch.frombuffer(bytearray(base64.b64decode(text, validate=True)), dtype=torch.uint8)
