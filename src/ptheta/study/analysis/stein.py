"""Reads the public answers of Stein et al. 2023 (arXiv:2306.04675), of the repository dgm-eval.

They are aggregated, in two layouts: one line for each person (folder `data`), and one line for each
image of an experiment (folder `per-image-data`). The first says nothing of images and the second
nothing of people, so intervals from a file are over people alone, or over images alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file
from ptheta.study.analysis.table import Table
from ptheta.study.files import FAKE, REAL

BY_PERSON = ("id", "model", "num_correct", "err_rt", "f_err_rt", "r_err_rt")
BY_IMAGE = ("model", "generated", "image_path", "number_guesses", "number_guesses_generated")
EACH = 100  # generated images that each person was shown, and as many real ones
MOST_GUESSES = 100_000  # of one image


class Cell(NamedTuple):
    """Answers of one person, or about one image: n of them, and how many are wrong."""

    group: int
    model: str
    truth: str
    wrong: int
    n: int


def is_public(path: Path) -> bool:
    """Whether a file has one of the two layouts."""
    return _reader(path) is not None


def read_public(path: Path) -> Table:
    """The answers of all experiments of a file as a table, one row for each answer.

    Raises PthetaError, one line, for a file of another layout or a value that cannot be.
    """
    reader = _reader(path)
    if reader is None:
        raise PthetaError(
            f"{path} has neither the columns {', '.join(BY_PERSON)} nor {', '.join(BY_IMAGE)}: "
            "give a file of the folder human-evaluation-realism of dgm-eval"
        )
    return reader(path)


def _reader(path: Path) -> Callable[[Path], Table] | None:
    check_file(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = set(next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    if set(BY_PERSON) <= header:
        return _by_person
    return _by_image if set(BY_IMAGE) <= header else None


def _by_person(path: Path) -> Table:
    """Each person of an experiment is one: ids are not those of people across experiments."""
    rows: list[Cell] = []
    people: list[str] = []
    for place, line in _lines(path):
        wrong = [_share(place, line, name) for name in ("f_err_rt", "r_err_rt")]
        right = _number(place, line, "num_correct")
        if abs(2 * EACH - sum(wrong) - right) > 1e-6:
            raise PthetaError(
                f"{place}: num_correct {right:g} is not {2 * EACH} less the wrong answers, "
                f"{sum(wrong)}; correct the line"
            )
        person = len(people)
        people.append(f"{line['id']} ({line['model']})")
        for truth, k in zip((FAKE, REAL), wrong, strict=True):
            rows.append(Cell(person, line["model"], truth, k, EACH))
    return _table(path, rows, tuple(people))


def _by_image(path: Path) -> Table:
    rows: list[Cell] = []
    images: dict[tuple[str, str], int] = {}
    for place, line in _lines(path):
        n = int(_number(place, line, "number_guesses"))
        fake = int(_number(place, line, "number_guesses_generated"))
        if not 0 <= fake <= n <= MOST_GUESSES:
            raise PthetaError(f"{place}: {fake} of {n} guesses; correct the line")
        if line["generated"] not in ("0", "1"):
            raise PthetaError(f"{place}: generated is {brief(line['generated'])!r}, not 0 or 1")
        generated = line["generated"] == "1"
        # real images of all experiments are the same ones
        key = (line["model"] if generated else REAL, line["image_path"])
        image = images.setdefault(key, len(images))
        truth, wrong = (FAKE, n - fake) if generated else (REAL, fake)
        if n:
            rows.append(Cell(image, line["model"], truth, wrong, n))
    return _table(path, rows, None)


def _table(path: Path, rows: Sequence[Cell], people: tuple[str, ...] | None) -> Table:
    """One row for each answer. people: None where the groups are images"""
    if not rows:
        raise PthetaError(f"{path} holds no answers")
    n = np.array([row.n for row in rows])
    group = np.repeat(np.array([row.group for row in rows], dtype=np.int64), n)
    model: np.ndarray = np.repeat(np.array([row.model for row in rows], dtype=object), n)
    fake = np.repeat(np.array([row.truth == FAKE for row in rows]), n)
    wrong = np.concatenate([(np.arange(row.n) < row.wrong).astype(np.float64) for row in rows])
    nothing = np.full(len(wrong), np.nan)
    return Table(
        person=None if people is None else group,
        image=group if people is None else None,
        image_b=None,
        source=np.where(fake, model, REAL),
        source_b=model,
        fake=fake,
        wrong=wrong,
        answer=np.where(fake == (wrong == 0), FAKE, REAL).astype(object),
        place=np.zeros(len(wrong), dtype=np.int64),
        asked=nothing,
        shown=nothing,
        response=nothing,
        people=people or (),
    )


def _lines(path: Path) -> list[tuple[str, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            return [(f"{path} line {reader.line_num}", line) for line in reader]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise PthetaError(f"cannot read {path}: {error}") from None


def _number(place: str, line: Mapping[str, str], name: str) -> float:
    try:
        value = float(line[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PthetaError(f"{place}: {name} is {brief(line[name])!r} and not a number")
    return value


def _share(place: str, line: Mapping[str, str], name: str) -> int:
    """Wrong answers of `EACH`."""
    value = EACH * _number(place, line, name)
    if not -1e-6 < value < EACH + 1e-6 or abs(value - round(value)) > 1e-6:
        raise PthetaError(f"{place}: {name} is {line[name]} and not a share of {EACH} answers")
    return round(value)
