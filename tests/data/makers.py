"""Small images and the files that hold them."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 12, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 12, 12, 3), dtype=np.uint8)
LABELS = np.arange(20) % 4
START = RNG.bit_generator.state


def rewind() -> None:
    """Starts the images of `noise` anew, so that those of a test do not depend on other tests."""
    RNG.bit_generator.state = START


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_folder(
    root: Path, images: Sequence[np.ndarray] | np.ndarray, suffix: str = "png", **options: Any
) -> Path:
    for i, image in enumerate(images):
        folder = root / f"class{LABELS[i]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02d}.{suffix}", **options)
    return root


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(
    path: Path, images: np.ndarray, labels: Sequence[Any] | np.ndarray = LABELS, **columns: Any
) -> Path:
    """Columns `img` (structs), `label` with names a to d, `caption`, and those given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "img": [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(images)],
            "label": labels,
            "caption": [f"number {i}" for i in range(len(images))],
            **columns,
        }
    )
    names = {"names": ["a", "b", "c", "d"], "_type": "ClassLabel"}
    info = {"info": {"features": {"label": names}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), path)
    return path
