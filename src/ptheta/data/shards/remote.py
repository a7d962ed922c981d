"""Shards at an address: fetched whole into a bounded cache, by fsspec.

A file is cached under its SHA-256, so that it is never stale, is shared by all runs and processes
of a machine, and is checked when it arrives. The files that were used least recently make room.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock

from ptheta.compute.background import background
from ptheta.config import brief
from ptheta.data.cache import CURE as FREE
from ptheta.data.cache import cache_folder
from ptheta.data.names import shown
from ptheta.data.shards.index import INDEX, Damaged, Entry, Index
from ptheta.data.shards.store import Store
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, remove, temporary, tidy, writing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.", re.DOTALL)
USER = re.compile(r"^([^/]*//)([^/]*)@")  # of a server: a name, perhaps with a password
FOLDER = "shards"  # in the cache
LIMIT = "PTHETA_CACHE_LIMIT"  # environment variable: most bytes of shards in the cache
USUAL_LIMIT = 50 * 2**30
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
ATTEMPTS = 5  # times that a file is asked for
WAIT = 0.5  # seconds before the second attempt; twice as long before each further one
MOST_INDEX = 2**28  # bytes of an index
STALL = 30.0  # seconds without a byte after which an attempt has failed
FETCHERS = 4  # files fetched at the same time in the background
# packages of fsspec's file systems that do not come with it
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}
WEB = ("http", "https")
HERE = ("memory", "file", "local")  # file systems that need no package besides fsspec


def is_address(source: object) -> bool:
    """Whether a source is an address, such as https://host/shards."""
    return isinstance(source, str) and ADDRESS.match(source) is not None


def is_here(source: str) -> bool:
    """Whether a source is the address of a place on this machine."""
    return is_address(source) and source.partition("://")[0].lower() in HERE


def limit() -> int:
    """Most bytes of shards in the cache. Raises PthetaError for an invalid $PTHETA_CACHE_LIMIT."""
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return USUAL_LIMIT
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)B?", text.upper())
    if found is None:
        raise PthetaError(f"{LIMIT}={brief(text)}: want a size such as 20G")
    return int(found[1]) * UNITS[found[2]]


def checked(address: str) -> str:
    """An address that may be printed and stored in runs.

    Raises PthetaError for one with a password, a query or characters that are not printable.
    """
    web = address.partition("://")[0].lower() in WEB
    plain = re.sub(r"[?#].*", "", USER.sub(r"\1", address, count=1), flags=re.DOTALL)
    user = USER.match(address)
    if user is not None and (web or ":" in user[2]):
        raise PthetaError(
            f"{brief(plain)} was given with the name or password of a user, which would be stored "
            "in runs: write them to ~/.netrc or to the settings of fsspec"
        )
    if web and plain != address:
        raise PthetaError(
            f"{brief(plain)} was given with a ? or #, and the files of a folder are fetched: leave "
            "out the rest, and write %3F or %23 for such a character in a name"
        )
    if not address.isprintable():
        raise PthetaError(
            f"{brief(shown(address))}: an address is one line of printable characters"
        )
    return address


class Unavailable(Exception):
    """An attempt has failed, and another one may not."""


@dataclass(frozen=True)
class RemoteStore(Store):
    """A folder at an address: see `checked`."""

    address: str

    @property
    def place(self) -> str:  # type: ignore[override]
        return self.address.rstrip("/")

    def index(self) -> Index:
        where = f"{self.place}/{INDEX}"

        def read() -> Index:
            return Index.parse(_content(self.place, INDEX, MOST_INDEX), where)

        try:
            return _repeated(read, self.place, INDEX)
        except Damaged:  # or cut off on its way
            return _repeated(read, self.place, INDEX)

    def path(self, entry: Entry) -> Path:
        file = _cached(entry)
        if not _touched(file):
            _repeated(lambda: _fetch(self.place, entry, file), self.place, entry.name)
        return file

    def fetch(self, entry: Entry) -> None:
        file = _cached(entry)
        if file.exists():
            return
        with _asked_lock:
            if entry.sha256 in _asked:
                return
            _asked.add(entry.sha256)
        background("fetch", FETCHERS).submit(_quietly, self, entry)

    def check_room(self, shards: int, entries: list[Entry]) -> None:
        sizes = sorted((entry.bytes for entry in entries), reverse=True)
        need, most = sum(sizes[: shards + 1]), limit()
        if need > most:
            raise PthetaError(
                f"{self.place}: {min(shards, len(sizes))} shards are read at a time, together up "
                f"to {need:,} bytes, and the cache is limited to {most:,}: set {LIMIT} to more"
            )


