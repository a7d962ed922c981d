"""Reuse of stored results of an earlier evaluation with the same protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ptheta.measures.results import About, Evaluation, Result
from ptheta.metrics.context import Context
from ptheta.metrics.table import METRICS, metric_of

# protocol entries that do not affect the values
IGNORED = {"time", "extractor_chosen"}
# protocol entries that are required to decide whether two evaluations are of the same weights and
# images
KNOWN = ("checkpoint", "trained_on")
UNKNOWN = "not known"

Held = Mapping[str, tuple[Result, ...]]  # by the name of an entry of `METRICS`


def held(known: Evaluation | None, ctx: Context) -> Held:
    """The stored results of each metric that can be reused: all of them by the protocol of `ctx`,
    and lasting. Results of other weights, images, samples, options or versions are omitted."""
    now = _plain(ctx.protocol)
    if known is None or not _certain(now) or known.protocol.keys() != now.keys():
        return {}
    found: dict[str, tuple[Result, ...]] = {}
    for result in known.results:
        metric = metric_of(result.metric)
        if metric is not None and metric.lasting:
            found[metric.name] = (*found.get(metric.name, ()), result)
    return {
        name: results
        for name, results in found.items()
        if all(_by(result, now | _plain(METRICS[name].settings(ctx))) for result in results)
    }


def kept(evaluation: Evaluation, known: Evaluation | None, ctx: Context) -> Evaluation:
    """The evaluation together with results of an earlier one by the same protocol that were not
    requested this time, for storage."""
    if known is None or known.protocol.keys() != ctx.protocol.keys():
        return evaluation
    names, now = {result.metric for result in evaluation.results}, _plain(ctx.protocol)
    more = (r for r in known.results if r.metric not in names and _by(r, now))
    return Evaluation((*evaluation.results, *more), evaluation.protocol)


def _certain(now: About) -> bool:
    return all(now.get(key, UNKNOWN) != UNKNOWN for key in KNOWN)


def _by(result: Result, now: About) -> bool:
    """Whether a result was computed by this protocol."""
    return all(result.protocol.get(key) == now[key] for key in now.keys() - IGNORED)


def _plain(protocol: About) -> dict[str, object]:
    """A protocol as read back from JSON."""
    plain: dict[str, object] = json.loads(json.dumps(dict(protocol)))
    return plain
