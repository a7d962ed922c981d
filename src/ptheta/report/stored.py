"""Storage of a comparison: `measured.json` and picture files.

Reports are rendered only from these files, deterministically.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptheta import schemas
from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file, make_folder, read_json, there, write_files, write_json
from ptheta.files.html import png_uri
from ptheta.measures.results import Evaluation
from ptheta.report.comparison import Comparison, Cost, Material, Measured
from ptheta.report.pictures import Picture

FILE, PICTURES = "measured.json", "pictures"
CURE = "compare the runs again with `ptheta compare`"
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
Files = dict[str, bytes]  # of pictures, by name


def write(found: Comparison, folder: Path) -> None:
    """Writes all data of a report. Raises CannotWrite."""
    files: Files = {}
    values = {
        "n": found.n,
        "seed": found.seed,
        "data": _data(found.data, files),
        "rows": [
            _row(m, found.remarks[m.name], f"{i:02}", files) for i, m in enumerate(found.measured)
        ],
        "baselines": {name: e.with_draws() for name, e in found.baselines.items()},
        "real": found.floor.with_draws(),
    }
    place = make_folder(folder / PICTURES)
    write_files(place, files.items())
    write_json(folder / FILE, values)


def _data(data: Material, files: Files) -> dict[str, object]:
    return {
        "name": data.name,
        "what": data.what,
        "example": data.example,
        "examples": data.examples,
        "count": data.count,
        "real": _picture(data.real, "real", files),
        "first": _picture(data.first, "real-first", files),
    }


def _row(m: Measured, remarks: list[str], which: str, files: Files) -> dict[str, object]:
    """which: prefix of the names of its pictures"""
    return {
        "name": m.name,
        "path": m.path,
        "family": m.family,
        "model": m.model,
        "about": m.about,
        "setting": m.setting,
        "density": m.density,
        "place": list(m.place),
        "seconds": m.cost and m.cost.seconds,
        "steps": m.cost and m.cost.steps,
        "evaluation": m.evaluation.with_draws(),
        "pictures": [_picture(p, f"{which}-{k}", files) for k, p in enumerate(m.pictures)],
        "first": m.first and _picture(m.first, f"{which}-first", files),
        "logged": [_finite(line) for line in m.logged],
        "references": dict(m.references),
        "command": m.command,
        "config": dict(m.config),
        "taken": list(m.taken),
        "remarks": remarks,
    }


def _finite(line: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in line.items()}


def _picture(picture: Picture, name: str, files: Files) -> dict[str, str]:
    """The record of a picture; adds its file to `files`."""
    file = f"{name}.png"
    files[file] = base64.b64decode(picture.uri.partition(",")[2])
    return {"title": picture.title, "caption": picture.caption, "file": file}


def read(folder: Path) -> Comparison:
    """Reads what `write` wrote. Raises PthetaError if it is missing or damaged."""
    file = folder / FILE
    if not there(file):
        raise PthetaError(f"{folder} contains no {FILE}: {CURE}")
    values: Any = read_json(file)
    kept = schemas.parse(schemas.Compared, values, file, CURE)
    rows = [
        _row_of(row, own["evaluation"], folder)
        for row, own in zip(kept.rows, values["rows"], strict=True)
    ]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise PthetaError(f"{file} has two rows of one name: {CURE}")
    return Comparison(
        measured=rows,
        remarks={row.name: row.remarks for row in kept.rows},
        baselines={k: Evaluation.from_json(v) for k, v in values["baselines"].items()},
        floor=Evaluation.from_json(values["real"]),
        data=_data_of(kept.data, folder),
        n=kept.n,
        seed=kept.seed,
    )


def _data_of(data: schemas.ComparedData, folder: Path) -> Material:
    return Material(
        name=data.name,
        what=data.what,
        example=data.example,
        examples=data.examples,
        count=data.count,
        real=_read_picture(data.real, folder),
        first=_read_picture(data.first, folder),
    )


def _row_of(row: schemas.ComparedRow, evaluation: object, folder: Path) -> Measured:
    cost = None
    if row.seconds is not None and row.steps is not None:
        cost = Cost(row.seconds, row.steps)
    return Measured(
        name=row.name,
        path=row.path,
        family=row.family,
        model=row.model,
        about=row.about,
        setting=row.setting,
        evaluation=Evaluation.from_json(evaluation),
        density=row.density,
        place=tuple(row.place),
        cost=cost,
        pictures=[_read_picture(picture, folder) for picture in row.pictures],
        first=None if row.first is None else _read_picture(row.first, folder),
        logged=[{k: math.nan if v is None else v for k, v in line.items()} for line in row.logged],
        references=row.references,
        command=row.command,
        config=row.config,
        taken=row.taken,
    )


def _read_picture(picture: schemas.ComparedPicture, folder: Path) -> Picture:
    file = folder / PICTURES / picture.file
    if not there(file):
        raise PthetaError(f"{file} does not exist: {CURE}")
    check_file(file)
    try:
        png = file.read_bytes()
    except OSError as error:
        raise PthetaError(f"cannot read {file}: {error.strerror}") from None
    if not (png.startswith(PNG) and png.endswith(PNG_END)):
        raise PthetaError(f"{file} is not a complete PNG: {CURE}")
    return Picture(picture.title, png_uri(png), picture.caption)
