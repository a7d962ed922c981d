"""Benchmark results of a model, from the files that are also used for tables in docs/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scripts.seed_tables import BRANCHES, LIKELIHOODS, RESULTS, TOYS

# metrics shown in the table of a run, in this order, if measured
OF_RUNS = (
    "bits_per_dim",
    "nll",
    "fd_digits",
    "kd_digits",
    "score_digits",
    "precision_digits",
    "recall_digits",
    "coverage_digits",
    "copied_share",
    "sampling_speed",
)


class Found(NamedTuple):
    """A result. what: data and training time; command: the benchmark; rows: metric, value"""

    what: str
    command: str
    rows: list[tuple[str, str]]


def measured(model: str) -> list[Found]:
    """All results of a model in the benchmarks that compare models."""
    found = [_branches(model), *_toys(model), _families(model), _gans(model), *_likelihoods(model)]
    return [one for one in found if one is not None and one.rows]


def _branches(model: str) -> Found | None:
    row = _read("branches.json").get(model)
    if row is None:
        return None
    rows = [("nats", how.format(_seeds(row[k], 1))) for k, how in LIKELIHOODS.items() if k in row]
    rows += [(title, _seeds(row[k], places)) for k, (title, places) in BRANCHES.items() if k in row]
    what = "MNIST with 2 levels, 90 seconds of one processor"
    return Found(what, "python -m benchmarks.branches", rows)


def _toys(model: str) -> Iterator[Found]:
    for toy, models in _read("toys.json").items():
        row = models.get(model, {})
        rows = [(title, _seeds(row[k], places)) for k, (title, places) in TOYS.items() if k in row]
        yield Found(f"`{toy}`", "python -m benchmarks.toys", rows)


def _families(model: str) -> Found | None:
    row = _read("families.json").get(model, {})
    minutes = row.get("training_seconds", 0) / 60
    what = f"MNIST with 2 levels, {minutes:.0f} minutes of one processor, one seed"
    return Found(what, "python -m benchmarks.families", _texts(row))


def _gans(model: str) -> Found | None:
    row = _read("gans.json").get("five minutes on one core", {}).get(model, {})
    texts = {k: f"{v['value']:.4g} +- {v['error']:.2g}" for k, v in row.items() if _is_value(v)}
    return Found("`digits`, five minutes on one core", "python -m benchmarks.gans", _texts(texts))


def _likelihoods(model: str) -> Iterator[Found]:
    for run, row in _read("likelihood.json").items():
        name, _, how = run.partition(", ")
        if name != model:
            continue
        sign = "=" if row["exact"] else "<="
        value = f"{sign} {row['nats']:.2f} +- {row['standard_error']:.2f} nats"
        minutes = row["train"].get("minutes")
        time = f", {minutes:g} minutes of training" if minutes else ""
        what = f"MNIST, {how} binarisation{time}"
        yield Found(what, "python -m benchmarks.likelihood", [("-log p(x) of a test image", value)])


def _is_value(found: object) -> bool:
    return isinstance(found, dict) and {"value", "error"} <= found.keys()


def _texts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Formatted results of one run, without those that are not defined."""
    known = {k: str(row[k]) for k in OF_RUNS if k in row}
    return [(f"`{k}`", text) for k, text in known.items() if not text.startswith("not defined")]


def _seeds(summary: Sequence[Any], places: int) -> str:
    mean, half, seeds = summary
    interval = f" ± {half:,.{places}f}" if half is not None else ""
    count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
    return f"{mean:,.{places}f}{interval}{count}"


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return found


def commands(text: str) -> list[str]:
    """The commands in a docstring: its indented lines, without indentation."""
    return re.findall(r"^    ((?:python|ptheta) .*)$", text, re.MULTILINE)
