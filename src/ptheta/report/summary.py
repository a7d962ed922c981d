"""Summary of a report: what was compared, what is best, and how certain that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ptheta.measures.intervals import difference
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import Role
from ptheta.metrics.table import metric_of, words
from ptheta.report.chance import Chance, chance_of, chance_of_mean
from ptheta.report.pairs import ranked
from ptheta.report.plots import number
from ptheta.report.ranking import Rank
from ptheta.report.sections import presentation
from ptheta.report.tables import empty_sections

# order of the statements
ASPECTS = (
    *(Role.LIKELIHOOD, Role.DISTANCE, Role.PRECISION, Role.RECALL),
    *(Role.CAPTION, Role.TARGET, Role.DOMAIN, Role.SPEED),
)
# statements about the best row by each role
DOES: Mapping[Role, str] = {
    Role.LIKELIHOOD: "explains held-out data best",
    Role.DISTANCE: "draws the samples nearest to real data",
    Role.PRECISION: "draws the largest fraction of realistic samples",
    Role.RECALL: "covers the largest fraction of the variety of real data",
    Role.SPEED: "draws samples fastest",
    Role.CAPTION: "matches captions best",
    Role.TARGET: "is nearest to the targets (by L1, which rewards blur)",
    Role.DOMAIN: "translates examples to a domain best",
}
EACH = (Role.DOMAIN,)  # roles with a separate metric for each domain
SIGNS = {"=": "", "<=": "≤ ", "~": "≈ "}
NEAR = (
    -3.0
)  # threshold of copying_z below which samples are significantly nearer to training images


def summary(
    runs: Mapping[str, Evaluation],
    metrics: Sequence[str],
    settings: Mapping[str, Sequence[Rank]],
    chance: Mapping[str, Evaluation],
) -> list[str]:
    """One sentence for each main result.

    settings: metric -> the settings over their seeds, best first, if there are several seeds
    chance: uninformed baselines, which the best row must beat to be named
    """
    if len(runs) < 2:
        lines = ["Only one row: compare it with the baselines below."]
    else:
        lines = []
    for role in ASPECTS:
        named = [m for m in metrics if presentation(m).role is role]
        if role is Role.LIKELIHOOD:
            lines += _kinds(named[:1], runs)
        for metric in named if role in EACH else named[:1]:
            results = {n: r for n, e in runs.items() if (r := e.get(metric)) is not None}
            if metric in settings:  # a single run is not conclusive
                best, one = settings[metric][0], next(iter(results.values()))
                floor = chance_of_mean(best, one, chance)
                lines.append(_of_settings(role, settings[metric], one, floor))
            else:
                lines += [_of_runs(role, group, chance) for group in ranked(results)]
    lines += [
        f"{name} may copy: its samples are nearer to its training data than held-out data are "
        f"(copying z {number(z.value)}; below {number(NEAR)} is significant)."
        for name, e in runs.items()
        if (z := e.get("copying_z")) is not None and z.value is not None and z.value < NEAR
    ]
    missing = [
        f"{section} ({', '.join(reasons)})" for section, reasons in empty_sections(runs).items()
    ]
    if missing:
        lines.append(f"Not defined here, so without a table: {'; '.join(missing)}.")
    return lines


KINDS = {"=": "exactly", "<=": "by a bound", "~": "by an estimate"}


def _kinds(metrics: Sequence[str], runs: Mapping[str, Evaluation]) -> list[str]:
    """States the kinds of likelihood if they differ; different kinds are not ranked."""
    by_relation: dict[str, list[str]] = {}
    for metric in metrics:
        for name, e in runs.items():
            r = e.get(metric)
            if r is not None and r.value is not None:
                shown = f"{SIGNS[r.relation]}{number(r.value)} {r.unit}".rstrip()
                by_relation.setdefault(r.relation, []).append(f"{name} ({shown})")
    if len(by_relation) < 2:
        return []
    order = [relation for relation in KINDS if relation in by_relation]
    parts = [f"{KINDS[relation]} by {_listed(by_relation[relation])}" for relation in order]
    return [
        f"The likelihood of held-out data is given {_listed(parts)}: these kinds are not ranked "
        "against one another."
    ]


def _at_chance(one: Result, name: str, value: float, floor: Chance, sure: str = "") -> str:
    """The statement if the first row is not significantly better than a baseline. one: its
    metric; sure: how the first row differs from the others"""
    return (
        f"No row is significantly better than the baseline {floor.name} by {_described(one)}: it "
        f"has {number(floor.value)}; the first row, {name}, has {number(value)}{sure}."
    )


def _described(one: Result) -> str:
    """Describes a metric and its direction."""
    known = metric_of(one.metric)
    facts = (known.about if known else "", f"{one.better} is better" if one.better else "")
    about = "; ".join(filter(None, facts))
    name, _, of = words(one.metric).rstrip(")").partition(" (")
    inside = "; ".join(filter(None, (of, about)))
    return f"{name} ({inside})" if inside else name


def _of_runs(role: Role, results: Mapping[str, Result], chance: Mapping[str, Evaluation]) -> str:
    """The statement about comparable runs."""
    order = sorted(results, key=lambda name: results[name].badness)
    best, rest = order[0], order[1:]
    alike = [name for name in rest if not _sure(results[best], results[name])]
    first, value = results[best], results[best].value or 0.0
    if alike:
        sure = f"does not differ significantly from {_listed(alike)}"
    else:
        other = {1: "the other", 2: "both others"}.get(len(rest), f"all {len(rest)} others")
        sure = f"differs significantly from {other} (95 % interval)"
    if floor := chance_of(first, chance):
        return _at_chance(first, best, value, floor, f" and {sure}")
    among = ", of those with only a bound" if first.is_bound else ""
    shown = f"{'≤ ' if first.is_bound else ''}{number(value)}"
    return f"{best} {DOES[role]}{among}, and {sure}: it has {shown} by {_described(first)}."


def _listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _of_settings(role: Role, rows: Sequence[Rank], one: Result, floor: Chance | None) -> str:
    """one: a result of one run"""
    best = rows[0]
    if floor is not None:
        return f"Over seeds: {_at_chance(one, best.setting, best.mean, floor)}"
    alike = [row.setting for row in rows[1:] if not row.apart]
    sure = f", and over {len(best.values)} seeds differs significantly from all other settings"
    if alike:
        sure = (
            f", and over {len(best.values)} seeds does not differ significantly from "
            f"{'; '.join(alike)}"
        )
    elif not rows[1:]:
        sure = ""
    return (
        f"{best.setting} {DOES[role]}{sure}: its mean is {number(best.mean)} by {_described(one)}."
    )


def _sure(a: Result, b: Result) -> bool:
    gap = difference(a, b)
    return gap is not None and gap.different
