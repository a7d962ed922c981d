"""The two files of a study: `answers.csv`, one line for each answer, and `study.json`.

They are the interface between what collects answers and what analyses them. Other programs may
write them, too. Importing this module imports neither torch nor a web library.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ptheta.config import brief
from ptheta.errors import PthetaError, nearest
from ptheta.files.atomic import check_file, read_json, there, write_atomic, write_json
from ptheta.schemas import Study, parse

HYPE_INFINITY, HYPE_TIME, TWO_AFC, PAIRS, RATING = (
    "hype-infinity",
    "hype-time",
    "2afc",
    "pairs",
    "rating",
)
PROTOCOLS = (HYPE_INFINITY, HYPE_TIME, TWO_AFC, PAIRS, RATING)
TUTORIAL, PRACTICE, QUALIFICATION, MAIN = "tutorial", "practice", "qualification", "main"
PHASES = (TUTORIAL, PRACTICE, QUALIFICATION, MAIN)
NORMAL, ATTENTION, REPEAT = "normal", "attention", "repeat"
KINDS = (NORMAL, ATTENTION, REPEAT)
REAL, FAKE, LEFT, RIGHT = "real", "fake", "left", "right"  # REAL names the reference, too
RATINGS = ("1", "2", "3", "4", "5")
ANSWERS = {  # what a person can answer
    HYPE_INFINITY: (REAL, FAKE),
    HYPE_TIME: (REAL, FAKE),
    TWO_AFC: (LEFT, RIGHT),
    PAIRS: (LEFT, RIGHT),
    RATING: RATINGS,
}
TWO_IMAGES = (TWO_AFC, PAIRS)  # protocols whose questions show two
ANSWERS_FILE, STUDY_FILE = "answers.csv", "study.json"
CORRECT = {"": None, "1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
TIMES = ("asked_ms", "shown_ms", "response_ms")
LONGEST = 1000  # characters of a text


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one person: a line of `answers.csv`. Its fields, in order, are the columns.

    Args:
        study: Name of the study.
        protocol: Which question was asked, one of `PROTOCOLS`.
        participant: Code or nickname of the person.
        session: Code of the session; a person who comes back may have several.
        trial: Number of the trial in the session, from 0, over all phases.
        phase: One of `PHASES`. Results are computed from `main`.
        kind: One of `KINDS`: `attention` is a question with an obvious answer, `repeat` shows the
            images of an earlier question of the session again.
        item: Opaque id of the image, for two images of the left one.
        item_b: Opaque id of the right image; empty where one is shown.
        source: Name of the source of `item`; `real` is the reference.
        source_b: Name of the source of `item_b`; empty where one image is shown.
        truth: The right answer: real or fake, or where the real image was, left or right. Empty
            where no answer is right.
        answer: What the person answered, one of `ANSWERS[protocol]`.
        correct: Whether the answer was right; None where no answer is.
        asked_ms: Exposure asked for in milliseconds; None: unlimited.
        shown_ms: Exposure measured in the browser in milliseconds; None: not measured.
        response_ms: Time from the image to the answer in milliseconds; None: not measured.
        answered_at: Time of the server, ISO 8601 in UTC.
    """

    study: str
    protocol: str
    participant: str
    session: str
    trial: int
    phase: str
    kind: str
    item: str
    item_b: str
    source: str
    source_b: str
    truth: str
    answer: str
    correct: bool | None
    asked_ms: float | None
    shown_ms: float | None
    response_ms: float | None
    answered_at: str

    def __post_init__(self) -> None:
        """Raises PthetaError for the first value that cannot be."""
        _among("protocol", self.protocol, PROTOCOLS)
        _among("phase", self.phase, PHASES)
        _among("kind", self.kind, KINDS)
        _among("answer", self.answer, ANSWERS[self.protocol])
        _check_truth(self)
        for name, text in (("study", self.study), ("participant", self.participant)):
            _check_text(name, text)
        _check_text("session", self.session, empty=True)
        for name, text in (("item", self.item), ("source", self.source)):
            _check_text(name, text)
        _check_second(self)
        _check_real(self)

    def row(self) -> list[str]:
        """The cells of its line, in the order of `COLUMNS`."""
        return [_cell(value) for value in asdict(self).values()]


