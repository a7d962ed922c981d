"""Markdown tables of benchmark results over several seeds, and the taxonomy of models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptheta.models.taxonomy import leaves

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
# metric -> column header, decimal places
TOYS = {
    "kl": ("KL(data, model)", 3),
    "total_variation": ("total variation", 3),
    "modes_found": ("modes", 1),
    "good_samples": ("good samples", 3),
    "two_sample_auc": ("two-sample AUC", 3),
    "seconds": ("seconds", 0),
}
LIKELIHOODS = {
    "nll": "= {}",
    "nll (bound)": "≤ {}",
    "nll (estimate)": "≈ {}",
}
BRANCHES = {
    "kd_digits": ("`kd_digits`", 0),
    "fd_digits": ("`fd_digits`", 1),
    "precision_digits": ("precision", 2),
    "recall_digits": ("recall", 2),
    "coverage_digits": ("coverage", 2),
    "copying_z_digits": ("copying z", 0),
    "sampling_speed": ("images/s", 0),
}
Summary = Sequence[Any]  # mean, half-width of the interval or None, values per seed


def tree() -> str:
    """The taxonomy of all models as a nested list."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for leaf in leaves():
        for depth, name in enumerate(leaf.path):
            if leaf.path[: depth + 1] != above[: depth + 1]:
                about = f" ({leaf.about})" if depth == len(leaf.path) - 1 else ""
                lines.append(f"{'  ' * depth}- {name}{about}")
        inner = "  " * len(leaf.path)
        lines += [
            f"{inner}- *{family}*: {', '.join(f'`{name}`' for name in names)}"
            for family, names in leaf.models.items()
        ]
        above = leaf.path
    return "\n".join(lines)


def toys() -> str:
    """One table per toy data set."""
    found: dict[str, dict[str, dict[str, Summary]]] = _read("toys.json")
    parts = []
    for toy, rows in found.items():
        used = {k: v for k, v in TOYS.items() if any(k in row for row in rows.values())}
        head = ["", *(title for title, _ in used.values())]
        table = [head]
        for name, row in rows.items():
            cells = [_cell(row.get(key), places) for key, (_, places) in used.items()]
            table.append([_name(name, "seconds" in row), *cells])
        parts.append(f"### `{toy}`\n\n{markdown(table)}")
    return "\n\n".join(parts)


def branches() -> str:
    """Likelihoods and sample metrics of models of every branch of the taxonomy."""
    found: dict[str, dict[str, Any]] = _read("branches.json")
    head = ["", "class", "nats", *(title for title, _ in BRANCHES.values()), "steps"]
    table = [head]
    for name, row in found.items():
        model = "place" in row
        cells = [_cell(row.get(key), places) for key, (_, places) in BRANCHES.items()]
        place = ", ".join(row["place"]) if model else ""
        steps = _cell(row["steps"], 0) if model else ""
        table.append([_name(name, model), place, _likelihood(row), *cells, steps])
    return markdown(table)


def markdown(rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * (lines[0].count(' | ') + 1)}", *lines[1:]])


def _read(name: str) -> Any:
    file = RESULTS / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _name(name: str, model: bool) -> str:
    return f"`{name}`" if model else name


def _likelihood(row: Mapping[str, Any]) -> str:
    return next((how.format(_cell(row[k], 1)) for k, how in LIKELIHOODS.items() if k in row), "")


def _cell(summary: Summary | None, places: int) -> str:
    """The mean and the half-width of the interval over seeds."""
    if summary is None:
        return ""
    mean, half, _ = summary
    return f"{mean:,.{places}f}" + (f" ± {half:,.{places}f}" if half is not None else "")
