"""Builds the embedded data sets from the original IDX files.

    python scripts/build_embedded.py MNIST_FOLDER FASHION_MNIST_FOLDER

Balanced by class, drawn with a fixed seed from the official splits: 10,000 training and 2,000 test
images each, written as one losslessly compressed picture of 100 columns a split.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from ptheta.data import open_images
from ptheta.data.embedded import COLUMNS, FOLDER
from ptheta.files.images import grid, write_png

PER_CLASS = {"train": 1000, "test": 200}
SEED = 20_151_119


def build(name: str, source: Path) -> None:
    for split, each in PER_CLASS.items():
        data = open_images(source, split)
        if data.notes or data.labels is None:  # a note tells that the split is not the source's own
            raise SystemExit(f"{source}: no {split} split with labels")
        rng = np.random.default_rng(SEED)
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(data.labels == c), each, replace=False) for c in range(10)]
        )
        chosen = rng.permutation(chosen)
        canvas = grid(torch.from_numpy(data.images[chosen].copy()), COLUMNS, gap=0)
        write_png(FOLDER / f"{name}-{split}.png", canvas, mark=False)
        (FOLDER / f"{name}-{split}.labels").write_bytes(data.labels[chosen].astype("u1").tobytes())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    for which, folder in zip(("digits", "fashion"), sys.argv[1:], strict=True):
        build(which, Path(folder))
