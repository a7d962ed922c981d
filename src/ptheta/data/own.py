"""Files in a data folder that are not data: those written by ptheta or the system."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ptheta.files.atomic import SAMPLES, SOFTWARE

HEAD = 1024  # bytes of a picture that contain its text chunks
WITH_EXIF = 0x08  # a flag in the head of a WebP
DRAWN = (".png", ".jpg", ".jpeg", ".webp")  # what pictures of many images are written as
# of macOS, Windows, and the storage of Synology, QNAP and others; hidden ones are left out anyway
JUNK_FOLDERS = frozenset(
    (
        "__MACOSX",
        "@eaDir",
        "@Recycle",
        "@Recently-Snapshot",
        "@tmp",
        "@SynoResource",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        "lost+found",
        "__pycache__",
    )
)
JUNK_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
# a file written by a command -> keys of its JSON, and the type of the folder
RECORDS: tuple[tuple[str, frozenset[str], str], ...] = (
    ("config.json", frozenset(("format", "model", "recipe", "source", "spec")), "a run"),
    ("sweep.json", frozenset(("model", "data", "runs", "failed")), "a sweep"),
    ("report.json", frozenset(("real", "baselines", "runs")), "a report"),
)


def written(folder: Path) -> str | None:
    """The type of a folder written by ptheta, such as "a run"; None for other folders."""
    try:
        if (folder / SAMPLES).is_file():
            return "samples"
        for name, keys, what in RECORDS:
            file = folder / name
            if file.is_file() and keys <= _keys(file):
                return what
    except OSError:  # a folder that cannot be read
        return None
    return None


def _keys(file: Path) -> set[str]:
    try:
        values: object = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return set()
    return set(values) if isinstance(values, dict) else set()


def drawn(read: Callable[[int | None], bytes]) -> bool:
    """Whether a picture was drawn by ptheta, by the text in it (of a JPEG or WebP: in Exif data).

    read: gives its first bytes, so many or (None) all
    """
    head = read(HEAD)
    if head.startswith(b"\x89PNG"):
        return b"tEXtSoftware\0" + SOFTWARE.encode() in head
    if head[8:16] == b"WEBPVP8X" and head[20] & WITH_EXIF:  # they follow the pixels
        return _by_exif(read(None), b"EXIF")
    return head.startswith(b"\xff\xd8") and _by_exif(head, b"Exif\0\0")


def _by_exif(data: bytes, name: bytes) -> bool:
    _, separator, texts = data.rpartition(name)
    return bool(separator) and SOFTWARE.encode() + b"\0" in texts
