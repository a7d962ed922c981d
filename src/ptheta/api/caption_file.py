"""Captions in a file, a caption to a line."""

from __future__ import annotations

import io
from pathlib import Path

from ptheta.conditions import ConditionSpec, parts_of, text_of
from ptheta.config import brief
from ptheta.data.metadata import decoded
from ptheta.errors import PthetaError
from ptheta.files.paths import expand

FLAG = "--caption-file"
MOST = 2**26  # bytes


def captions_in(place: str | Path, condition: ConditionSpec | None) -> list[str]:
    """The captions in a text file in UTF-8, or marked as UTF-16, one to a line, for a model of this
    condition.

    Raises PthetaError for a file that is none, for a line that the model cannot be asked, with its
    number, and where the model takes no text.
    """
    if not isinstance(place, str | Path):
        raise PthetaError(f"{FLAG} of type {type(place).__name__}: give the path of a text file")
    where = f"{FLAG} {brief(str(place))}"
    text = text_of(condition)
    if text is None:
        takes = " and ".join(part.kind for part in parts_of(condition)) or "no condition"
        raise PthetaError(f"{where}: this model takes no text, it takes {takes}; leave it out")
    # not `splitlines`, for which form feeds and separators within a line end one as well
    lines = [line.rstrip("\n") for line in io.StringIO(_read(expand(place), where), newline=None)]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise PthetaError(f"{where}: there is no caption in it: write one to a line")
    for number, line in enumerate(lines, 1):
        try:
            text.parse(line)
        except PthetaError as error:
            raise PthetaError(f"{where}, line {number}: {error}") from None
    return lines


def _read(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise PthetaError(f"{where}: {error.strerror}; give a text file") from None
    if len(data) > MOST:
        raise PthetaError(f"{where}: it is larger than {MOST // 2**20} MiB: give it in parts")
    return decoded(data, where)
