"""A hub on loopback: repositories in memory, with the answers that huggingface_hub asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

NAME = r"(?P<name>[\w.-]+/[\w.-]+)"


@dataclass
class Hub:
    """repos: name -> commits, the newest last, each path -> bytes; private: those hidden from
    requests without a token; refused: status for each write; asked: requests"""

    repos: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    refused: int | None = None
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def commit(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """(its hash, files) of a branch or a commit."""
        commits = self.repos.get(name, [])
        hashes = [hash_of(name, i) for i in range(len(commits))]
        if revision == "main" and commits:
            return hashes[-1], commits[-1]
        found = next((i for i, known in enumerate(hashes) if known == revision), None)
        return None if found is None else (hashes[found], commits[found])


def hash_of(name: str, number: int) -> str:
    return hashlib.sha1(f"{name} {number}".encode(), usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(
        self, body: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def missing(self, code: str = "RepoNotFound") -> None:
        self.answer({"error": code}, 404, {"X-Error-Code": code})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    def do_GET(self) -> None:
        path = self.note()
        if found := re.fullmatch(rf"/api/models/{NAME}(/(revision|tree)/(?P<rev>[^/]+))?", path):
            self._about(found["name"], found["rev"] or "main", "/tree/" in path)
        elif found := re.fullmatch(rf"/{NAME}/resolve/(?P<rev>[^/]+)/(?P<file>.+)", path):
            self._file(found["name"], found["rev"], found["file"])
        else:
            self.missing("EntryNotFound")

    do_HEAD = do_GET

    def _seen(self, name: str) -> bool:
        return name not in self.hub.private or "Authorization" in self.headers

    def _about(self, name: str, revision: str, tree: bool) -> None:
        found = self.hub.commit(name, revision) if self._seen(name) else None
        if found is None:
            known = name in self.hub.repos and self._seen(name)
            self.missing("RevisionNotFound" if known else "RepoNotFound")
            return
        sha, files = found
        if tree:
            self.answer(
                [
                    {"type": "file", "path": p, "size": len(d), "oid": sha256(d)[:40]}
                    for p, d in files.items()
                ]
            )
            return
        siblings = [{"rfilename": path} for path in files]
        self.answer(
            {
                "id": name,
                "modelId": name,
                "sha": sha,
                "siblings": siblings,
                "private": name in self.hub.private,
            }
        )

    def _file(self, name: str, revision: str, path: str) -> None:
        found = self.hub.commit(name, revision) if self._seen(name) else None
        if found is None or path not in found[1]:
            self.missing("RepoNotFound" if found is None else "EntryNotFound")
            return
        data = found[1][path]
        self.answer(data, 200, {"ETag": f'"{sha256(data)}"', "X-Repo-Commit": found[0]})

    def do_POST(self) -> None:
        path, body = self.note(), self.body()
        if self.hub.refused is not None:
            self.answer({"error": "no"}, self.hub.refused)
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization')}/{asked['name']}"
            self.hub.repos.setdefault(name, [])
            if asked.get("private") or asked.get("visibility") == "private":
                self.hub.private.add(name)
            self.answer({"url": f"{self.hub.address}/{name}"})
        elif re.fullmatch(rf"/api/models/{NAME}/preupload/.+", path):
            files = [f["path"] for f in json.loads(body)["files"]]
            modes = [{"path": f, "uploadMode": "regular", "shouldIgnore": False} for f in files]
            self.answer({"files": modes})
        elif found := re.fullmatch(rf"/api/models/{NAME}/commit/.+", path):
            self._commit(found["name"], body)
        else:
            self.answer({})

    def _commit(self, name: str, body: bytes) -> None:
        before = self.hub.repos[name]
        files = dict(before[-1]) if before else {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
        before.append(files)
        oid = hash_of(name, len(before) - 1)
        self.answer({"commitUrl": f"{self.hub.address}/{name}/commit/{oid}", "commitOid": oid})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers until the end of the context."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
