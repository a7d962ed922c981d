"""Image batches as picture files and grids."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ptheta.files import SOFTWARE, write_atomic


def grid(x: Tensor, columns: int | None = None, gap: int = 1, background: int = 255) -> np.ndarray:
    """uint8 (N, C, H, W) -> one picture, uint8 (rows, columns) or (rows, columns, 3).

    columns: images side by side (default: as square as can be); gap: pixels between two images
    """
    images = x.cpu().numpy()
    n, c, h, w = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full(
        (rows * (h + gap) - gap, columns * (w + gap) - gap, c), background, dtype=np.uint8
    )
    for i, image in enumerate(images):
        top, left = (i // columns) * (h + gap), (i % columns) * (w + gap)
        canvas[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return canvas[..., 0] if c == 1 else canvas[..., :3]


def to_png(picture: np.ndarray, scale: int = 1, *, mark: bool = True) -> bytes:
    """PNG bytes of a picture, each pixel drawn as scale x scale.

    mark: whether it says that ptheta drew it, by which a folder of pictures leaves it out
    """
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    texts = PngInfo()
    if mark:
        texts.add_text("Software", SOFTWARE)
    image.save(buffer, format="PNG", optimize=True, pnginfo=texts)
    return buffer.getvalue()


def write_png(path: Path, picture: np.ndarray, scale: int = 1, *, mark: bool = True) -> None:
    """Writes the picture as PNG, atomically. mark: see `to_png`"""
    data = to_png(picture, scale, mark=mark)
    write_atomic(path, lambda beside: beside.write_bytes(data))
