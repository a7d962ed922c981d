"""Title and lead sentence of a report."""

from __future__ import annotations

from ptheta.report.comparison import Comparison

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(n: int, what: str) -> str:
    """A number of things: "one run", "four runs", "12 runs"."""
    number = WORDS[n] if n < len(WORDS) else f"{n:,}"
    return f"{number} {what}{'' if n == 1 else 's'}"


def title(found: Comparison) -> str:
    """The title, depending on what was compared: a model, its seeds or settings, or several
    models."""
    runs = [m for m in found.measured if m.cost is not None]
    models = list(dict.fromkeys(m.model for m in runs))
    families = {m.family for m in runs}
    data = found.data.name
    if not models:
        return f"Images from other programs, evaluated on {data}"
    if len(models) > 1:
        family = f"{families.pop()} " if len(families) == 1 else ""
        return f"{counted(len(models), f'{family}model').capitalize()} compared on {data}"
    if len(runs) == 1:
        return f"{models[0]} evaluated on {data}"
    if len(found.groups) == 1:
        return f"{models[0]} on {data}, over {counted(len(runs), 'seed')}"
    return f"A sweep of {models[0]} on {data}: {counted(len(found.groups), 'setting')}"


def lead(found: Comparison) -> str:
    """One sentence that describes the page."""
    runs = sum(m.cost is not None for m in found.measured)
    others = len(found.measured) - runs
    rows = counted(runs, "trained model") if runs else ""
    models = {m.model for m in found.measured if m.cost is not None}
    if len(models) == 1 < runs:
        rows = f"{counted(runs, 'run')} of {models.pop()}"
    if others:
        made = counted(others, "set") + " of images from other programs"
        rows = f"{rows} and {made}" if rows else made
    data = found.data
    return (
        f"This page evaluates {rows} by one protocol: {found.n:,} samples of each (seed "
        f"{found.seed}) against {data.count:,} held-out {data.examples} of {data.name} "
        f"({data.what})."
    )
