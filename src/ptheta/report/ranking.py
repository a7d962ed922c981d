"""Settings ranked over seeds: the mean of their runs, with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from scipy.stats import t, ttest_ind

from ptheta import config
from ptheta.measures.results import BADNESS, LEVEL, Better, Evaluation
from ptheta.metrics.protocol import scale
from ptheta.runs.folder import Run


@dataclass(frozen=True)
class Rank:
    """One setting's results in one metric.

    half: half-width of the 95 % interval of the mean over runs (Student's t); None for one run
    apart: whether its runs differ from the best setting's (Welch's t-test, 5 %, Holm-corrected)
    """

    setting: str
    values: tuple[float, ...]
    mean: float
    half: float | None
    apart: bool

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def settings(runs: Sequence[Run]) -> list[str]:
    """How each run differs from the others, except for the seed: "loss hinge, penalty r1"."""
    tables = [_options(run) for run in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    differ = [k for k in keys if len({repr(table.get(k)) for table in tables}) > 1]
    return [", ".join(_setting(k, t[k]) for k in differ if k in t) or "all alike" for t in tables]


def _options(run: Run) -> dict[str, object]:
    plan = run.plan
    flat: dict[str, object] = {"model": plan.model}
    for part in (plan.config, plan.data, plan.train):
        flat |= config.as_dict(part)
    flat.pop("seed")
    return flat


def _setting(key: str, value: object) -> str:
    if isinstance(value, list):
        value = "+".join(map(str, value)) or "none"
    return f"{key.replace('_', ' ')} {value}"


def rank(groups: Mapping[str, Sequence[Evaluation]], metric: str, better: Better) -> list[Rank]:
    """Ranks the settings by their mean, best first; omits settings without a value of this metric.
    Empty if the values are from several protocols.

    better: direction of the metric, not ""
    """
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
    bad = BADNESS[better]
    order = sorted(values, key=lambda s: bad(means[s]))
    apart = _apart({s: [bad(v) for v in values[s]] for s in order})
    return [Rank(s, tuple(values[s]), means[s], _half(values[s]), s in apart) for s in order]


def _apart(values: Mapping[str, Sequence[float]]) -> set[str]:
    """The settings whose runs differ from the first setting's, by Welch's t-test with the
    correction of Holm 1979."""
    best = next(iter(values.values()), ())
    p = {
        setting: float(ttest_ind(best, own, equal_var=False).pvalue)
        for setting, own in list(values.items())[1:]
        if len(best) > 1 and len(own) > 1
    }
    apart: set[str] = set()
    for i, setting in enumerate(sorted(p, key=lambda s: p[s])):
        if not p[setting] <= (1 - LEVEL) / (len(p) - i):
            break
        apart.add(setting)
    return apart


def _half(values: Sequence[float]) -> float | None:
    """Half-width of Student's interval of the mean; None for one value."""
    n = len(values)
    if n < 2:
        return None
    mean = sum(values) / n
    deviation = math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1))
    return float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / math.sqrt(n)
