"""What makes a run's numbers another thing than those of the runs beside it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ptheta.capabilities import conditional
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.runs.folder import Run

MACHINE = ("device", "processes", "threads", "precision")


def remarks(runs: Sequence[Run], models: Sequence[nn.Module]) -> list[list[str]]:
    """For each run, a line for everything in which it is not comparable to (all of) the others."""
    found: list[list[str]] = [[] for _ in runs]

    def differ(values: Sequence[object], text: str) -> None:
        """`text` for each run whose value is not that of most runs."""
        most = max(set(values), key=lambda v: (values.count(v), v == values[0]))
        for lines, value in zip(found, values, strict=True):
            if value != most:
                lines.append(text.format(own=value, most=most))

    for lines, run, model in zip(found, runs, models, strict=True):
        if conditional(model):
            lines.append(
                "is given labels (or attributes): its samples are of those of the test images, "
                "its likelihood is of p(x | y)"
            )
        if isinstance(model, Fitted):
            lines.append("draws codes from a mixture fitted to them, it has no prior of its own")
        where = run.unfinished()
        if where is not None:
            lines.append(f"has not come to its end ({where})")
    differ(
        ["afresh for each batch" if run.plan.data.dynamic else "once" for run in runs],
        "learned from images binarised {own}, the others {most}",
    )
    differ(
        [run.about.get("dataset", {}).get("images") for run in runs],
        "learned from {own} images, the others from {most}",
    )
    differ(
        [", ".join(f"{k} {getattr(run.plan.train, k)}" for k in MACHINE) for run in runs],
        "trained with {own}, the others with {most}: training times cannot be compared",
    )
    differ(
        [run.about.get("versions", {}).get("torch") for run in runs],
        "trained with torch {own}, the others with {most}",
    )
    return found
