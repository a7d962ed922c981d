"""Plug-ins: packages and modules that add entries to ptheta's tables, and where each came from.

A package names one of its modules under the entry point group `ptheta.plugins`; importing that
module calls `ptheta.register`. They are imported when a table is first asked for what it holds.

**What a run folder says never causes an import.** A name in it is looked up among what plug-ins
that are installed have registered, what this program has registered itself, and the modules that
its user named (`--plugin`, `$PTHETA_PLUGINS`); where it is not there, a line says what is missing.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ptheta.config import brief
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "ptheta.plugins"  # of entry points
VARIABLE = "PTHETA_PLUGINS"  # modules with commas between them
SCRIPTS = ("__main__", "__mp_main__")  # the module that a script is, here and in its processes


@dataclass(frozen=True)
class Origin:
    """module: that registered something; package, version: that it was installed with, "" where
    it is no entry point of one"""

    module: str
    package: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.package} {self.version}" if self.package else f"the module {self.module}"

    @property
    def cure(self) -> str:
        """What to do where it is missing."""
        if self.package:
            return f"if you trust it, install it (pip install {self.package})"
        if self.module in SCRIPTS:
            return "register it in the script that uses the run, or put it into a module"
        return f"name the module with --plugin {self.module} (or {VARIABLE}), or ptheta.register it"


@dataclass(frozen=True)
class Registered:
    """An entry of a table that is not ptheta's own. kind, name: as it was registered"""

    kind: str
    name: str
    entry: object
    origin: Origin

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.origin}"


@dataclass
class _Known:
    """loaded: whether plug-ins were imported; named: modules that the user named; entries: what
    was registered, by kind and name; failed: packages whose import failed, and why"""

    loaded: bool = False
    named: list[str] = field(default_factory=list)
    entries: dict[tuple[str, str], Registered] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


_known = _Known()


def use(module: str) -> None:
    """Imports a module that the user names, the current folder being one of Python's places.

    Raises PthetaError where it is not there, or fails.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    _known.named.append(module)
    try:
        import_module(module)
    except Exception as error:  # whatever is in it
        raise PthetaError(
            f"plug-in {brief(module)} cannot be imported ({_reason(error)}): name a module that "
            "Python finds from here"
        ) from None


def named() -> tuple[str, ...]:
    """The modules that the user named."""
    return tuple(dict.fromkeys(_known.named))


def load() -> None:
    """Imports the plug-ins, the first time that it is called. One that fails costs a warning."""
    if _known.loaded:
        return
    _known.loaded = True
    for module in filter(None, os.environ.get(VARIABLE, "").split(",")):
        use(module.strip())
    for point in _points():
        try:
            point.load()
        except Exception as error:  # whatever is in it
            package = _package(point)
            _known.failed[package.package] = _reason(error)
            warnings.warn(
                f"plug-in {package} cannot be loaded ({_reason(error)}): it is left out",
                stacklevel=2,
            )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {brief(error, 200)}"


def _points() -> Iterator[EntryPoint]:
    """Each one once, in the order of their names."""
    from importlib.metadata import entry_points  # takes longer than all else of a start

    yield from sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, point.value))


def _package(point: EntryPoint) -> Origin:
    found = point.dist
    if found is None:
        return Origin(point.module)
    return Origin(point.module, found.name, found.version)


def origin(module: str) -> Origin:
    """Where a module is from: the package whose entry point it stands in, or itself."""
    top = module.partition(".")[0]
    found = (p for p in _points() if p.module.partition(".")[0] == top)
    return next(
        (Origin(module, o.package, o.version) for o in map(_package, found)), Origin(module)
    )


def remember(entry: Registered) -> None:
    """Keeps what a table has got. Raises PthetaError for a name that something else has."""
    before = find(entry.kind, entry.name)
    if before is not None and before.origin != entry.origin:
        raise PthetaError(
            f"{entry.kind} {entry.name!r} is there already, of {before.origin}: choose another name"
        )
    _known.entries[entry.kind, entry.name] = entry


def find(kind: str, name: str) -> Registered | None:
    """What was registered under a name, if anything was."""
    return _known.entries.get((kind, name))


def of_entry(entry: object, name: str | None = None) -> Registered | None:
    """Of an entry of a table, what it was registered as; None for one of ptheta's own.

    name: that it has in the table, where it has one
    """
    for found in _known.entries.values():
        if found.entry is entry and name in (None, found.name):
            return found
    return None


def registered() -> tuple[Registered, ...]:
    """All of it, in the order in which it was registered."""
    return tuple(_known.entries.values())


def missing(kind: str, name: str, where: Origin) -> str:
    """A line on an entry that a run needs and that is not here."""
    why = _known.failed.get(where.package, "")
    failed = f", which is installed and fails ({why})" if why else ""
    return f"it needs the {kind} {name!r} of {where}{failed}: {where.cure}"
