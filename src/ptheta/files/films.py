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
MOST = 256  # colours of a .gif
LOOKED_AT = 16  # frames by which colours are chosen


def to_gif(
    frames: Sequence[np.ndarray],
    scale: int = 1,
    duration: int | Sequence[int] = FRAME,
    colours: int = MOST,
) -> bytes:
    """Bytes of an endless film. frames: uint8 (H, W) or (H, W, 3), all of one size; scale: side of
    a pixel; duration: of a frame, or of each, milliseconds; colours: at most so many, of all frames
    together, so that what stays the same takes no bytes"""
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
    """Frames in one palette; greys in levels that are evenly spaced."""
    if frames[0].ndim == 2:
        step = 255 / (most - 1)
        table = [round(round(value / step) * step) for value in range(MOST)]
        return [Image.fromarray(frame).point(table) for frame in frames]
    # the frames one below the other, of long films some
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
    """Writes the film, atomically, into a folder that is made where it is missing. duration,
    colours: as for `to_gif`"""
    data = to_gif(frames, scale, duration, colours)
    make_folder(path.parent)
    write_atomic(path, lambda temp: temp.write_bytes(data))
