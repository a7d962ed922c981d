"""The database of a study: people, their tabs and their answers, append only.

SQLite with a write-ahead log and `synchronous = FULL`: when a commit returns, the answer is on
disk. All access is by one thread (`Desk`), which commits what arrives together at once (group
commit) and only then reports any of it as done.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from ptheta.errors import PthetaError
from ptheta.study.plan import DATABASE

T = TypeVar("T")
VERSION = 1  # of the tables
MOST_TOGETHER = 256  # jobs in one commit
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, session TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE, source TEXT NOT NULL, language TEXT NOT NULL,
    trials TEXT NOT NULL, joined_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tabs (
    id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people, opened_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS tabs_of ON tabs (person);
CREATE TABLE IF NOT EXISTS answers (
    person INTEGER NOT NULL REFERENCES people, trial INTEGER NOT NULL, answer TEXT NOT NULL,
    correct INTEGER, asked_ms INTEGER, shown_ms REAL, response_ms REAL, answered_at TEXT NOT NULL,
    PRIMARY KEY (person, trial)
) WITHOUT ROWID;
"""
APPENDED = ("people", "tabs", "answers")  # no row of these is ever changed or removed
GUARD = """
CREATE TRIGGER IF NOT EXISTS {table}_{action} BEFORE {action} ON {table}
BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as stored. trials: the questions in order, as JSON; key: hash of the cookie."""

    id: int
    name: str
    session: str
    key: str
    source: str
    language: str
    trials: str
    joined_at: str


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as stored."""

    trial: int
    answer: str
    correct: bool | None
    asked_ms: int | None
    shown_ms: float | None
    response_ms: float | None
    answered_at: str


class Store:
    """The tables. Used by one thread at a time.

    Raises PthetaError where the file is no database of a study.
    """

    def __init__(self, folder: Path) -> None:
        self.path = path = folder / DATABASE
        try:
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = FULL")
            self.db.execute("PRAGMA foreign_keys = ON")
            self.db.executescript(TABLES)
            for table in APPENDED:
                for action in ("UPDATE", "DELETE"):
                    self.db.executescript(GUARD.format(table=table, action=action))
            self._setting("version", str(VERSION))
        except sqlite3.Error as error:
            raise PthetaError(f"cannot open {path}: {error}") from None

    def close(self) -> None:
        self.db.close()

    def claim(self, content: str) -> None:
        """Raises PthetaError where the answers are to another plan (`Plan.content`)."""
        if self._setting("plan", content) != content:
            raise PthetaError(
                f"{self.path} holds answers to another plan.json: restore it, or move the answers "
                "elsewhere"
            )

    def secret(self, name: str) -> str:
        """A random text that stays the same for the life of the study."""
        return self._setting(name, secrets.token_urlsafe(24))

    def _setting(self, name: str, value: str) -> str:
        self.db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def add_person(self, person: Person) -> None:
        """Raises sqlite3.IntegrityError where the name is taken."""
        self.db.execute(
            "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(person.id, person.name, person.session, person.key),
                *(person.source, person.language, person.trials, person.joined_at),
            ),
        )

    def person(self, key: str) -> Person | None:
        row = self.db.execute("SELECT * FROM people WHERE key = ?", (key,)).fetchone()
        return None if row is None else Person(*row)

    def people(self) -> Iterator[Person]:
        return (Person(*row) for row in self.db.execute("SELECT * FROM people ORDER BY id"))

    def next_person(self) -> int:
        row = self.db.execute("SELECT coalesce(max(id), 0) + 1 FROM people").fetchone()
        return int(row[0])

    def named(self, name: str) -> bool:
        """Whether someone has this name."""
        return bool(self.db.execute("SELECT 1 FROM people WHERE name = ?", (name,)).fetchone())

    def assigned(self) -> dict[str, int]:
        """Number of people of each source."""
        rows = self.db.execute("SELECT source, count(*) FROM people GROUP BY source")
        return {str(source): int(n) for source, n in rows}

    def open_tab(self, person: int, now: str) -> int:
        """The number of a new tab, which is the only one that may answer from now on."""
        made = self.db.execute("INSERT INTO tabs (person, opened_at) VALUES (?, ?)", (person, now))
        return int(made.lastrowid or 0)

    def tab(self, person: int) -> int:
        """The tab that was opened last."""
        row = self.db.execute("SELECT max(id) FROM tabs WHERE person = ?", (person,)).fetchone()
        return int(row[0] or 0)

    def add_answer(self, person: int, given: Given) -> None:
        right = None if given.correct is None else int(given.correct)
        self.db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(person, given.trial, given.answer, right, given.asked_ms),
                *(given.shown_ms, given.response_ms, given.answered_at),
            ),
        )

    def count(self, person: int) -> int:
        """How many trials are answered, and the number of the next one."""
        row = self.db.execute("SELECT count(*) FROM answers WHERE person = ?", (person,)).fetchone()
        return int(row[0])

    def answers(self, person: int) -> list[Given]:
        rows = self.db.execute(
            "SELECT trial, answer, correct, asked_ms, shown_ms, response_ms, answered_at "
            "FROM answers WHERE person = ? ORDER BY trial",
            (person,),
        )
        return [
            Given(trial, answer, None if right is None else bool(right), *times)
            for trial, answer, right, *times in rows
        ]


Job: TypeAlias = "tuple[Callable[[], object], Future[object]]"


class Desk:
    """The thread that alone works with a store. Jobs that arrive together share one commit."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self.thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        """The result of a job, once everything that it wrote is on disk."""
        done: Future[object] = Future()
        self.jobs.put((job, done))
        return cast("T", await asyncio.wrap_future(done))

    def close(self) -> None:
        """Finishes what was asked for and closes the store."""
        self.jobs.put(None)
        self.thread.join()
        self.store.close()

    def _work(self) -> None:
        while True:
            first = self.jobs.get()
            jobs = [first]
            while len(jobs) < MOST_TOGETHER and not self.jobs.empty():
                jobs.append(self.jobs.get())
            self._together([job for job in jobs if job is not None])
            if None in jobs:
                return

    def _together(self, jobs: list[Job]) -> None:
        """Runs jobs in one transaction; those that fail are undone alone."""
        if not jobs:
            return
        jobs = [(job, done) for job, done in jobs if done.set_running_or_notify_cancel()]
        db, results = self.store.db, list[tuple[Future[object], object]]()
        try:
            db.execute("BEGIN")
            for job, done in jobs:
                results.append((done, self._one(job)))
            db.execute("COMMIT")
        except Exception as error:  # the disk is full, or gone: nothing of it is acknowledged
            if db.in_transaction:
                db.execute("ROLLBACK")
            results = [(done, error) for _, done in jobs]
        for done, result in results:
            if isinstance(result, Exception):
                done.set_exception(result)
            else:
                done.set_result(result)

    def _one(self, job: Callable[[], object]) -> object:
        db = self.store.db
        db.execute("SAVEPOINT job")
        try:
            result = job()
        except Exception as error:
            db.execute("ROLLBACK TO job")
            result = error
        db.execute("RELEASE job")
        return result
