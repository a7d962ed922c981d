"""Strengths and weaknesses of each run, derived only from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ptheta.measures.intervals import difference
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.metric import Role
from ptheta.metrics.table import words
from ptheta.report.chance import chance_of
from ptheta.report.pairs import ranked
from ptheta.report.plots import number
from ptheta.report.sections import presentation, repeated


@dataclass
class Verdict:
    good: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def verdicts(
    evaluations: Mapping[str, Evaluation],
    metrics: Sequence[str],
    chance: Mapping[str, Evaluation],
) -> dict[str, Verdict]:
    """For each run, the metrics in which it is first, last or undefined.

    Exact likelihoods and bounds are never ranked against each other, nor are results of different
    protocols. First and last are stated only if the paired interval shows a difference, and first
    only if the run is significantly better than the uninformed baselines.

    chance: results of uninformed baselines
    """
    found = {name: Verdict() for name in evaluations}
    for name, evaluation in evaluations.items():
        _likelihood(evaluation, found[name])
    missing: Missing = {}
    for metric in metrics:
        if repeated(metric, metrics):
            continue
        results = {n: r for n, e in evaluations.items() if (r := e.get(metric)) is not None}
        _undefined(metric, results, missing)
        for group in ranked(results):
            _rank(metric, group, found, chance)
    for (name, reason), names in missing.items():
        found[name].bad.append(f"It has no {', '.join(names)}: {reason}.")
    return found


def _likelihood(evaluation: Evaluation, verdict: Verdict) -> None:
    every = (r for r in evaluation.results if presentation(r.metric).role is Role.LIKELIHOOD)
    found = next(every, None)
    if found is None or found.value is None:
        return
    if found.is_bound:
        verdict.bad.append(f"It has only a bound of the likelihood: {_value(found)}.")
    elif found.relation == "~":
        verdict.bad.append(
            f"It has only an estimate of the likelihood: {_value(found)}, {found.note}."
        )
    else:
        verdict.good.append(f"It has an exact likelihood: {_value(found)}.")


Missing = dict[tuple[str, str], list[str]]  # (row, reason) -> metrics


def _undefined(metric: str, results: Mapping[str, Result], missing: Missing) -> None:
    """Metrics that other runs have and this run lacks."""
    if all(result.value is None for result in results.values()):
        return
    for name, result in results.items():
        if result.value is None:
            missing.setdefault((name, result.reason), []).append(words(metric))


def _rank(
    metric: str,
    results: Mapping[str, Result],
    found: dict[str, Verdict],
    chance: Mapping[str, Evaluation],
) -> None:
    order = sorted(results, key=lambda name: results[name].badness)
    first, second, last, before = order[0], order[1], order[-1], order[-2]
    beyond = chance_of(results[first], chance) is None
    if beyond and _differ(results[first], results[second]):
        found[first].good.append(
            f"It is best by {words(metric)}: {_value(results[first])}; the next is {second} with "
            f"{_value(results[second])}."
        )
    if _differ(results[last], results[before]):
        found[last].bad.append(
            f"It is last by {words(metric)}: {_value(results[last])}; {_leader(first, beyond)} "
            f"has {_value(results[first])}."
        )


def _leader(name: str, beyond: bool) -> str:
    """beyond: whether it is significantly better than the uninformed baselines"""
    return f"the best, {name}," if beyond else f"the first, {name},"


def _differ(a: Result, b: Result) -> bool:
    gap = difference(a, b)
    return gap is not None and gap.different


def _value(result: Result) -> str:
    relation = {"<=": "≤ ", "~": "≈ "}.get(result.relation, "")
    return f"{relation}{number(result.value or 0.0)} {result.unit}".rstrip()
