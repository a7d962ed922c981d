"""Image batches out of the house: a grid, an array, or a folder of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.files import SAMPLES, make_folder, write_atomic, write_text
from ptheta.images import grid, write_png


def write_images(x: Tensor, out: str | Path, columns: int | None = None) -> Path:
    """Writes uint8 (N, C, H, W) as what the name of `out` says, and returns its path.

    x.png: one grid, of `columns` where given; x.npy: the array; no suffix: a folder of 00000.png,
    00001.png, ...
    Raises PthetaError for another suffix, a folder with files in it, or a place that cannot be
    written.
    """
    path = Path(out).expanduser()
    if path.suffix in (".png", ".npy"):
        make_folder(path.parent)
        if path.suffix == ".png":
            write_png(path, grid(x, columns), scale=max(1, 64 // x.shape[-1]))
        else:
            write_atomic(path, lambda beside: _save_array(beside, x.numpy()))
        return path
    if path.suffix:
        raise PthetaError(f"--out {path}: want a .png, a .npy or a folder, not {path.suffix!r}")
    if path.is_dir() and any(path.iterdir()):
        raise PthetaError(
            f"--out {path}: the folder has files in it, which samples must not be mixed with; "
            "choose a new one"
        )
    make_folder(path)
    # first, so that a folder that was never finished is known as well
    write_text(path / SAMPLES, "Samples of a model, drawn by ptheta: not data to train on.\n")
    digits = max(5, len(str(len(x) - 1)))
    for i in range(len(x)):
        write_png(path / f"{i:0{digits}d}.png", grid(x[i : i + 1]), mark=False)
    return path


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # a name without .npy, which np.save would add
        np.save(file, array, allow_pickle=False)
