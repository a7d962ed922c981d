"""Small studies, their servers, and people who talk to them without a browser."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ptheta.study.guard import LOCAL, Doors
from ptheta.study.making import Made, Wanted, new
from ptheta.study.plan import Plan, read_plan

State = dict[str, Any]
SIDE = 24  # pixels
COUNTS: dict[str, Any] = {
    "practice": 4,
    "trials": 12,
    "attention": 2,
    "repeats": 2,
    "break_every": 6,
    "images": 12,
}
ANSWERS = {
    "hype-infinity": "real",
    "hype-time": "real",
    "2afc": "left",
    "pairs": "left",
    "rating": "3",
}


def pictures(folder: Path, n: int, seed: int, suffix: str = ".png") -> Path:
    """A folder of pictures: those of each seed have another colour."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for i in range(n):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[..., seed % 3] //= 3
        Image.fromarray(pixels).save(folder / f"{i:03}{suffix}")
    return folder


def make(place: Path, protocol: str, **options: Any) -> Made:
    """A study of two folders of generated and one of real pictures."""
    if not (place / "real").exists():
        for seed, (name, suffix) in enumerate(
            {"one": ".png", "two": ".png", "real": ".jpg"}.items()
        ):
            pictures(place / name, 40, seed, suffix)
    wanted: dict[str, Any] = {"real": str(place / "real"), **COUNTS, "repeats": 2, **options}
    truth = protocol not in ("pairs", "rating")
    given: dict[str, Any] = {"qualification": 4 if truth else 0, "least_correct": 0.0, **wanted}
    sources = [str(place / "one"), str(place / "two")]
    return new(sources, place / f"{protocol}-{secrets.token_hex(3)}", Wanted(protocol, **given))


@contextmanager
def served(folder: Path, doors: Doors | None = None) -> Iterator[int]:
    """A server in a thread; gives its port."""
    server = pytest.importorskip("ptheta.study.server", reason="ptheta[web] is not installed")
    import uvicorn

    doors = doors or Doors(mark=read_plan(folder).mark, hosts=LOCAL)
    with server._listening("127.0.0.1", 0) as listening:
        running = uvicorn.Server(server.configured(server.app_of(folder, doors)))
        thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not running.started and time.monotonic() < until:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        running.should_exit = True
        thread.join(10)


@dataclass
class Reply:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self):
        return json.loads(self.body)


@dataclass
class Visitor:
    """A browser without a page. heard: every reply, with its path"""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[tuple[str, Reply]] = field(default_factory=list)
    key: str = field(default_factory=lambda: secrets.token_hex(24))
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **self.headers, **headers}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        link.request(method, path, data, sent)
        got = link.getresponse()
        named = {k.lower(): v for k, v in got.getheaders()}
        reply = Reply(got.status, named, got.read())
        link.close()
        if "set-cookie" in named:
            name, _, value = named["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        self.heard.append((path, reply))
        return reply

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: object, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)

    def join(self, name: str = "Ana", **more: Any) -> State:
        body = {"name": name, "consent": True, "language": "en", "key": self.key, **more}
        reply = self.post("/api/join", body)
        assert reply.status == 200, reply
        return reply.said

    def open(self) -> State:
        reply = self.post("/api/open", {})
        assert reply.status == 200, reply
        return reply.said

    def answer(self, state: State, answer: str, **more: Any) -> Reply:
        body = {
            "tab": state["tab"],
            "trial": state["trial"],
            "answer": answer,
            "shown_ms": 500.0,
            "response_ms": 800.0,
            **more,
        }
        return self.post("/api/answer", body)

    def finish(self, state: State, answer: str) -> list[State]:
        """Answers everything with the same answer; the states, the last one included."""
        states = [state]
        while state["step"] == "trial":
            for image in state["images"]:
                assert self.get(f"/{image}").status == 200
            state = self.answer(state, answer).said
            states.append(state)
        return states


def truths(plan: Plan) -> dict[str, str]:
    """Source of each image."""
    return {item.id: item.source for item in plan.items}
