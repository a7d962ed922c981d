"""A study under attack: random requests, kills, a full disk, many people."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest
from scipy import stats

from ptheta.study.export import answers
from ptheta.study.store import Desk, Store
from tests.study.sites import Visitor, make, served

pytest.importorskip("fastapi", reason="ptheta[web] is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


def test_a_job_that_fails_undoes_itself_alone_and_one_commit_serves_several(place):
    made = make(place, "rating")
    store = Store(made.folder)
    desk = Desk(store)

    def add(value: str):
        store.db.execute("INSERT INTO meta VALUES (?, 'x')", (value,))
        if value == "bad":
            raise ValueError("bad")
        return value

    async def together():
        jobs = [desk.run(partial(add, v)) for v in ("one", "bad", "two")]
        return await asyncio.gather(*jobs, return_exceptions=True)

    one, bad, two = asyncio.run(together())
    assert (one, two) == ("one", "two")
    assert isinstance(bad, ValueError)
    desk.close()
    with sqlite3.connect(made.folder / "answers.db") as db:
        names = {name for (name,) in db.execute("SELECT name FROM meta WHERE value = 'x'")}
    assert names == {"one", "two"}


def test_what_cannot_be_stored_is_not_acknowledged(place):
    """The database may not grow any more, as on a full disk; later it may again."""
    made = make(place, "rating")
    with served(made.folder) as port:
        visitor = Visitor(port)
        state = visitor.join()
        with sqlite3.connect(made.folder / "answers.db") as db:
            db.execute("BEGIN IMMEDIATE")  # who writes waits, and is refused in the end
            reply = visitor.answer(state, "3")
        assert (reply.status, reply.said["error"]) == (503, "disk")
        assert answers(made.folder) == []
        assert visitor.answer(state, "3").status == 200
    assert len(answers(made.folder)) == 1


def _odd_request(chance: random.Random, visitor: Visitor, image: str) -> tuple[str, str, object]:
    """A request that is near to one of the page, or far from it."""
    parts = [
        "",
        "api",
        "answer",
        "join",
        "open",
        "image",
        "static",
        "mask",
        "..",
        "%2e%2e",
        "%00",
        "plan.json",
        "answers.db",
        "main.js",
        image,
        "<script>",
        "'--",
        "%ff",
        "~",
        "a" * 300,
    ]
    path = "/" + "/".join(chance.choices(parts, k=chance.randint(1, 4)))
    path = chance.choice([path, "/", "/api/answer", "/api/join", "/api/open", f"/image/{image}"])
    path += chance.choice(["", "", "?token=x", "?a=" + "b" * 500])
    values: list[object] = [
        None,
        -1,
        0,
        1,
        10**30,
        1.5,
        "",
        "real",
        "<b>",
        [],
        {},
        True,
        "\ud800",
        "é" * 50,
    ]
    names = ["tab", "trial", "answer", "shown_ms", "response_ms", "name", "consent", "key", "x"]
    body: object = {name: chance.choice(values) for name in chance.sample(names, 5)}
    if chance.random() < 0.3:
        body = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
    return chance.choice(["GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"]), path, body


EXPECTED = {200, 307, 400, 401, 403, 404, 405, 409, 413, 421, 422}


def fuzz(place, n: int) -> None:
    made = make(place, "hype-infinity")
    chance, seen = random.Random(0), set[int]()
    with served(made.folder) as port:
        visitor = Visitor(port)
        state = visitor.join()
        for _ in range(n):
            method, path, body = _odd_request(chance, visitor, state["images"][0][6:])
            origin = {"origin": "http://evil.example"} if chance.random() < 0.1 else {}
            reply = visitor.ask(method, path, body, **origin)
            seen.add(reply.status)
            assert reply.status in EXPECTED, (method, path, body, reply)
            assert b"Traceback" not in reply.body
            assert b"SQLite" not in reply.body
        assert {200, 403, 404, 405, 422} <= seen
        assert visitor.open()["trial"] == 0
    assert answers(made.folder) == []


def test_random_requests_are_each_one_clear_status(place):
    fuzz(place, 150)


@pytest.mark.slow
def test_many_random_requests_are_each_one_clear_status(place):
    fuzz(place, 5000)


def test_bytes_that_are_no_request_end_their_connection_alone(place):
    made = make(place, "rating")
    chance = random.Random(0)
    with served(made.folder) as port:
        for i in range(40):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
                sent = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 2000)))
                head = b"GET / HTTP/1.1\r\n" if i % 2 else b""
                with suppress(OSError):
                    link.sendall(head + sent + b"\r\n\r\n")
                    assert link.recv(100).startswith((b"HTTP/1.1 4", b""))
        huge = "x" * 100_000
        with suppress(OSError):
            assert Visitor(port).get(f"/{huge}").status in (400, 404, 431)
        assert Visitor(port).get("/").status == 200


@pytest.mark.slow
def test_the_time_of_a_reply_does_not_tell_what_an_image_is(place):
    """2,000 requests of main images in random order: the same distribution for both kinds."""
    made = make(place, "hype-infinity", qualification=0, practice=0)
    took: dict[tuple[str, int], float] = {}
    with served(made.folder) as port:
        for person in (f"p{i}" for i in range(20)):
            visitor = Visitor(port)
            state = visitor.join(person)
            while state["step"] == "trial":
                times = [timed(visitor, f"/{state['images'][0]}") for _ in range(6)]
                took[person, state["trial"]] = statistics.median(times)
                state = visitor.answer(state, "real").said
    truth = {(row.participant, row.trial): row.truth for row in answers(made.folder)}
    real, fake = ([t for key, t in took.items() if truth[key] == k] for k in ("real", "fake"))
    assert min(len(real), len(fake)) > 100
    assert stats.mannwhitneyu(real, fake).pvalue > 1e-4


def timed(visitor: Visitor, path: str) -> float:
    """Seconds of a request."""
    start = time.perf_counter()
    assert visitor.get(path).status == 200
    return time.perf_counter() - start


@pytest.mark.slow
def test_kills_under_load_lose_no_acknowledged_answer(place):
    """As `python -m benchmarks.study_kills`, in a process without threads."""
    words = ["-m", "benchmarks.study_kills", "--kills", "20", "--out", str(place / "kills.json")]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    found = json.loads((place / "kills.json").read_text())
    assert found["faults"] == 0, found["first"]
    assert found["kills"] == 20
    assert found["acknowledged"] > 100
    assert found["awaited_at_a_kill"] > 0


@pytest.mark.slow
def test_many_people_at_once_meet_no_error(place):
    words = ["--people", "50", "--seconds", "10", "--out", str(place / "load.json")]
    command = [sys.executable, "-m", "benchmarks.study_load", *words]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((place / "load.json").read_text())
    assert (found["errors"], found["lost"]) == (0, 0), found
    assert found["acknowledged"] > 100
