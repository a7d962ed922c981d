"""Small trained runs shipped with the package: `example:vae` can be used in place of a run folder.

`python -m scripts.train_examples` creates them, on the built-in digits. They are read-only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.files.paths import EXAMPLE, expand

PREFIX = EXAMPLE
PLACE = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(folder.parent.name for folder in PLACE.glob("*/config.json"))


def folder_of(run: str | Path) -> Path:
    """The folder of a run given by the user, with `~` expanded, or that of `example:NAME`.

    Raises PthetaError for an unknown example, and as `expand` does.
    """
    text = os.fspath(run)
    if not text.startswith(PREFIX):
        return expand(run)
    name = text.removeprefix(PREFIX)
    if name not in EXAMPLES:
        known = ", ".join(f"{PREFIX}{known}" for known in EXAMPLES)
        raise PthetaError(f"{text}: no such example; available: {known}")
    return PLACE / name


def example_in(folder: Path) -> str | None:
    """`example:NAME` if a folder is that of an example, else None."""
    if str(folder).startswith(PREFIX):
        return str(folder)
    name = folder.name
    if name not in EXAMPLES or folder.resolve() != (PLACE / name).resolve():
        return None
    return f"{PREFIX}{name}"


def refuse_to_change(folder: Path, cure: str | None = None) -> None:
    """Raises PthetaError for the folder of an example. cure: advice; by default the command that
    trains such a run."""
    example = example_in(folder)
    if example is None:
        return
    if cure is None:
        model = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model"]
        own = f"ptheta train {model} --data digits --out runs/{folder.name}"
        cure = f"train one yourself, `{own}`"
    raise PthetaError(f"{example} is shipped with ptheta and read-only: {cure}")
