"""The tree of all models, with the rows of a report at their branches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ptheta.models.taxonomy import TREE, Branch, Path, leaves
from ptheta.report.comparison import Measured


class Twig(NamedTuple):
    """A branch of the tree on the page.

    rows: rows of the report on this branch; models: all models, by family
    """

    name: str
    about: str
    rows: list[str]
    models: Mapping[str, list[str]]
    twigs: list[Twig]


def tree(measured: Iterable[Measured]) -> Twig:
    """Builds the tree."""
    rows: dict[Path, list[str]] = {}
    for one in measured:
        rows.setdefault(one.place, []).append(one.name)
    return _twig(TREE, (), rows, {leaf.path: leaf.models for leaf in leaves()})


def _twig(
    branch: Branch,
    path: Path,
    rows: Mapping[Path, list[str]],
    models: Mapping[Path, Mapping[str, list[str]]],
) -> Twig:
    twigs = [_twig(twig, (*path, twig.name), rows, models) for twig in branch.twigs]
    here = rows.get(path, []) if path else []
    return Twig(branch.name, branch.about, here, models.get(path, {}), twigs)
