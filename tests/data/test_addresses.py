"""Shards at an address: fetched once, checked, kept within a limit; a bad server is one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
from click.testing import CliRunner

import ptheta
from ptheta.cli.commands import cli
from ptheta.data.shards import remote
from ptheta.errors import PthetaError
from tests.data.makers import noise

X, Y = noise(90, 8, 8), np.arange(90) % 3


class Server(ThreadingHTTPServer):
    """Serves a folder, with a fault in the first `times` answers for files of a name.

    asked: how often each file was asked for
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, Counter[str]()
        self.fault: Callable[[Handler], None] | None = None
        self.named, self.times = "", 0
        self.choose: Callable[[], Callable[[Handler], None] | None] = lambda: None
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """A client that has gone."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/s"

    def spoil(self, fault: Callable[[Handler], None], named: str, times: int) -> None:
        self.fault, self.named, self.times = fault, named, times


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def __init__(self, request, client, server: Server) -> None:
        super().__init__(request, client, server, directory=str(server.folder))

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked[name] += 1
        if self.server.fault is not None and self.server.named in name and self.server.times > 0:
            self.server.times -= 1
            self.server.fault(self)
        elif (fault := self.server.choose()) is not None:
            fault(self)
        else:
            super().do_GET()

    @property
    def content(self) -> bytes:
        return (self.server.folder / self.path.lstrip("/")).read_bytes()


def stall(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(handler.content)))
    handler.end_headers()
    handler.wfile.write(handler.content[:100])
    handler.wfile.flush()
    time.sleep(1.5)


def truncate(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(handler.content)))
    handler.end_headers()
    handler.wfile.write(handler.content[:100])
    handler.close_connection = True


def shorten(handler: Handler) -> None:
    """Cut off, and the length says nothing of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(handler.content[:100])


def spoil(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(handler.content)))
    handler.end_headers()
    handler.wfile.write(bytes(len(handler.content)))


def fail(handler: Handler) -> None:
    handler.send_error(500)


def overload(handler: Handler) -> None:
    handler.send_error(503)


def forbid(handler: Handler) -> None:
    handler.send_error(403)


FAULTS = (stall, truncate, shorten, spoil, fail, overload)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    return ptheta.pack((X, Y), tmp_path_factory.mktemp("w") / "s", images_per_shard=5).folder.parent


@contextmanager
def start(made: Server) -> Iterator[Server]:
    """Context in which the server answers."""
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


@pytest.fixture
def server(packed, tmp_path, monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "STALL", 0.3)
    monkeypatch.setattr(remote, "WAIT", 0.01)
    monkeypatch.setattr(remote, "_said", set())
    with start(Server(packed)) as made:
        yield made


def cached(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "cache" / "shards").iterdir() if p.suffix != ".lock"]


def whole(data: ptheta.ImageDataset) -> np.ndarray:
    return np.asarray(data.images[np.arange(len(data))])


def test_an_address_is_read_as_its_folder_and_fetched_once(server, packed, tmp_path):
    local = ptheta.open_images(packed / "s")
    for _ in range(2):
        data = ptheta.open_images(server.address)
        assert np.array_equal(whole(data), whole(local))
        assert data.fingerprint() == local.fingerprint()
    assert set(server.asked.values()) == {1, 2}
    assert server.asked["index.json"] == 2
    assert ptheta.open_images(server.address + "/", "test").classes == local.classes


