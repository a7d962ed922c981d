"""Images that are in memory: arrays, tensors and data sets, in place of the name of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.data.arrays import extreme, laid_out, reaches, to_images
from ptheta.data.cache import origin
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.labels import number
from ptheta.data.names import MEMORY
from ptheta.data.request import Request
from ptheta.data.splits import SPLITS, Part, choose
from ptheta.data.values import Levels, Values, kind_of
from ptheta.errors import PthetaError, unknown

Array = np.ndarray | Tensor
Labelled = tuple[Array, Array | Sequence[int] | Sequence[str]]  # images and a label for each
Images = Dataset | Array | Labelled
InMemory = Images | Mapping[str, Images]  # or a part for each split
Source = str | Path | InMemory
TAKEN = (
    "give a name, a path, a Dataset, an array or a tensor of images, (images, labels), or a "
    "dictionary of such parts by split"
)


def checked(source: InMemory) -> InMemory:
    """The source itself. Raises PthetaError for what is none."""
    pair = isinstance(source, tuple) and len(source) == 2
    if not pair and not isinstance(source, Dataset | np.ndarray | Tensor | Mapping):
        raise PthetaError(f"data of type {type(source).__name__}: {TAKEN}")
    return source


class Handed:
    """Images on their way to the processes of a training. (A plain class: what copies arguments
    field by field leaves it whole.)
    """

    def __init__(self, source: InMemory) -> None:
        self.source: InMemory = _on_the_cpu(checked(source))


def read(source: InMemory, request: Request) -> tuple[Dataset, Part]:
    """The part of images in memory that answers to a split."""
    parts = source if isinstance(source, Mapping) else {"train": source}
    for name in parts:
        if name not in SPLITS:
            raise unknown("split", name, SPLITS)
    part = choose(request.split, parts, "the data in memory")
    every = [_array(given[1]) for given in parts.values() if isinstance(given, tuple)]
    return one_part(parts[part.name], request, every), part


def one_part(given: Images, request: Request, every: Sequence[np.ndarray] = ()) -> Dataset:
    """Images as a data set, all of them. every: the labels of all parts; default: of this one"""
    if isinstance(given, Dataset):
        data = replace(given, split=request.split)
    else:
        images, labels = _pair(given)
        numbers, classes = (None, ()) if labels is None else number(labels, every or [labels])
        array = laid_out(images, MEMORY)
        values = _values(array, request)
        pixels = to_images(array, MEMORY, values.whites)
        data = Dataset(MEMORY, request.split, pixels, numbers, classes, values=values)
    if request.size is None and request.channels is None:
        return data
    pixels = resize(data.images, *origin(data.images), request)
    masks = data.masks if pixels.shape[2:] == data.images.shape[2:] else None
    return replace(data, images=pixels, masks=masks, binary={})


def _values(array: np.ndarray, request: Request) -> Values:
    kind = kind_of(array.dtype)
    if kind is None:
        return Values({}, {})
    top = reaches(array) if kind == "8-bit" else extreme(array, MEMORY)
    tops: Levels = {kind: top}
    return Values(tops, request.whites_for(tops))


def _pair(given: Array | Labelled) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and labels as arrays. Raises PthetaError where they do not go together."""
    if not isinstance(given, tuple):
        return _array(given), None
    images, labels = _array(given[0]), _array(given[1])
    if labels.ndim != 1 or len(labels) != len(images):
        raise PthetaError(
            f"labels of shape {labels.shape} for {len(images)} images in memory: "
            "give one label for each image"
        )
    return images, labels


def _array(given: object) -> np.ndarray:
    if isinstance(given, Tensor):
        plain = given.detach().cpu()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return np.asarray(given)


def _on_the_cpu(source: InMemory) -> InMemory:
    """The same without tensors, which other processes would share and not own."""
    if isinstance(source, Mapping):
        return {name: _part_on_the_cpu(given) for name, given in source.items()}
    return _part_on_the_cpu(source)


def _part_on_the_cpu(given: Images) -> Images:
    if isinstance(given, tuple):
        return _array(given[0]), _array(given[1])
    return given if isinstance(given, Dataset) else _array(given)
