"""Plug-in entries used by a run: stored in config.json and checked when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ptheta import plugins, schemas
from ptheta.config import options, words
from ptheta.data.names import recorded
from ptheta.data.sources import kind_of
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.plugins import Origin, Registered
from ptheta.runs.plan import Plan

SOURCE = "source"  # the kind that is not needed to open a run


def used(plan: Plan) -> list[Registered]:
    """The plug-in entries used by a plan: its model, option values, and data source."""
    found = (plugins.of_entry(entry, name) for entry, name in _entries(plan))
    return [entry for entry in found if entry is not None]


def _entries(plan: Plan) -> Iterator[tuple[object, str | None]]:
    """All table entries used by a plan, with their names."""
    yield registry.entry(plan.model), plan.model
    for config in (plan.config, plan.data, plan.train):
        values = vars(config)
        for name, opt in options(type(config)).items():
            chosen = [str(word) for word in words(values[name]) if word in opt.table]
            yield from ((opt.table[word], word) for word in chosen)
    place = recorded(plan.source)
    if isinstance(place, Path) and (kind := kind_of(place)) is not None:
        yield kind, None


def plugin_records(entries: Iterable[Registered]) -> list[dict[str, str]]:
    """Records for config.json."""
    return [
        {
            "kind": entry.kind,
            "name": entry.name,
            "module": entry.origin.module,
            "package": entry.origin.package,
            "version": entry.origin.version,
        }
        for entry in entries
    ]


def check_here(kept: Iterable[schemas.Plugged], folder: Path, *, source: bool = False) -> None:
    """Raises PthetaError, saying what to install, if a plug-in entry of a run is missing.

    source: check only the entry that reads its data, instead of the others
    """
    plugins.load()
    for part in kept:
        if (part.kind == SOURCE) == source and not _is_here(part):
            origin = Origin(part.module, part.package, part.version)
            raise PthetaError(f"{folder}: {plugins.missing(part.kind, part.name, origin)}")


def _is_here(part: schemas.Plugged) -> bool:
    if part.kind == "model" and registry.known(part.name):
        return True
    return plugins.find(part.kind, part.name) is not None