COLUMNS = tuple(field.name for field in fields(Answer))
TEXTS = tuple(field.name for field in fields(Answer) if field.type == "str")


def read_study(path: Path) -> Study:
    """Raises PthetaError, one line, where `path` is no such file."""
    if not there(path):
        raise PthetaError(f"no file {path}: give the {STUDY_FILE} of a study, or its folder")
    study = parse(Study, read_json(path), path, "correct the file, or export the study again")
    names = [source.name for source in study.sources]
    for name in names:
        if names.count(name) > 1:
            raise PthetaError(f"{path}: sources: two are named {name!r}; rename one of them")
    return study


def write_study(path: Path, study: Study) -> None:
    """Atomically. Raises CannotWrite."""
    write_json(path, study.model_dump(mode="json"))


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Writes `answers.csv` atomically, in UTF-8 with a header. Raises CannotWrite."""

    def write(temp: Path) -> None:
        with temp.open("w", encoding="utf-8", newline="") as file:
            dump_answers(file, answers)

    write_atomic(path, write)


def dump_answers(file: TextIO, answers: Iterable[Answer]) -> None:
    """The same into an open text file, line by line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(answer.row() for answer in answers)


def read_answers(path: Path) -> list[Answer]:
    """The answers in the order of the file. Columns other than `COLUMNS` are ignored.

    As other programs write tables: cells may be separated by semicolons or tabs, lines may end in
    CR LF, there may be a byte order mark, `correct` may be 1.0 or True, and between semicolons a
    comma may be the decimal sign.

    Raises PthetaError, one line that names the file and the line in it, where it is not such a
    file, a value cannot be, or one trial of a session is answered twice.
    """
    if not there(path):
        raise PthetaError(f"no file {path}: give the {ANSWERS_FILE} of a study, or its folder")
    check_file(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PthetaError(f"{path} is not in UTF-8: save it as CSV in UTF-8") from None
    return list(_parsed(path, text))


def _parsed(path: Path, text: str) -> Iterator[Answer]:
    between = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=between)
    seen: dict[tuple[str | int, ...], int] = {}
    try:
        header = next(reader, [])
        places = _places(path, header)
        timed = {places[name] for name in TIMES}
        for cells in reader:
            if not any(cells):
                continue
            if between == ";":
                cells = [_decimal(c) if i in timed else c for i, c in enumerate(cells)]
            answer = _answer(f"{path} line {reader.line_num}", cells, places, len(header))
            key = (answer.study, answer.participant, answer.session, answer.trial)
            if key in seen:
                raise PthetaError(
                    f"{path} line {reader.line_num}: trial {answer.trial} of session "
                    f"{answer.session!r} is also answered in line {seen[key]}; keep one of them"
                )
            seen[key] = reader.line_num
            yield answer
    except csv.Error as error:
        raise PthetaError(f"{path} line {reader.line_num}: {error}; correct the line") from None


def _delimiter(text: str) -> str:
    """What separates the cells of the header."""
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)


def _decimal(cell: str) -> str:
    """A cell; one like 412,5 is a number with another decimal sign."""
    return cell.replace(",", ".") if re.fullmatch(r"\d+,\d+", cell, re.ASCII) else cell


def _places(path: Path, header: list[str]) -> dict[str, int]:
    """Where each column stands."""
    for name in COLUMNS:
        if name not in header:
            near = nearest(name, set(header) - set(COLUMNS))
            found = f"; is {near!r} meant?" if near else ""
            raise PthetaError(f"{path} has no column {name!r}{found or ': add it to the header'}")
        if header.count(name) > 1:
            raise PthetaError(f"{path} has two columns {name!r}; remove one")
    return {name: header.index(name) for name in COLUMNS}


