"""Markdown tables of benchmarks/results/gpu.json."""

from __future__ import annotations

import json
from typing import Any

from scripts.seed_tables import RESULTS, markdown

WAYS = ("default", "without prefetch", "without channels last", "in float32", "compiled")


def training() -> str:
    """Training steps per second of each model, by what is done on the GPU."""
    rows: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in _found()["training"]:
        rows.setdefault((row["model"], row["batch"]), {})[row["way"]] = row
    head = ["model", "batch", *WAYS, "peak MiB", "in float32"]
    table = [head]
    for (model, batch), ways in rows.items():
        peaks = [f"{ways[way]['peak_mib']:,}" for way in ("default", "in float32")]
        table.append([model, str(batch), *(_speed(ways.get(way)) for way in WAYS), *peaks])
    return markdown(table)


def _speed(row: dict[str, Any] | None) -> str:
    """Median and range of the blocks of steps."""
    if row is None or "steps_per_s" not in row:
        return ""
    return f"{row['steps_per_s']:.0f} ({row['least']:.0f}-{row['most']:.0f})"


def sampling() -> str:
    """Exact sampling of an autoregressive model, by three ways."""
    head = ["", "images at once", "way", "images/s", "passes", "pixels that equal those of caching"]
    table = [head]
    for row in _found()["sampling"]:
        same = row.get("pixels_as_caching")
        table.append(
            [
                row["device"].upper().replace("CUDA", "GPU"),
                str(row["images"]),
                row["way"],
                f"{row['images_per_s']:,.0f}",
                str(row["passes"]),
                "" if same is None else f"{100 * same:.2f} %",
            ]
        )
    return markdown(table)


def _found() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / "gpu.json").read_text(encoding="utf-8"))
    return found
