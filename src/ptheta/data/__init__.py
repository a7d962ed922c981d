"""Data: embedded sets, own files and hub names, all as one `Dataset`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptheta.data.about import describe
    from ptheta.data.dataset import Dataset
    from ptheta.data.image_data import ImageDataset
    from ptheta.data.sources import open_data, open_images
    from ptheta.data.vector_data import VectorDataset

# toys of known density: `ptheta.data.points.toys`
POINTS = {
    "points-ring": "8 Gaussians on a ring of radius 2 (Metz et al., 1611.02163)",
    "points-grid25": "25 Gaussians on a 5x5 grid (1705.07761, 1712.04086)",
    "points-moons": "two interleaving half circles with noise",
    "points-swiss": "a spiral of one and a half turns with noise",
    "points-checkerboard": "the dark squares of a 4x4 checkerboard (1810.01367)",
    "points-1d-pair": "numbers: two equal, well-separated Gaussians",
    "points-1d-unequal": "numbers: a wide and a narrow Gaussian (1511.01844)",
    "points-1d-skewed": "numbers: strongly skewed (Marron and Wand 1992)",
    "points-1d-heavy": "numbers: a narrow peak with heavy tails (Marron and Wand 1992)",
}
EMBEDDED = {
    "digits": "10,000 + 2,000 handwritten digits, 28x28 grey, 10 classes (MNIST, CC BY-SA 3.0)",
    "fashion": "10,000 + 2,000 pieces of clothing, 28x28 grey, 10 classes (Fashion-MNIST, MIT)",
    "shapes": "20,000 + 2,000 scenes of shapes, 32x32 colour, captions, attributes, masks (drawn)",
    "shapes-64": "the same scenes at 64x64",
    "day-night": "10,000 + 2,000 such scenes, 32x32: two domains, day and night",
    **POINTS,
}


def list_datasets() -> dict[str, str]:
    """Every built-in data set with its description; `describe` inspects any source."""
    return dict(EMBEDDED)


_HOMES = {
    "Dataset": "dataset",
    "ImageDataset": "image_data",
    "VectorDataset": "vector_data",
    "describe": "about",
    "open_data": "sources",
    "open_images": "sources",
}

__all__ = [
    "EMBEDDED",
    "POINTS",
    "Dataset",
    "ImageDataset",
    "VectorDataset",
    "describe",
    "list_datasets",
    "open_data",
    "open_images",
]


if not TYPE_CHECKING:  # torch is imported with the first use

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'ptheta.data' has no attribute {name!r}")
        return getattr(import_module(f"ptheta.data.{_HOMES[name]}"), name)
