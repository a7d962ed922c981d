"""Which pictures a folder holds the answers to, so that a stopped translation is gone on with."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ptheta.api.pictures import Named
from ptheta.data.names import shown
from ptheta.errors import PthetaError
from ptheta.files.atomic import digest, writing
from ptheta.schemas import Answer, lines

ANSWERED = ".ptheta-answered"  # a file beside the answers, a line for each picture


class Answered:
    """The pictures that were answered, by what they held: another picture under the same name is
    answered anew, however old it is.

    folder: of the answers; None where nothing is kept of them
    """

    def __init__(self, folder: Path | None) -> None:
        self.file = None if folder is None else folder / ANSWERED
        rows = [] if self.file is None else lines(self.file, Answer)
        self.known = {row.picture: row.digest for _, row in rows}

    def digest(self, named: Named) -> str | None:
        """Of what a picture holds; None where nothing is kept, and for what cannot be read."""
        if self.file is None or named.file is None:
            return None
        try:
            return digest(named.file)
        except PthetaError:  # the reader says why
            return None

    def has(self, named: Named, found: str | None) -> bool:
        return found is not None and self.known.get(shown(named.name)) == found

    def add(self, named: Named, found: str | None) -> None:
        """Once the answers are on disk. Raises CannotWrite."""
        if self.file is None or found is None:
            return
        row = {"picture": shown(named.name), "digest": found}
        how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with writing(self.file), os.fdopen(os.open(self.file, how, 0o666), "w") as file:
            # a line that a killed process left half written ends here
            file.write(f"\n{json.dumps(row)}\n")
