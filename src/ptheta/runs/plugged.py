"""What of a run is from plug-ins: kept in its config.json, and asked for when it is opened."""

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

SOURCE = "source"  # the kind that a run can be opened without


def used(plan: Plan) -> list[Registered]:
    """The entries of plug-ins that a plan names: its model, words of its options, the kind of its
    data."""
    found = (plugins.of_entry(entry, name) for entry, name in _entries(plan))
    return [entry for entry in found if entry is not None]


def _entries(plan: Plan) -> Iterator[tuple[object, str | None]]:
    """Every entry of a table that a plan names, with its name there."""
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
    """For config.json."""
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
    """Raises PthetaError, saying what to install, where something that a run needs is not here.

    source: whether what reads its data is asked for, in place of the rest
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
