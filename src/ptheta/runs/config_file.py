"""Reading and writing config.json, which makes a folder a run."""

from __future__ import annotations

import math
from pathlib import Path

from ptheta import schemas
from ptheta.config import brief
from ptheta.data.values import KINDS, Levels
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json, there, write_json
from ptheta.files.paths import exists, expand
from ptheta.runs.older import upgrade
from ptheta.specs import Column, DataSpec, ImageSpec, LabelMapSpec, VectorSpec

NAME = "config.json"
CURE = "restore the file as written by training, or use the version of ptheta that wrote it"


def has_config(folder: str | Path) -> bool:
    """Whether a folder is a run, finished or not."""
    return there(expand(folder) / NAME)


def read_config(folder: Path) -> schemas.Config:
    """Reads config.json of a run folder, upgraded to this version.

    Raises PthetaError if it is missing, invalid, or written by a newer version.
    """
    file = folder / NAME
    if not there(file):
        why = "it contains no config.json" if exists(folder) else "no such folder"
        raise PthetaError(
            f"{brief(folder)} is not a run: {why}; give a folder written by `ptheta train --out`"
        )
    values = read_json(file)
    if isinstance(values, dict) and "format" in values and values["format"] != schemas.FORMAT:
        raise PthetaError(
            f"{file} has format {brief(values['format'])}, this ptheta reads {schemas.FORMAT}: "
            "use the ptheta that wrote it"
        )
    found = schemas.parse(schemas.Config, values, file, CURE)
    schemas.check_size(found.spec, file)
    try:
        return upgrade(found)
    except PthetaError as error:
        raise damaged(folder, error) from None


def damaged(folder: Path, error: PthetaError) -> PthetaError:
    """An error in config.json, with the file name and the remedy."""
    return PthetaError(f"{folder / NAME}: {error}; {CURE}")


def write_config(folder: Path, about: schemas.Config) -> None:
    """Writes config.json, atomically."""
    write_json(folder / NAME, about.model_dump())


def spec_of(about: schemas.Config) -> DataSpec:
    """The spec of the run's examples. Raises PthetaError if it is invalid."""
    kept = about.spec
    if isinstance(kept, schemas.LabelMaps):
        colours = tuple(tuple(colour) for colour in kept.palette)
        return LabelMapSpec(**kept.model_dump(exclude={"palette"}), palette=colours)
    if isinstance(kept, schemas.Images):
        return ImageSpec(**kept.model_dump())
    columns = (
        Column(
            **column.model_dump(exclude={"values", "low", "high"}),
            values=tuple(column.values),
            low=-math.inf if column.low is None else column.low,
            high=math.inf if column.high is None else column.high,
        )
        for column in kept.columns
    )
    return VectorSpec(tuple(columns))


def whites(about: schemas.Config) -> Levels:
    """Value of white in training, by kind of value."""
    found = about.dataset.white
    return {kind: found[kind] for kind in KINDS if kind in found}
