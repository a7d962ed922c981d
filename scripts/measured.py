"""Benchmark results of a model, from the files that are also used for tables in docs/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scripts.seed_tables import BITS, COLOUR, GREY, NATS, RESULTS, TOYS, Metrics, likelihood_text

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
    found = [*_families(model), *_toys(model), _gans(model), *_likelihoods(model)]
    return [one for one in found if one is not None and one.rows]


def _families(model: str) -> Iterator[Found]:
    grey, colour = _read("families_grey.json"), _read("families_colour.json")
    images = f"MNIST with 2 levels, {_budget(grey)}"
    yield _compared(grey, model, images, GREY, ("nats", NATS, 1))
    images = f"CIFAR-10 at 256 levels, {_budget(colour)}"
    yield _compared(colour, model, images, COLOUR, ("bits/dim", BITS, 2))


def _budget(found: Mapping[str, Any]) -> str:
    about = found["about"]
    return f"{60 * about['minutes']:.0f} seconds on {about['hardware']}"


def _compared(
    found: Mapping[str, Any],
    model: str,
    what: str,
    metrics: Metrics,
    likelihood: tuple[str, Mapping[str, str], int],
) -> Found:
    row = found["models"].get(model, {})
    title, signs, decimals = likelihood
    text = likelihood_text(row, signs, decimals)
    rows = [(title, text)] if text else []
    rows += [(name, _seeds(row[k], places)) for k, (name, places) in metrics.items() if k in row]
    return Found(what, "python -m benchmarks.families", rows)


def _toys(model: str) -> Iterator[Found]:
    for toy, models in _read("toys.json").items():
        row = models.get(model, {})
        rows = [(title, _seeds(row[k], places)) for k, (title, places) in TOYS.items() if k in row]
        yield Found(f"`{toy}`", "python -m benchmarks.toys", rows)


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
