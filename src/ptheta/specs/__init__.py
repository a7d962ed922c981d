"""Specs: descriptions of examples, and conversion to network scale."""

from __future__ import annotations

from ptheta.specs.base import DataSpec
from ptheta.specs.images import (
    ImageSpec,
    from_levels,
    from_symmetric,
    from_unit,
    full,
    images_only,
    quantise,
    relaxed,
    to_levels,
    to_symmetric,
    to_unit,
)
from ptheta.specs.label_maps import LabelMapSpec
from ptheta.specs.vectors import Column, ColumnKind, VectorSpec, columns_of, filled

__all__ = [
    "Column",
    "ColumnKind",
    "DataSpec",
    "ImageSpec",
    "LabelMapSpec",
    "VectorSpec",
    "columns_of",
    "filled",
    "from_levels",
    "from_symmetric",
    "from_unit",
    "full",
    "images_only",
    "quantise",
    "relaxed",
    "to_levels",
    "to_symmetric",
    "to_unit",
]
