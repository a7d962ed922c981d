"""Plug-ins: packages and modules that register entries, and the origin of each entry.

A package names one of its modules under the entry point group `ptheta.plugins`; importing that
module calls `ptheta.register`. Plug-ins are imported when a registry is first read.

**A run folder never causes an import.** Names in it are looked up among the entries registered by
installed plug-ins, by the running program, and by modules that the user named (`--plugin`,
`$PTHETA_PLUGINS`); if a name is not found, an error says what is missing.
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

GROUP = "ptheta.plugins"  # entry point group
VARIABLE = "PTHETA_PLUGINS"  # comma-separated modules
SCRIPTS = ("__main__", "__mp_main__")  # module name of a script, here and in its worker processes


@dataclass(frozen=True)
class Origin:
    """module: the registering module; package, version: the distribution it belongs to, "" if it is
    not an entry point"""

    module: str
    package: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.package} {self.version}" if self.package else f"the module {self.module}"

    @property
    def cure(self) -> str:
        """What to do if it is missing."""
        if self.package:
            return f"if you trust it, install it (pip install {self.package})"
        if self.module in SCRIPTS:
            return "register it in the script that uses the run, or move it to a module"
        return f"name the module with --plugin {self.module} (or {VARIABLE}), or ptheta.register it"


@dataclass(frozen=True)
class Registered:
    """A registered entry that is not ptheta's own. kind, name: as registered."""

    kind: str
    name: str
    entry: object
    origin: Origin

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.origin}"


@dataclass
class _Known:
    """loaded: whether plug-ins were imported; named: modules that the user named; entries:
    registered entries by kind and name; failed: packages whose import failed, with the error"""

    loaded: bool = False
    named: list[str] = field(default_factory=list)
    entries: dict[tuple[str, str], Registered] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


_known = _Known()


def use(module: str) -> None:
    """Imports a module named by the user; the current folder is on the search path.

    Raises PthetaError if it cannot be found or imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    _known.named.append(module)
    try:
        import_module(module)
    except Exception as error:  # a plug-in may raise anything
        raise PthetaError(
            f"plug-in {brief(module)} cannot be imported ({_reason(error)}): name a module that "
            "can be imported from here"
        ) from None


def named() -> tuple[str, ...]:
    """The modules that the user named."""
    return tuple(dict.fromkeys(_known.named))


def load() -> None:
    """Imports the plug-ins on the first call. Warns about those that fail."""
    if _known.loaded:
        return
    _known.loaded = True
    for module in filter(None, os.environ.get(VARIABLE, "").split(",")):
        use(module.strip())
    for point in _points():
        try:
            point.load()
        except Exception as error:  # a plug-in may raise anything
            package = _package(point)
            _known.failed[package.package] = _reason(error)
            warnings.warn(
                f"plug-in {package} cannot be loaded ({_reason(error)}): it is skipped",
                stacklevel=2,
            )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {brief(error, 200)}"


def _points() -> Iterator[EntryPoint]:
    """Distinct entry points, sorted by name."""
    from importlib.metadata import entry_points  # slow to import

    yield from sorted(set(entry_points(group=GROUP)), key=lambda point: (point.name, point.value))


def _package(point: EntryPoint) -> Origin:
    found = point.dist
    if found is None:
        return Origin(point.module)
    return Origin(point.module, found.name, found.version)


def origin(module: str) -> Origin:
    """The origin of a module: the package whose entry point it is, or the module itself."""
    top = module.partition(".")[0]
    found = (p for p in _points() if p.module.partition(".")[0] == top)
    return next(
        (Origin(module, o.package, o.version) for o in map(_package, found)), Origin(module)
    )


def remember(entry: Registered) -> None:
    """Records an entry. Raises PthetaError if another entry has the name."""
    before = find(entry.kind, entry.name)
    if before is not None and before.origin != entry.origin:
        raise PthetaError(
            f"{entry.kind} {entry.name!r} is already registered by {before.origin}: choose "
            "another name"
        )
    _known.entries[entry.kind, entry.name] = entry


def find(kind: str, name: str) -> Registered | None:
    """The entry registered under a name, or None."""
    return _known.entries.get((kind, name))


def of_entry(entry: object, name: str | None = None) -> Registered | None:
    """The registration of a table entry; None for one of ptheta's own.

    name: its name in the table, if any
    """
    for found in _known.entries.values():
        if found.entry is entry and name in (None, found.name):
            return found
    return None


def registered() -> tuple[Registered, ...]:
    """All registered entries, in order of registration."""
    return tuple(_known.entries.values())


def missing(kind: str, name: str, where: Origin) -> str:
    """The message for an entry that a run needs and that is missing."""
    why = _known.failed.get(where.package, "")
    failed = f", which is installed but cannot be imported ({why})" if why else ""
    return f"it needs the {kind} {name!r} of {where}{failed}: {where.cure}"