def _answer(place: str, cells: list[str], places: dict[str, int], width: int) -> Answer:
    if len(cells) != width:
        raise PthetaError(f"{place} has {len(cells)} values for {width} columns; correct the line")
    given = {name: cells[i] for name, i in places.items()}
    try:
        return Answer(
            **{name: given[name] for name in TEXTS},
            trial=_trial(given["trial"]),
            correct=_correct(given["correct"]),
            asked_ms=_time("asked_ms", given["asked_ms"]),
            shown_ms=_time("shown_ms", given["shown_ms"]),
            response_ms=_time("response_ms", given["response_ms"]),
        )
    except PthetaError as error:
        raise PthetaError(f"{place}: {error}; correct the line") from None


def _among(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise PthetaError(f"{name} is {brief(value)!r} and not one of {', '.join(known)}")


def _check_text(name: str, text: str, empty: bool = False) -> None:
    """A text stands on one line of the file. empty: whether it may be"""
    if not text and not empty:
        raise PthetaError(f"{name} is empty")
    if len(text) > LONGEST:
        raise PthetaError(f"{name} is longer than {LONGEST:,} characters")
    if not text.isprintable():
        raise PthetaError(f"{name} is {text!a}, with characters that are not printable")


def _check_second(answer: Answer) -> None:
    """There is a second image in questions that show two, and in no other."""
    two = answer.protocol in TWO_IMAGES
    for name, text in (("item_b", answer.item_b), ("source_b", answer.source_b)):
        _check_text(name, text, empty=True)
        if bool(text) != two:
            state = f"is {brief(text)!r}" if text else "is empty"
            shown = "two images are" if two else "one image is"
            raise PthetaError(f"{name} {state}, and {shown} shown in {answer.protocol}")


def _check_real(answer: Answer) -> None:
    """The reference is not the source of an image that is said to be generated."""
    if answer.protocol == TWO_AFC:
        real, fake = answer.source, answer.source_b
        if answer.truth == RIGHT:
            real, fake = fake, real
        contradicts = fake == REAL != real
    else:
        contradicts = answer.truth == FAKE and answer.source == REAL
    if contradicts:
        raise PthetaError(
            f"truth is {answer.truth!r}, and the source of the generated image is {REAL!r}"
        )


def _check_truth(answer: Answer) -> None:
    """Truth, answer and `correct` must agree."""
    if answer.truth:
        _among("truth", answer.truth, ANSWERS[answer.protocol])
        if answer.correct is not (answer.truth == answer.answer):
            raise PthetaError(
                f"correct is {_cell(answer.correct)!r}, and the answer is {answer.answer!r} where "
                f"the truth is {answer.truth!r}"
            )
    elif answer.protocol in (HYPE_INFINITY, HYPE_TIME, TWO_AFC):
        raise PthetaError(f"truth is empty, and {answer.protocol} has right answers")
    try:
        datetime.fromisoformat(answer.answered_at)
    except ValueError:
        raise PthetaError(
            f"answered_at is {brief(answer.answered_at)!r} and not a time such as "
            "2025-03-14T09:26:53Z"
        ) from None


def _trial(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}(\.0+)?", text, re.ASCII):
        raise PthetaError(f"trial is {brief(text)!r} and not a whole number from 0")
    return int(text.partition(".")[0])


def _correct(text: str) -> bool | None:
    value = CORRECT.get(text.lower(), text)
    if isinstance(value, str):
        raise PthetaError(f"correct is {brief(text)!r} and not 1, 0 or empty")
    return value


def _time(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise PthetaError(f"{name} is {brief(text)!r} and not a number of milliseconds from 0")
    return value


def _cell(value: str | int | float | bool | None) -> str:
    """A value as it is written; reading it gives the same value."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
