"""What a report is called, and what it is in one sentence."""

from __future__ import annotations

from ptheta.report.comparison import Comparison

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(n: int, what: str) -> str:
    """A number of things: "one run", "four runs", "12 runs"."""
    number = WORDS[n] if n < len(WORDS) else f"{n:,}"
    return f"{number} {what}{'' if n == 1 else 's'}"


def title(found: Comparison) -> str:
    """By what was compared: a model, its seeds or settings, or several models."""
    runs = [m for m in found.measured if m.cost is not None]
    models = list(dict.fromkeys(m.model for m in runs))
    families = {m.family for m in runs}
    data = found.data.name
    if not models:
        return f"Images of other programs, measured on {data}"
    if len(models) > 1:
        family = f"{families.pop()} " if len(families) == 1 else ""
        return f"{counted(len(models), f'{family}model').capitalize()} compared on {data}"
    if len(runs) == 1:
        return f"{models[0]} measured on {data}"
    if len(found.groups) == 1:
        return f"{models[0]} on {data}, over {counted(len(runs), 'seed')}"
    return f"A sweep of {models[0]} on {data}: {counted(len(found.groups), 'setting')}"


def lead(found: Comparison) -> str:
    """One sentence of what the page is."""
    runs = sum(m.cost is not None for m in found.measured)
    others = len(found.measured) - runs
    rows = counted(runs, "trained model") if runs else ""
    models = {m.model for m in found.measured if m.cost is not None}
    if len(models) == 1 < runs:
        rows = f"{counted(runs, 'run')} of {models.pop()}"
    if others:
        made = counted(others, "set") + " of images that other programs made"
        rows = f"{rows} and {made}" if rows else made
    data = found.data
    return (
        f"This page measures {rows} in the same way, on {found.n:,} samples that each draws at "
        f"seed {found.seed}, against {data.count:,} held-out {data.examples} of {data.name} "
        f"({data.what})."
    )
