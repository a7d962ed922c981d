"""Names of runs that are not folders of the user: examples and runs on the hub. They are
read-only."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.files.paths import EXAMPLE, HUB, expand
from ptheta.runs import examples, hub
from ptheta.runs.config_file import read_config

SHORTENED = re.compile(r"^hf:/+")  # a Path has no double slash


def folder_of(run: str | Path) -> Path:
    """The folder of a run given by the user: with `~` expanded, of `example:NAME`, or the copy of
    `hf://ORG/NAME` in the cache.

    Raises PthetaError for an unknown example, for a run that cannot be downloaded, and as `expand`
    does.
    """
    text = os.fspath(run)
    if text.startswith(EXAMPLE):
        return examples.folder(text)
    if SHORTENED.match(text):
        return hub.fetched(SHORTENED.sub(HUB, text))
    return expand(run)


def shipped(folder: Path) -> str | None:
    """`example:NAME` or `hf://ORG/NAME@COMMIT` if a folder is such a run, which is read-only; else
    None."""
    return examples.name_in(folder) or hub.address_in(folder)


def refuse_to_change(folder: Path, cure: str | None = None) -> None:
    """Raises PthetaError for the folder of a run that is read-only. cure: advice; by default how to
    get such a run in a folder of the user."""
    name = shipped(folder)
    if name is None:
        return
    if name.startswith(EXAMPLE):
        what = "is shipped with ptheta and read-only"
        model = read_config(folder).model if cure is None else ""
        own = f"train one yourself, `ptheta train {model} --data digits --out runs/{folder.name}`"
    else:
        what = "is a copy of a run on the hub and read-only"
        at = hub.Address.parse(name)
        own = f"copy it, `hf download {at.name} --local-dir runs/{at.name.partition('/')[2]}`"
    raise PthetaError(f"{name} {what}: {own if cure is None else cure}")
