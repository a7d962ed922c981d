"""Toys as data sets."""

from __future__ import annotations

from functools import partial

from ptheta.data.columns.arrays import rows_of
from ptheta.data.dataset import Dataset
from ptheta.data.points.toys import toy
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part
from ptheta.data.vector_data import VectorDataset


def open_toy(name: str) -> SourceReader:
    return SourceReader("embedded, of known density", partial(read_toy, name))


def read_toy(name: str, request: Request) -> tuple[Dataset, Part]:
    """A split of a toy. A point's label is the part of the density that it is of."""
    request.refuse_pictures(name)
    known = toy(name)
    _, spec = rows_of(known.split("train")[0], name)
    x, labels = known.split(request.split)
    data = VectorDataset(
        name, request.split, x, spec, labels=labels, classes=known.names, truth=known
    )
    return data, Part(request.split)
