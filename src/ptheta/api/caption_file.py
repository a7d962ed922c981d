"""Reading captions from a file, one per line."""

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
    """Reads captions from a text file (UTF-8, or UTF-16 with a byte order mark), one per line.

    Raises PthetaError if it is not a text file, if the model does not accept a line (naming its
    number), or if the model takes no text.
    """
    if not isinstance(place, str | Path):
        raise PthetaError(f"{FLAG} of type {type(place).__name__}: give the path of a text file")
    where = f"{FLAG} {brief(str(place))}"
    text = text_of(condition)
    if text is None:
        takes = " and ".join(part.kind for part in parts_of(condition)) or "no condition"
        raise PthetaError(f"{where}: this model takes no text, it takes {takes}; leave it out")
    # not `splitlines`, which also splits at form feeds and separators
    lines = [line.rstrip("\n") for line in io.StringIO(_read(expand(place), where), newline=None)]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise PthetaError(f"{where}: the file has no captions: write one per line")
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
        raise PthetaError(f"{where}: the file is larger than {MOST // 2**20} MiB: split it")
    return decoded(data, where)
