"""The answers of a study as `answers.csv`, read from its database while it may be served."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.study.files import STUDY_FILE, Answer, read_study, write_answers
from ptheta.study.order import Trial
from ptheta.study.plan import DATABASE

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


@dataclass(frozen=True)
class Progress:
    """How far a person is. source: that the person sees, "" for all; last: time of the last answer,
    of joining where there is none"""

    name: str
    session: str
    source: str
    language: str
    answered: int
    of: int
    last: str


def answers(folder: Path) -> list[Answer]:
    """All answers, by person and trial. Raises PthetaError where the folder is no study."""
    study = read_study(folder / STUDY_FILE)
    found, known = list[Answer](), dict[str, list[Trial]]()
    for name, session, trials, number, answer, correct, asked, shown, taken, at in _rows(
        folder, QUERY
    ):
        if session not in known:
            known[session] = [Trial(*values) for values in json.loads(trials)]
        trial = known[session][number]
        found.append(
            Answer(
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
        )
    return found


def people(folder: Path) -> list[Progress]:
    """Everyone who has joined, in that order. Raises PthetaError where the folder is no study."""
    read_study(folder / STUDY_FILE)
    return [
        Progress(name, session, source, language, answered, len(json.loads(trials)), last or joined)
        for name, session, source, language, trials, joined, answered, last in _rows(folder, PEOPLE)
    ]


def export(folder: Path, out: Path) -> int:
    """Writes answers.csv and returns the number of answers."""
    found = answers(folder)
    write_answers(out, found)
    return len(found)


def finished(folder: Path) -> int:
    """How many people have answered everything."""
    return sum(one.answered == one.of for one in people(folder))


def _rows(folder: Path, query: str) -> Iterator[tuple]:  # type: ignore[type-arg]  # of any columns
    path = folder / DATABASE
    if not path.exists():  # nobody has served it yet
        return
    try:
        with closing(sqlite3.connect(path, timeout=30)) as db:
            yield from db.execute(query).fetchall()
    except sqlite3.Error as error:
        raise PthetaError(f"cannot read {path}: {error}") from None
