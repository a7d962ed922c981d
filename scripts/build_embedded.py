"""Build the embedded data sets from the original IDX files.

    python scripts/build_embedded.py MNIST_FOLDER FASHION_MNIST_FOLDER

Writes class-balanced random subsets of the official splits (fixed seed): 10,000 training and 2,000
test images each, as one losslessly compressed image of 100 columns per split.
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
        if data.notes or data.labels is None:  # without the note on a missing split
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
