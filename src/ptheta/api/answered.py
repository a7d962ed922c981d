"""Record of the inputs whose translations a folder contains, to resume a stopped translation."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ptheta.api.pictures import Named
from ptheta.data.names import shown
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, writing
from ptheta.schemas import Answer, lines

ANSWERED = ".ptheta-answered"  # file next to the outputs, with a line for each input


class Answered:
    """The inputs that were translated, identified by content: a different image with the same name
    is translated again, whatever its date.

    folder: folder of the outputs; None to keep no record
    """

    def __init__(self, folder: Path | None) -> None:
        self.file = None if folder is None else folder / ANSWERED
        rows = [] if self.file is None else lines(self.file, Answer)
        self.known = {row.picture: row.digest for _, row in rows}

    def digest(self, named: Named) -> str | None:
        """Hash of an image file; None if no record is kept or the file cannot be read."""
        if self.file is None or named.file is None:
            return None
        try:
            return digest(named.file)
        except PthetaError:  # the reader reports why
            return None

    def has(self, named: Named, found: str | None) -> bool:
        return found is not None and self.known.get(shown(named.name)) == found

    def add(self, named: Named, found: str | None) -> None:
        """Adds an input once its outputs are on disk. Raises CannotWrite."""
        if self.file is None or found is None:
            return
        row = {"picture": shown(named.name), "digest": found}
        how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with writing(self.file), os.fdopen(os.open(self.file, how, 0o666), "w") as file:
            # terminates a line left incomplete by a killed process
            file.write(f"\n{json.dumps(row)}\n")
