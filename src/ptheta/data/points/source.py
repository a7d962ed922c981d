"""Toys as data sets."""

from __future__ import annotations

from functools import partial

import numpy as np

from ptheta.data.columns.arrays import rows_of
from ptheta.data.dataset import Dataset
from ptheta.data.points.toys import toy
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part
from ptheta.data.vector_data import Truth, VectorDataset


def open_toy(name: str) -> SourceReader:
    return SourceReader("embedded, of known density", partial(read_toy, name))


def read_toy(name: str, request: Request) -> tuple[Dataset, Part]:
    """A split of a toy. A point's label is the part of the density that it is of."""
    request.settings.refuse_pictures(name)
    known = toy(name)
    _, spec = rows_of(known.split("train")[0], name)
    x, labels = known.split(request.split)
    data = VectorDataset(
        name, request.split, x, spec, labels=labels, classes=known.names, truth=truth(name)
    )
    return data, Part(request.split)


def truth(name: str) -> Truth:
    """What is known of a toy's distribution."""
    known = toy(name)
    box, found = np.array(known.sides).T, partial(log_density, name)
    alike = known.deviations is not None and len({*known.weights}) == len({*known.deviations}) == 1
    if known.modes is None or known.deviations is None or not alike:
        return Truth(found, box)
    return Truth(found, box, known.modes, float(known.deviations[0]))


def log_density(name: str, x: np.ndarray) -> np.ndarray:
    """log p of points (N, D) under a toy: float64 (N,), nats. (A function of its name, since what
    it is made of cannot be sent to another process.)"""
    return toy(name).log_density(x).numpy()