def test_a_file_system_in_memory(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("PTHETA_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").put(str(packed / "s"), "/copied", recursive=True)
    data = ptheta.open_images("memory://copied")
    assert np.array_equal(whole(data), whole(ptheta.open_images(packed / "s")))
    fsspec.filesystem("memory").rm("/copied", recursive=True)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("named", ["index.json", ".tar"])
def test_a_fault_that_passes_changes_nothing_and_is_said(server, packed, fault, named):
    server.spoil(fault, named, 1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = ptheta.open_images(server.address)
        assert np.array_equal(whole(data), whole(ptheta.open_images(packed / "s")))
    damaged = named == "index.json" and fault in (shorten, spoil)  # asked for again at once
    assert len(said) == (0 if damaged else 1)
    for each in said:
        assert f"cannot fetch a file of {server.address} yet" in str(each.message)
    assert server.times == 0


@pytest.mark.slow
def test_faults_are_said_once_by_several_processes(server, tmp_path):
    """Each of them asks for the index, in vain at first; they have the same to say."""
    server.spoil(overload, "index.json", 4)
    words = ["train", "vae", "--data", server.address, "--out", str(tmp_path / "r")]
    words += ["--steps", "2", "--batch-size", "4", "--processes", "2", "--evaluate-every", "0"]
    env = {**os.environ, "PTHETA_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "ptheta.cli", *words], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (line,) = [
        line for line in done.stderr.splitlines() if server.address in line and "yet" in line
    ]
    assert line == (
        f"ptheta: warning: cannot fetch a file of {server.address} yet (HTTP status 503): trying 4 "
        "more times within 7.5 s of waiting, each until no byte has come for 30 s; later faults "
        "are told only if they stay"
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_one_line(server, fault, monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    data = ptheta.open_images(server.address)
    server.spoil(fault, ".tar", 10**9)
    began = time.monotonic()
    with pytest.raises(
        PthetaError, match=r"cannot fetch http.*/train-.*\.tar: .*2 times"
    ) as caught:
        data.batch(range(3))
    assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)
    server.fault = None
    assert len(whole(data)) == len(data)  # once the server is well
    assert not [p for p in cached(tmp_path) if p.name.startswith(".")]


def test_what_will_not_change_is_not_asked_again(server):
    with pytest.raises(PthetaError, match="does not exist: give the address of a set of shards"):
        ptheta.open_images(server.address + "x")
    assert server.asked["index.json"] == 1
    server.spoil(forbid, "index.json", 10**9)
    with pytest.raises(PthetaError, match="HTTP status 403; check the address"):
        ptheta.open_images(server.address)
    assert server.asked["index.json"] == 2


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr(remote, "WAIT", 0.0)
    out = CliRunner().invoke(cli, ["data", "http://127.0.0.1:9/s"])
    assert isinstance(out.exception, PthetaError)
    assert "cannot fetch http://127.0.0.1:9/s/index.json" in str(out.exception)


def test_a_package_that_is_missing_is_named(monkeypatch):
    with pytest.raises(PthetaError, match=r"s3://b/x needs a package: pip install 's3fs'"):
        ptheta.open_images("s3://b/x")
    with pytest.raises(PthetaError, match=r"gs://b/x needs a package: pip install 'gcsfs'"):
        ptheta.open_images("gs://b/x")
    with pytest.raises(PthetaError, match="fsspec cannot open nothing://"):
        ptheta.open_images("nothing://b/x")


def test_the_cache_keeps_within_its_limit(server, packed, monkeypatch, tmp_path):
    data = ptheta.open_images(server.address)
    size = (packed / "s" / "train-000000.tar").stat().st_size
    monkeypatch.setenv("PTHETA_CACHE_LIMIT", str(4 * size))
    for row in range(len(data)):
        data.batch([row])
        assert sum(p.stat().st_size for p in cached(tmp_path)) <= 4 * size
    with pytest.raises(PthetaError, match=r"shards are read at a time.*PTHETA_CACHE_LIMIT to more"):
        ptheta.open_images(server.address)
    monkeypatch.setenv("PTHETA_CACHE_LIMIT", "much")
    with pytest.raises(PthetaError, match="PTHETA_CACHE_LIMIT=much: want a size such as 20G"):
        ptheta.open_images(server.address)


def test_the_file_used_least_recently_makes_room(tmp_path, monkeypatch):
    monkeypatch.setenv("PTHETA_CACHE_LIMIT", "3K")
    for i, name in enumerate("abc"):
        (tmp_path / f"{name}.tar").write_bytes(bytes(1024))
        os.utime(tmp_path / f"{name}.tar", (i, i))
    assert remote._touched(tmp_path / "a.tar")
    remote.make_room(tmp_path, 1024)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "c.tar"]


def test_several_processes_fetch_a_file_once(server, packed):
    stores = [remote.RemoteStore(server.address) for _ in range(8)]
    entry = stores[0].index().splits["train"].shards[0]
    threads = [threading.Thread(target=store.path, args=(entry,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked[entry.name] == 1


def test_training_from_an_address_is_training_from_its_folder(server, packed, tmp_path):
    runs = [
        ptheta.train("vae", place, tmp_path / name, steps=30, hidden=(8,), latent=2, batch_size=16)
        for name, place in (("a", server.address), ("b", str(packed / "s")))
    ]
    assert runs[0].weights_file().read_bytes() == runs[1].weights_file().read_bytes()
    assert runs[0].look(str(packed / "s")).kind == "same"
    assert runs[0].look().kind == "same"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://me:SECRET@127.0.0.1:9/s", r"^http://127.0.0.1:9/s was given with the name"),
        ("http://SECRET@127.0.0.1:9/s", r"^http://127.0.0.1:9/s was given with the name"),
        ("s3://key:SECRET@bucket/s", r"^s3://bucket/s was given with the name"),
        ("http://127.0.0.1:9/s?sig=SECRET", r"^http://127.0.0.1:9/s was given with a \? or #"),
        ("http://127.0.0.1:9/s\nb", "one line of printable characters"),
        ("reference://x", "fsspec cannot open reference://"),
    ],
)
def test_what_must_not_be_stored_is_refused_and_not_said(address, text):
    with pytest.raises(PthetaError, match=text) as caught:
        ptheta.open_images(address)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_at_sign_in_a_path_is_no_password():
    for address in ("http://h/a//b@c", "abfs://container@account/s", "http://h/a%3Fb"):
        assert remote.checked(address) == address


def test_a_password_is_read_from_netrc(server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(remote, "_systems", {})
    seen: list[str | None] = []

    def refuse(handler: Handler) -> None:
        seen.append(handler.headers["Authorization"])
        handler.send_error(403)

    server.choose = lambda: refuse
    with pytest.raises(PthetaError, match="403"):
        ptheta.open_images(server.address)
    assert seen == ["Basic bWU6c2VjcmV0"]


def test_an_index_without_end_is_not_kept_in_memory(server, monkeypatch):
    monkeypatch.setattr(remote, "MOST_INDEX", 100)
    with pytest.raises(PthetaError, match="has more than 100 bytes: check the address"):
        ptheta.open_images(server.address)
