"""Inputs of images that were read: those of pairs that no source stores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptheta.data.cache import Nothing, Writer, cached, origin
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.inputs import Inputs, StoredInputs
from ptheta.data.pairs.table import LABEL_MAPS, PAIRS, Wish
from ptheta.data.request import Request
from ptheta.specs import ImageSpec, LabelMapSpec

CHUNK = 512  # inputs that are made at once


def with_inputs(data: Dataset, request: Request) -> Dataset:
    """The data with the requested inputs; unchanged if the source stores them.

    Raises PthetaError if they cannot be computed from such data.
    """
    settings, learned = request.settings, request.learned
    if settings.pairs is None:
        return data
    images, kind = images_of(data), PAIRS[settings.pairs]
    if kind.inputs is None:
        return data
    made, known = ("target", learned.target) if settings.reverse else ("input", learned.input)
    wish = Wish(
        settings.pair_strength,
        planes=made in LABEL_MAPS[settings.label_maps],
        known=known if isinstance(known, ImageSpec) else None,
    )
    inputs = kind.inputs(images, wish)
    return _exchanged(images, inputs, request) if settings.reverse else _given(images, inputs)


def _given(data: ImageDataset, inputs: Inputs) -> ImageDataset:
    return replace(data, inputs=inputs)


def _exchanged(data: ImageDataset, inputs: Inputs, request: Request) -> ImageDataset:
    """The pairs with input and target swapped; computed targets are cached."""

    def build(writer: Writer) -> Nothing:
        for at in range(0, len(data.images), CHUNK):
            rows = np.arange(at, min(at + CHUNK, len(data.images)))
            writer.add("images", inputs.take(data, rows).numpy())
        return Nothing()

    arrays = [array for array in (data.images, data.masks) if array is not None]
    of = [origin(array) for array in arrays]
    settings, spec = request.settings, inputs.spec
    identity = ("exchanged", settings.pairs, [one for one, _ in of])
    stamp = (settings.pair_strength, str(spec), [state for _, state in of])
    made = cached(request.cache_dir, identity, stamp, build, Nothing).arrays["images"]
    return replace(
        data,
        images=made,
        palette=spec.palette if isinstance(spec, LabelMapSpec) else (),
        inputs=StoredInputs(data.images, data.spec),
        masks=None,
        values=None,
        binary={},
    )
