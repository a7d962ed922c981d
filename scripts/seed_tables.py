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
OF_SAMPLES = {
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "coverage": ("coverage", 2),
    "copying_z": ("copying z", 0),
    "sampling_speed": ("images/s", 0),
    "steps": ("steps", 0),
}
GREY = {"kd": ("`kd_digits`", 0), **OF_SAMPLES}
COLOUR = {"kd": ("kernel distance", 2), "fd": ("Frechet distance", 1), **OF_SAMPLES}
NATS = {"nll": "= {}", "nll (bound)": "≤ {}", "nll (estimate)": "≈ {}"}
BITS = {name.replace("nll", "bits_per_dim"): text for name, text in NATS.items()}
Summary = Sequence[Any]  # mean, half-width of the interval or None, values per seed
Metrics = Mapping[str, tuple[str, int]]  # name in a result -> column header, decimal places


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


def families_grey() -> str:
    """All families on images of two levels: a table for each branch of the taxonomy, and floors."""
    return _families(_read("families_grey.json"), GREY, ("nats", NATS, 1))


def families_colour() -> str:
    """A model of each branch on colour images."""
    return _families(_read("families_colour.json"), COLOUR, ("bits/dim", BITS, 2))


def _families(
    found: Mapping[str, Mapping[str, Any]],
    metrics: Metrics,
    likelihood: tuple[str, Mapping[str, str], int],
) -> str:
    title, signs, decimals = likelihood
    head = ["model", "family", title, *(name for name, _ in metrics.values())]
    leaves_in_order = [leaf.path for leaf in leaves()]

    def rank(item: tuple[str, Mapping[str, Any]]) -> tuple[int, float]:
        _, row = item
        return leaves_in_order.index(tuple(row["place"])), row["kd"][0]

    rows: list[list[str]] = []
    last: list[str] = []
    for name, row in sorted(found["models"].items(), key=rank):
        if row["place"] != last:
            last = row["place"]
            rows.append([f"**{', '.join(last)}**", *("" for _ in head[1:])])
        cells = [_cell(row.get(key), places) for key, (_, places) in metrics.items()]
        nats = likelihood_text(row, signs, decimals)
        rows.append([f"`{name}`", row["family"], nats, *cells])
    rows.append(["**floors**", *("" for _ in head[1:])])
    for name, row in found["floors"].items():
        cells = [_cell(row.get(key), places) for key, (_, places) in metrics.items()]
        rows.append([name, "", "", *cells])
    return markdown([head, *rows])


def likelihood_text(row: Mapping[str, Any], signs: Mapping[str, str], decimals: int) -> str:
    """The likelihood of a model, with the sign that says whether it is exact, a bound or an
    estimate; empty if it has none."""
    texts = (sign.format(_cell(row[key], decimals)) for key, sign in signs.items() if key in row)
    return next(texts, "")


def markdown(rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * (lines[0].count(' | ') + 1)}", *lines[1:]])


def _read(name: str) -> Any:
    file = RESULTS / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _name(name: str, model: bool) -> str:
    return f"`{name}`" if model else name


def _cell(summary: Summary | None, places: int) -> str:
    """The mean and the half-width of the interval over seeds."""
    if summary is None:
        return ""
    mean, half, _ = summary
    return f"{mean:,.{places}f}" + (f" ± {half:,.{places}f}" if half is not None else "")
