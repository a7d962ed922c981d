"""Animations, as GIF files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ptheta.files.atomic import SOFTWARE, make_folder, write_atomic

FILM = ".gif"
FRAME = 120  # milliseconds
MOST = 256  # maximum colours of a GIF
LOOKED_AT = 16  # maximum frames used to choose the palette


def to_gif(
    frames: Sequence[np.ndarray],
    scale: int = 1,
    duration: int | Sequence[int] = FRAME,
    colours: int = MOST,
) -> bytes:
    """Encode an endlessly looping GIF.

    frames: uint8 (H, W) or (H, W, 3), all of equal size; scale: size of a pixel; duration: of a
        frame, or of each, in milliseconds
    colours: maximum number of colours of the palette shared by all frames, so that constant regions
        take no space
    """
    drawn = [
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
        for image in _in_colours(frames, colours)
    ]
    buffer = io.BytesIO()
    drawn[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=drawn[1:],
        duration=duration if isinstance(duration, int) else list(duration),
        loop=0,
        comment=SOFTWARE.encode(),
    )
    return buffer.getvalue()


def _in_colours(frames: Sequence[np.ndarray], most: int) -> list[Image.Image]:
    """Convert frames to a common palette, with evenly spaced grey levels for grey frames."""
    if frames[0].ndim == 2:
        step = 255 / (most - 1)
        table = [round(round(value / step) * step) for value in range(MOST)]
        return [Image.fromarray(frame).point(table) for frame in frames]
    # the frames in one tall image; a subset for long animations
    some = np.concatenate(frames[:: max(1, len(frames) // LOOKED_AT)])
    palette = Image.fromarray(some).quantize(most, dither=Image.Dither.NONE)
    return [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]


def write_gif(
    path: Path,
    frames: Sequence[np.ndarray],
    scale: int = 1,
    duration: int | Sequence[int] = FRAME,
    colours: int = MOST,
) -> None:
    """Write a GIF atomically; its folder is created if missing. duration, colours: see `to_gif`"""
    data = to_gif(frames, scale, duration, colours)
    make_folder(path.parent)
    write_atomic(path, lambda temp: temp.write_bytes(data))