def _quietly(store: RemoteStore, entry: Entry) -> None:
    """Fetch a file; an error is raised where it is asked for."""
    try:
        with suppress(PthetaError):
            store.path(entry)
    finally:
        with _asked_lock:
            _asked.discard(entry.sha256)


_asked: set[str] = set()  # files that are fetched in the background
_asked_lock = Lock()


def _cached(entry: Entry) -> Path:
    return cache_folder() / FOLDER / f"{entry.sha256}{Path(entry.name).suffix}"


def _touched(file: Path) -> bool:
    """Whether a file is there; it is now the one that was used last."""
    try:
        os.utime(file)
    except OSError:
        return False
    return True


def _fetch(place: str, entry: Entry, file: Path) -> None:
    """Fetch a file into the cache, unless another process did."""
    folder = file.parent
    with writing(folder, FREE):
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder)
        with _locked(file):
            if _touched(file):
                return
            make_room(folder, entry.bytes)
            temp = temporary(folder)
            try:
                _download(place, entry, temp)
                os.replace(temp, file)
            finally:
                remove(temp)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Context in which no other process or thread of this machine fetches the file."""
    lock = FileLock(file.with_suffix(".lock"), thread_local=False)
    with lock:
        yield


def make_room(folder: Path, size: int) -> None:
    """Remove the files that were used least recently, until so many bytes more can be stored."""
    files = []
    for path in folder.iterdir():
        if path.suffix != ".lock" and not path.name.startswith("."):
            with suppress(OSError):
                about = path.stat()
                files.append((about.st_mtime_ns, about.st_size, path))
    left, most = sum(n for _, n, _ in files) + size, limit()
    for _, n, path in sorted(files):
        if left <= most:
            return
        remove(path)
        remove(path.with_suffix(".lock"))
        left -= n


def _download(place: str, entry: Entry, temp: Path) -> None:
    """Raises Unavailable if the file does not arrive complete."""
    with temp.open("wb") as file:
        for part in _parts(place, entry.name):
            file.write(part)
            if file.tell() > entry.bytes:
                break
        got = file.tell()
        file.flush()
    if got != entry.bytes:
        raise Unavailable(f"{got:,} bytes arrived of {entry.bytes:,}")
    if digest(temp) != entry.sha256:
        raise Unavailable("its SHA-256 is not that of the index: it was changed, or damaged")


def _content(place: str, name: str, most: int) -> bytes:
    """A small file. Raises PthetaError if it has more bytes than `most`."""
    content = bytearray()
    for part in _parts(place, name):
        content += part
        if len(content) > most:
            raise PthetaError(f"{place}/{name} has more than {most:,} bytes: check the address")
    return bytes(content)


def _parts(place: str, name: str) -> Iterator[bytes]:
    """The content of a file, in parts. Raises Unavailable for faults that may pass, PthetaError for
    others."""
    protocol = place.partition("://")[0].lower()
    where = f"{place}/{name}"
    system = _system(protocol, place)
    try:
        with system.open(where, "rb", **STREAMED.get(protocol, {})) as file:
            while part := file.read(PART):
                yield part
    except FileNotFoundError:
        raise PthetaError(
            f"{where} does not exist: give the address of a set of shards, "
            "which `ptheta data pack` writes"
        ) from None
    except PermissionError as error:
        raise PthetaError(f"{where} cannot be read: {_reason(error)}; check your access") from None
    except (TimeoutError, OSError, EOFError, ValueError, RuntimeError) as error:
        raise Unavailable(_reason(error)) from error
    except Exception as error:  # of the library of the protocol
        raise _classified(error, where) from error


PART = 2**20  # bytes read at a time
# as a stream, without a request for the size first (which the index knows)
STREAMED: dict[str, dict[str, object]] = {web: {"block_size": 0, "size": 1} for web in WEB}
REFUSED = (401, 403, 404, 405, 410)  # HTTP statuses that do not change with time


def _classified(error: Exception, where: str) -> Exception:
    status = vars(error).get("status")
    if status in REFUSED:
        return PthetaError(f"{where} cannot be read: {_reason(error)}; check the address")
    return Unavailable(_reason(error))


def _reason(error: BaseException) -> str:
    """A line on an error of a library."""
    status = vars(error).get("status")
    if isinstance(status, int) and status:
        return f"HTTP status {status}"
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return f"no byte for {STALL:g} s"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return brief(text, 120)


_systems: dict[tuple[str, str, int, float], AbstractFileSystem] = {}
_systems_lock = Lock()


def _system(protocol: str, place: str) -> AbstractFileSystem:
    """The file system of an address. Raises PthetaError if its package is not installed."""
    with _systems_lock:
        key = protocol, place.split("/")[2], os.getpid(), STALL
        if key not in _systems:
            _systems[key] = _made(protocol, place)
        return _systems[key]


def _made(protocol: str, place: str) -> AbstractFileSystem:
    fsspec = _needed("fsspec", place, "ptheta[stream]")
    options: dict[str, object] = {}
    if protocol in WEB:
        aiohttp = _needed("aiohttp", place, "ptheta[stream]")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=STALL, sock_read=STALL)
        # proxies of the environment, and passwords in ~/.netrc
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    elif protocol in PACKAGES:
        _needed(PACKAGES[protocol], place, PACKAGES[protocol])
    try:
        system: AbstractFileSystem = fsspec.filesystem(
            protocol, skip_instance_cache=protocol in WEB, **options
        )
        return system
    except Exception as error:  # some need more than an address
        known = ", ".join((*WEB, *PACKAGES, *HERE))
        raise PthetaError(
            f"{place}: fsspec cannot open {protocol}:// ({_reason(error)}); {known} are known"
        ) from None


def _needed(module: str, place: str, package: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        raise PthetaError(f"{place} needs a package: pip install '{package}'") from None


def _repeated(work: Callable[[], T], place: str, name: str) -> T:
    """Fetch a file, with several attempts if need be. Raises PthetaError after the last one."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except Unavailable as error:
            if attempt == ATTEMPTS:
                raise PthetaError(
                    f"cannot fetch {place}/{name}: {error}; tried {ATTEMPTS} times: try again "
                    "later, or copy the shards to this machine"
                ) from None
            _say_once(place, error)
            time.sleep(WAIT * 2 ** (attempt - 1))
    raise AssertionError


_said: set[str] = set()  # sets of shards at whose address an attempt has failed
_said_lock = Lock()


def _say_once(place: str, error: Unavailable) -> None:
    """Warn at the first fault of an address. The text has no name of a file, so that all processes
    of a training say the same, which is printed once."""
    with _said_lock:
        if place in _said:
            return
        _said.add(place)
    waits = sum(WAIT * 2**k for k in range(ATTEMPTS - 1))
    web = place.partition("://")[0].lower() in WEB
    stall = f", each until no byte has come for {STALL:g} s" if web else ""
    warnings.warn(
        f"cannot fetch a file of {place} yet ({error}): trying {ATTEMPTS - 1} more times within "
        f"{waits:g} s of waiting{stall}; later faults are told only if they stay",
        stacklevel=2,
    )
