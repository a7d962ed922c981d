"""Settings ranked over seeds: the mean of their runs, with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ptheta.measures.results import LEVEL, Evaluation
from ptheta.metrics.protocol import scale
from ptheta.runs.folder import Run


@dataclass(frozen=True)
class Rank:
    """One setting by one metric.

    half: half the width of the 95 % interval of the mean over runs (Student's t); None for one run
    apart: whether its runs differ from the best setting's (Welch's t-test, 5 %, Holm-corrected)
    """

    setting: str
    values: tuple[float, ...]
    mean: float
    half: float | None
    apart: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def settings(runs: Sequence[Run]) -> list[str]:
    """What tells each run from the others, its seed aside: "loss hinge, penalty r1"."""
    tables = [_options(run) for run in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    differ = [k for k in keys if len({repr(table.get(k)) for table in tables}) > 1]
    return [", ".join(_said(k, t[k]) for k in differ if k in t) or "all alike" for t in tables]


def _options(run: Run) -> dict[str, Any]:
    values = run.plan.to_json()
    flat = {"model": values["model"], **values["config"], **values["data"], **values["train"]}
    flat.pop("seed")
    return flat


def _said(key: str, value: Any) -> str:
    if isinstance(value, list):
        value = "+".join(map(str, value)) or "none"
    return f"{key.replace('_', ' ')} {value}"


def rank(groups: Mapping[str, Sequence[Evaluation]], metric: str, *, lower: bool) -> list[Rank]:
    """The settings, best mean first; those without a value of this metric are left out. None at all
    where the values are of several protocols, which have no common mean."""
    from scipy.stats import t, ttest_ind

    every = [r for g in groups.values() for e in g if (r := e.get(metric)) is not None]
    if len({scale(r.protocol) for r in every if r.value is not None}) > 1:
        return []
    values = {}
    for setting, evaluations in groups.items():
        results = [e.get(metric) for e in evaluations]
        found = [r.value for r in results if r is not None and r.value is not None]
        if found:
            values[setting] = found
    means = {s: sum(v) / len(v) for s, v in values.items()}
    order = sorted(values, key=lambda s: means[s] if lower else -means[s])
    if not order:
        return []
    best = values[order[0]]
    p = {
        s: float(ttest_ind(best, values[s], equal_var=False).pvalue)
        for s in order[1:]
        if len(best) > 1 and len(values[s]) > 1
    }
    apart: set[str] = set()
    for i, setting in enumerate(sorted(p, key=lambda s: p[s])):  # Holm 1979
        if not p[setting] <= (1 - LEVEL) / (len(p) - i):
            break
        apart.add(setting)
    found_ranks = []
    for setting in order:
        v, half = values[setting], None
        if len(v) > 1:
            deviation = math.sqrt(sum((x - means[setting]) ** 2 for x in v) / (len(v) - 1))
            half = float(t.ppf((1 + LEVEL) / 2, len(v) - 1)) * deviation / math.sqrt(len(v))
        found_ranks.append(Rank(setting, tuple(v), means[setting], half, setting in apart))
    return found_ranks
