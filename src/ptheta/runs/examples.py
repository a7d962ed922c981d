"""Small trained runs shipped with the package: `example:vae` can be used in place of a run folder.

`python -m scripts.train_examples` creates them, on the built-in digits. They are read-only.
"""

from __future__ import annotations

from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.files.paths import EXAMPLE

PREFIX = EXAMPLE
PLACE = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(folder.parent.name for folder in PLACE.glob("*/config.json"))


def folder(text: str) -> Path:
    """The folder of `example:NAME`. Raises PthetaError for an unknown example."""
    name = text.removeprefix(PREFIX)
    if name not in EXAMPLES:
        known = ", ".join(f"{PREFIX}{known}" for known in EXAMPLES)
        raise PthetaError(f"{text}: no such example; available: {known}")
    return PLACE / name


def name_in(folder: Path) -> str | None:
    """`example:NAME` if a folder is that of an example, else None."""
    if str(folder).startswith(PREFIX):
        return str(folder)
    name = folder.name
    if name not in EXAMPLES or folder.resolve() != (PLACE / name).resolve():
        return None
    return f"{PREFIX}{name}"
