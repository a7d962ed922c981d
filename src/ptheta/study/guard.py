"""What stands in front of the pages: base path, size of bodies, origins, the token, headers.

A plain ASGI application around another one. Every refusal is one status with one line of JSON, or
a short page where a person reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

Message: TypeAlias = MutableMapping[str, Any]  # of ASGI, which types it so
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 8192  # bytes of a request
LOCAL = ("localhost", "127.0.0.1", "[::1]")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
YEAR = 31_536_000  # seconds
TOO_LARGE = f"a request has at most {MOST_BODY} bytes"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Doors:
    """Who may come in.

    Args:
        base: Path below which the study lies behind a reverse proxy, such as `/study`, or "".
        token: What the first address must hold; None where anyone on this machine may come in.
        hosts: Names by which the server may be called; none: by any.
        origin: Where the pages are seen from outside, such as `https://example.org`, or "".
        mark: Part of the names of cookies.
    """

    base: str = ""
    token: str | None = None
    hosts: tuple[str, ...] = field(default=LOCAL)
    origin: str = ""
    mark: str = ""

    @property
    def entered(self) -> str:
        """Name of the cookie of a browser that came with the token."""
        return f"ptheta-entered-{self.mark}"

    @property
    def joined(self) -> str:
        """Name of the cookie of a person."""
        return f"ptheta-person-{self.mark}"

    @property
    def secure(self) -> bool:
        """Whether cookies are for https only."""
        return self.origin.startswith("https://")


class Guard:
    """Lets a request through to `app`, or answers it."""

    def __init__(self, app: App, doors: Doors) -> None:
        self.app, self.doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        head = _head(scope)
        path = self._below(scope["path"])
        answer = _Answer(send)
        refusal = self._refusal(scope, head, path)
        if refusal is not None:
            await answer.refuse(*refusal)
            return
        if self.doors.token is not None and not self._passed(head):
            await self._at_the_door(scope, path, answer)
            return
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        body = _Limited(receive)
        await self.app(inner, body, answer.unless(body))

    def _below(self, path: str) -> str:
        """The path within the study: a proxy may or may not have removed the base path."""
        base = self.doors.base
        if base and (path == base or path.startswith(f"{base}/")):
            return path[len(base) :] or "/"
        return path

    def _refusal(self, scope: Scope, head: dict[str, str], path: str) -> tuple[int, str] | None:
        if _number(head.get("content-length", "0")) > MOST_BODY:
            return 413, TOO_LARGE
        if self.doors.hosts and _host(head.get("host", "")) not in self.doors.hosts:
            return 421, "this server is not called by this name"
        if "\0" in path or ".." in path.split("/"):
            return 404, "no such page"
        if scope["method"] in UNSAFE and not self._own(head):
            return 403, "a request from the page of another site"
        return None

    def _own(self, head: dict[str, str]) -> bool:
        """Whether a request comes from a page of this server, or from no page."""
        site, origin = head.get("sec-fetch-site"), head.get("origin")
        if site is not None and site not in ("same-origin", "none"):
            return False
        if origin is None:
            return True
        if self.doors.origin and origin == self.doors.origin:
            return True
        return origin != "null" and urlsplit(origin).netloc == head.get("host")

    def _passed(self, head: dict[str, str]) -> bool:
        return _same(cookie(head.get("cookie", ""), self.doors.entered), self._pass())

    def _pass(self) -> str:
        """What the cookie holds: not the token itself."""
        return hashlib.sha256(f"pass/{self.doors.token}".encode()).hexdigest()

    async def _at_the_door(self, scope: Scope, path: str, answer: _Answer) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if path != "/" or not _same(query.get("token", [""])[0], self.doors.token or ""):
            await answer.refuse(403, "open the study by the link that you were given")
            return
        secure = "; Secure" if self.doors.secure else ""
        home = f"{self.doors.base}/"
        kept = f"{self.doors.entered}={self._pass()}; Path={home}; Max-Age={YEAR}; HttpOnly; "
        where = {"set-cookie": f"{kept}SameSite=Lax{secure}", "location": home}
        await answer.send(303, b"", where)


class _Answer:
    """Sends an answer with the headers of every answer. Called as ASGI's `send`."""

    def __init__(self, to: Send) -> None:
        self.to = to

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in there]
            message = {**message, "headers": [*message["headers"], *more]}
        await self.to(message)

    def unless(self, body: _Limited) -> Send:
        """The same, but that whatever is answered to a body that was too large says so."""
        begun = False

        async def send(message: Message) -> None:
            nonlocal begun
            if not body.over:
                await self(message)
            elif not begun:
                begun = True
                await self.refuse(413, TOO_LARGE)

        return send

    async def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        named = {"content-length": str(len(body)), **headers}
        head = [(k.encode(), v.encode("latin-1")) for k, v in named.items()]
        await self({"type": "http.response.start", "status": status, "headers": head})
        await self({"type": "http.response.body", "body": body})

    async def refuse(self, status: int, text: str) -> None:
        """The rest of the request is not read: the connection ends."""
        body = json.dumps({"error": "refused", "text": text}).encode()
        await self.send(status, body, {"content-type": "application/json", "connection": "close"})


class _Limited:
    """ASGI's `receive` with an end to how much is read. over: whether there was more"""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.size, self.over = receive, 0, False

    async def __call__(self) -> Message:
        message = await self.receive()
        self.size += len(message.get("body", b""))
        if self.size > MOST_BODY:
            self.over = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return message


def cookie(header: str, name: str) -> str:
    """One cookie of a request; "" where there is none. Those of other programs on this host may be
    of any form."""
    pairs = (part.partition("=") for part in header.split(";"))
    return next((value.strip().strip('"') for key, _, value in pairs if key.strip() == name), "")


def _head(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


def _host(header: str) -> str:
    """The host of a Host header without its port."""
    return header.rsplit(":", 1)[0].lower() if not header.endswith("]") else header.lower()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else MOST_BODY + 1


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
