"""A run without the paths of the machine it was trained on, to give to others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ptheta.data.names import recorded
from ptheta.data.shards.remote import is_here
from ptheta.files.atomic import read_json
from ptheta.runs.config_file import NAME
from ptheta.runs.folder import Run
from ptheta.runs.plan import Plan


def unplaced(run: Run) -> Plan:
    """The plan of a run with the name of its data in place of a path."""
    return replace(run.plan, source=_shared(run.plan.source, run))


def without_paths(file: Path, run: Run) -> bytes:
    """The contents of a JSON file of a run, with the name of the data for each path of it.

    Raises PthetaError if the file is damaged.
    """
    values = _walk(read_json(file), run)
    if file.name == NAME and isinstance(values, dict):
        values["source"] = _shared(str(values.get("source", "")), run)
    return (json.dumps(values, indent=2) + "\n").encode()


def _shared(source: str, run: Run) -> str:
    """A source as others may know it: a name as it is, and the name of the data for a path."""
    return run.about.dataset.name if _placed(source) else source


def _placed(source: str) -> bool:
    """Whether a source is a place on this machine."""
    return isinstance(recorded(source), Path) or is_here(source)


def _walk(value: object, run: Run) -> object:
    """The value with the data's name in place of its path at the start of any text."""
    if isinstance(value, dict):
        return {key: _walk(part, run) for key, part in value.items()}
    if isinstance(value, list):
        return [_walk(part, run) for part in value]
    if isinstance(value, str) and _placed(run.plan.source):
        return value.replace(run.plan.source, run.about.dataset.name) if _long(run) else value
    return value


def _long(run: Run) -> bool:
    """Whether the path is more than a root, which would be found in any text."""
    return len(Path(run.plan.source).parts) > 1
