"""What lies in a folder and is no data: what ptheta wrote there, and what the system did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ptheta.files import SAMPLES, SOFTWARE

HEAD = 1024  # bytes of a PNG in which its texts stand
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
# a file that a verb writes -> keys of its JSON, and what the folder around it is
RECORDS: tuple[tuple[str, frozenset[str], str], ...] = (
    ("config.json", frozenset(("format", "model", "recipe", "source", "spec")), "a run"),
    ("sweep.json", frozenset(("model", "data", "runs", "failed")), "a sweep"),
    ("report.json", frozenset(("real", "baselines", "runs")), "a report"),
)


def written(folder: Path) -> str | None:
    """What of ptheta's a folder is, such as "a run", or None."""
    if (folder / SAMPLES).is_file():
        return "samples"
    for name, keys, what in RECORDS:
        file = folder / name
        if file.is_file() and keys <= _keys(file):
            return what
    return None


def _keys(file: Path) -> set[str]:
    try:
        values: Any = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return set()
    return set(values) if isinstance(values, dict) else set()


def drawn(file: Path) -> bool:
    """Whether a PNG was drawn by ptheta, by the text in it."""
    try:
        with file.open("rb") as opened:
            return b"tEXtSoftware\0" + SOFTWARE.encode() in opened.read(HEAD)
    except OSError:  # decoding reports it
        return False
