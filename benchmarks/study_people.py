"""People who take part in a study without a browser: many at once, over plain sockets.

What `benchmarks.study_load` and `benchmarks.study_kills` have in common.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from ptheta.study.making import Wanted, new

State = dict[str, Any]
CHOICES = ("real", "fake")
PATIENCE = 20.0  # seconds


class Lost(Exception):
    """The connection broke, or nothing was answered in time."""


class Odd(Exception):
    """The server answered with a status that no page of a participant leads to."""


def study(place: Path, trials: int, size: int, protocol: str = "hype-infinity") -> Path:
    """A study of smooth noise, made with the folders of its images."""
    random = np.random.default_rng(0)
    for name in ("real", "one"):
        folder = place / name
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(trials // 2 + 20):
            grain = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(grain).resize((size, size)).save(folder / f"{i}.png")
    wanted = Wanted(
        protocol=protocol,
        real=str(place / "real"),
        trials=trials,
        practice=2,
        qualification=0,
        attention=0,
        repeats=0,
    )
    return new([str(place / "one")], place / "study", wanted).folder


@dataclass
class Line:
    """A connection that is kept open. took: seconds of each request, by path"""

    port: int
    took: dict[str, list[float]] = field(default_factory=dict)
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> bytes:
        """The body of the reply. Raises Lost, or Odd for another status than 200."""
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n"
            f"cookie: {key}\r\n\r\n"
        )
        start = time.perf_counter()
        try:
            status, reply = await asyncio.wait_for(self._talk(head.encode() + data), PATIENCE)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise Lost(str(error)) from None
        kind = "/image" if path.startswith("/image") else path
        self.took.setdefault(kind, []).append(time.perf_counter() - start)
        if status != 200:
            raise Odd(f"{method} {path}: status {status}: {reply[:200]!r}")
        return reply

    async def _talk(self, sent: bytes) -> tuple[int, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(sent)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        return int(head.split(" ", 2)[1]), await reader.readexactly(int(size.split(":")[1]))

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


@dataclass
class Someone:
    """A person who answers at random. stored: acknowledged answers by trial; sent: the request
    whose reply is awaited"""

    name: str
    mark: str
    random: Random
    state: State | None = None
    stored: dict[int, str] = field(default_factory=dict)
    sent: State | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(24))

    @property
    def done(self) -> bool:
        return self.state is not None and self.state["step"] != "trial"

    async def go_on(self, line: Line, pause: Callable[[], float]) -> None:
        """Takes part until the end of the study."""
        cookie = f"ptheta-person-{self.mark}={self.key}"
        while not self.done:
            if self.state is None:
                body = {"name": self.name, "consent": True, "language": "en", "key": self.key}
                self.state = json.loads(await line.ask("POST", "/api/join", body))
            if self.sent is None:
                for image in self.state["images"]:
                    await line.ask("GET", f"/{image}", key=cookie)
                await asyncio.sleep(pause())
                self.sent = {
                    "tab": self.state["tab"],
                    "trial": self.state["trial"],
                    "answer": self.random.choice(CHOICES),
                    "shown_ms": 500.0,
                    "response_ms": 700.0,
                }
            reply = json.loads(await line.ask("POST", "/api/answer", self.sent, cookie))
            self.stored[self.sent["trial"]] = self.sent["answer"]
            self.state, self.sent = reply, None
