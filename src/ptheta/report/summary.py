"""The report in a few words: what was compared, what is best, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ptheta.measures.intervals import difference
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import Role
from ptheta.report.chance import Chance, chance_of, chance_of_mean
from ptheta.report.pairs import ranked
from ptheta.report.plots import number
from ptheta.report.ranking import Rank
from ptheta.report.sections import presentation
from ptheta.report.tables import empty_sections

# what is said first
ASPECTS = (Role.LIKELIHOOD, Role.DISTANCE, Role.CAPTION, Role.TARGET, Role.DOMAIN)
EACH = (Role.DOMAIN,)  # whose metrics are of different things: of each domain
NEAR = -3.0  # of copying_z: so much nearer to training images than held-out ones are is no chance


def summary(
    runs: Mapping[str, Evaluation],
    metrics: Sequence[str],
    settings: Mapping[str, Sequence[Rank]],
    chance: Mapping[str, Evaluation],
) -> list[str]:
    """A sentence for each thing that a reader wants first.

    settings: metric -> the settings over their seeds, best first, where there are several seeds
    chance: rows that know nothing of what is asked; the best is named where it is beyond them
    """
    if len(runs) < 2:
        lines = ["One row alone: there is nothing to hold it against but the baselines below."]
    else:
        lines = []
    for role in ASPECTS:
        named = [m for m in metrics if presentation(m).role is role]
        for metric in named if role in EACH else named[:1]:
            results = {n: r for n, e in runs.items() if (r := e.get(metric)) is not None}
            if metric in settings:
                best, one = settings[metric][0], next(iter(results.values()))
                floor = chance_of_mean(best, one, chance)
                lines.append(_of_settings(role.value, metric, settings[metric], floor))
            lines += [_of_runs(role.value, metric, group, chance) for group in ranked(results)]
    lines += [
        f"{name} may copy: its samples are nearer to what was trained on than held-out data are "
        f"(copying z {number(z.value)})."
        for name, e in runs.items()
        if (z := e.get("copying_z")) is not None and z.value is not None and z.value < NEAR
    ]
    missing = [
        f"{section} ({', '.join(reasons)})" for section, reasons in empty_sections(runs).items()
    ]
    if missing:
        lines.append(f"Not defined here, and so without a table: {'; '.join(missing)}.")
    return lines


def _at_chance(aspect: str, metric: str, name: str, value: float, floor: Chance) -> str:
    """Of what comes first, and is not surely better than what needs no learning."""
    return (
        f"No best {aspect}: none is surely better than {floor.name}, which needs no learning "
        f"({metric.replace('_', ' ')} {number(floor.value)}); the first, {name}, has "
        f"{number(value)}."
    )


def _of_runs(
    aspect: str, metric: str, results: Mapping[str, Result], chance: Mapping[str, Evaluation]
) -> str:
    """Of runs that may be held against each other."""
    order = sorted(results, key=lambda name: results[name].badness)
    best, rest = order[0], order[1:]
    alike = [name for name in rest if not _sure(results[best], results[name])]
    bound = results[best].is_bound
    kind = f"{aspect} (bounds alone)" if bound else aspect
    if floor := chance_of(results[best], chance):
        return _at_chance(kind, metric, best, results[best].value or 0.0, floor)
    text = (
        f"Best {kind}: {best}, {metric.replace('_', ' ')} {'≤ ' if bound else ''}"
        f"{number(results[best].value or 0.0)}"
    )
    if alike:
        return f"{text}; not told apart from {', '.join(alike)}."
    other = "the other" if len(rest) == 1 else f"all {len(rest)} others"
    return f"{text}; the paired 95 % intervals tell it from {other}."


def _of_settings(aspect: str, metric: str, rows: Sequence[Rank], floor: Chance | None) -> str:
    best = rows[0]
    if floor is not None:
        return _at_chance(f"{aspect} over seeds", metric, best.setting, best.mean, floor)
    alike = [row.setting for row in rows[1:] if not row.apart]
    text = f"Best {aspect} over seeds: {best.setting}, mean {metric.replace('_', ' ')} "
    text += number(best.mean)
    if not rows[1:]:
        return f"{text}."
    if alike:
        return f"{text}; over {len(best.values)} seeds not told apart from {'; '.join(alike)}."
    return f"{text}; its {len(best.values)} seeds differ from those of all other settings."


def _sure(a: Result, b: Result) -> bool:
    gap = difference(a, b)
    return gap is not None and gap.different
