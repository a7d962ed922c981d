"""The answers of a study as `answers.csv`, read from its database while it may be served."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.schemas import Study
from ptheta.study.files import QUALIFICATION, STUDY_FILE, Answer, read_study, write_answers
from ptheta.study.order import Trial
from ptheta.study.plan import DATABASE

FINISHED, FAILED, UNDER_WAY = "finished", "test not passed", "under way"
QUERY = """
SELECT people.name, people.session, people.trials, answers.trial, answer, correct, asked_ms,
       shown_ms, response_ms, answered_at
FROM answers JOIN people ON people.id = answers.person ORDER BY people.id, answers.trial
"""
PEOPLE = """
SELECT people.name, people.session, people.source, people.language, people.trials, people.joined_at,
       (SELECT count(*) FROM answers WHERE person = people.id),
       (SELECT max(answered_at) FROM answers WHERE person = people.id)
FROM people ORDER BY people.id
"""
GIVEN = """
SELECT people.session, correct FROM answers JOIN people ON people.id = answers.person
ORDER BY people.id, answers.trial
"""


@dataclass(frozen=True)
class Progress:
    """How far a person is.

    source: that the person sees, "" for all
    state: `FINISHED`, `FAILED` (the qualification) or `UNDER_WAY`
    last: time of the last answer, of joining where there is none
    """

    name: str
    session: str
    source: str
    language: str
    answered: int
    of: int
    state: str
    last: str


def answers(folder: Path) -> list[Answer]:
    """All answers, by person and trial. Raises PthetaError where the folder is no study."""
    study = read_study(folder / STUDY_FILE)
    rows, known = _rows(folder, QUERY), dict[str, list[Trial]]()
    try:
        return [_answer(study, known, *row) for row in rows]
    except (PthetaError, ValueError, IndexError, TypeError) as error:
        raise PthetaError(
            f"{folder / DATABASE} does not fit {STUDY_FILE} ({error}): restore both as they were"
        ) from None


def _answer(
    study: Study,
    known: dict[str, list[Trial]],
    name: str,
    session: str,
    trials: str,
    number: int,
    answer: str,
    correct: int | None,
    asked: int | None,
    shown: float | None,
    taken: float | None,
    at: str,
) -> Answer:
    """A row of `QUERY`. known: the trials of each session"""
    if session not in known:
        known[session] = _trials(trials)
    trial = known[session][number]
    return Answer(
        study=study.name,
        protocol=study.protocol,
        participant=name,
        session=session,
        trial=number,
        phase=trial.phase,
        kind=trial.kind,
        item=trial.item,
        item_b=trial.item_b,
        source=trial.source,
        source_b=trial.source_b,
        truth=trial.truth,
        answer=answer,
        correct=None if correct is None else bool(correct),
        asked_ms=asked,
        shown_ms=None if shown is None else round(shown, 3),
        response_ms=None if taken is None else round(taken, 3),
        answered_at=at,
    )


def _trials(text: str) -> list[Trial]:
    return [Trial(*values) for values in json.loads(text)]


def people(folder: Path) -> list[Progress]:
    """Everyone who has joined, in that order. Raises PthetaError where the folder is no study."""
    rule = read_study(folder / STUDY_FILE).qualification
    least = 0.0 if rule is None else rule.least_correct
    given: dict[str, list[bool]] = {}
    for session, correct in _rows(folder, GIVEN):
        given.setdefault(session, []).append(bool(correct))
    return [
        Progress(
            *(name, session, source, language, answered, len(asked := _trials(trials))),
            _state(asked, given.get(session, []), least),
            last or joined,
        )
        for name, session, source, language, trials, joined, answered, last in _rows(folder, PEOPLE)
    ]


def _state(asked: list[Trial], right: list[bool], least: float) -> str:
    """right: whether each answer is, in the order of the questions"""
    if len(right) == len(asked):
        return FINISHED
    test = [i for i, trial in enumerate(asked) if trial.phase == QUALIFICATION]
    if test and len(right) > test[-1] and sum(right[i] for i in test) < least * len(test):
        return FAILED
    return UNDER_WAY


def export(folder: Path, out: Path) -> int:
    """Writes answers.csv and returns the number of answers."""
    found = answers(folder)
    write_answers(out, found)
    return len(found)


def finished(folder: Path) -> int:
    """How many people have answered everything."""
    return sum(one.state == FINISHED for one in people(folder))


def _rows(folder: Path, query: str) -> list[tuple]:  # type: ignore[type-arg]  # of any columns
    path = folder / DATABASE
    if not path.exists():  # nobody has served it yet
        return []
    try:
        with closing(_opened(path)) as db:
            return db.execute(query).fetchall()
    except sqlite3.Error as error:
        raise PthetaError(f"cannot read {path}: {error}") from None


def _opened(path: Path) -> sqlite3.Connection:
    """A database that is written now needs files next to it; one on a medium that cannot be written
    does not change."""
    log = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
        return sqlite3.connect(path, timeout=30)
    return sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
