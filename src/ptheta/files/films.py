"""Films: pictures one after the other, as an animated GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ptheta.files.atomic import SOFTWARE, make_folder, write_atomic

FILM = ".gif"
FRAME = 120  # milliseconds


def to_gif(frames: Sequence[np.ndarray], scale: int = 1, duration: int = FRAME) -> bytes:
    """Bytes of an endless film. frames: uint8 (H, W) or (H, W, 3), all of one size; scale: side of
    a pixel; duration: of a frame, milliseconds"""
    drawn = [
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
        for image in map(Image.fromarray, frames)
    ]
    buffer = io.BytesIO()
    drawn[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=drawn[1:],
        duration=duration,
        loop=0,
        comment=SOFTWARE.encode(),
    )
    return buffer.getvalue()


def write_gif(path: Path, frames: Sequence[np.ndarray], scale: int = 1) -> None:
    """Writes the film, atomically, into a folder that is made where it is missing."""
    data = to_gif(frames, scale)
    make_folder(path.parent)
    write_atomic(path, lambda temp: temp.write_bytes(data))
