"""Metrics for vectors only: divergences from a known density, coverage of its modes, and two-sample
tests.

Values are compared in network scale, standardised and with one-hot categories, so that units do not
affect the weight of a column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.capabilities import device_of
from ptheta.data.vector_data import Truth, vectors_of
from ptheta.measures.divergence import Divergences, Grid, LogDensity, divergences
from ptheta.measures.intervals import Groups, estimate, mean_estimate
from ptheta.measures.kernel import gaussian
from ptheta.measures.mmd import PERMUTATIONS, median_distance, mmd_draws, permutation_p
from ptheta.measures.modes import Mixture, Reached, mode_divergence, reached
from ptheta.measures.points import some
from ptheta.measures.results import Estimate
from ptheta.measures.two_sample import LEAST, two_sample
from ptheta.metrics.context import Context, shared
from ptheta.tasks.log_p import LogP, known_log_p
from ptheta.terminal.progress import stage

MOST = 2000  # maximum samples, and real rows, of a test
OUTSIDE = 0.01  # mass beyond the grid above which a divergence is unreliable
NAMED = 4  # maximum number of missing modes named in a note
CLOSE = 1e-6  # nats, and relative tolerance, within which grid values are equal
ROWS = 10_000  # points evaluated at a time


# -- requirements


def truth(ctx: Context) -> str:
    """The distribution of the data is known."""
    return "" if vectors_of(ctx.test).truth is not None else "the density of the data is unknown"


def grid(ctx: Context) -> str:
    """The data has one or two dimensions."""
    dims = ctx.test.spec.dims
    return "" if dims <= 2 else f"a grid has one or two dimensions, not {dims}"


@shared
def _log_p(ctx: Context) -> LogP | None:
    return None if ctx.model is None else known_log_p(ctx.model)


def density(ctx: Context) -> str:
    """The model has an exact unconditional density."""
    if _log_p(ctx) is None:
        return "it has no exact density"
    return "its density is given a condition" if ctx.conditional_likelihood else ""


def modes(ctx: Context) -> str:
    """The modes of the data are known."""
    known = vectors_of(ctx.test).truth
    there = known is not None and known.modes is not None
    return "" if there else "the modes of the data are unknown"


def whole(ctx: Context) -> str:
    """Neither samples nor test rows have missing cells."""
    every = {"samples": ctx.samples, "test rows": ctx.test.batch(slice(0, len(ctx.test))).x}
    lost = {what: int(x.isnan().any(1).sum()) for what, x in every.items()}
    odd = (f"{lost[what]} of {len(x)} {what} have missing cells" for what, x in every.items())
    return next((text for text, n in zip(odd, lost.values(), strict=True) if n), "")


def enough(ctx: Context) -> str:
    """There are enough rows for every fold of a test."""
    least = min(len(ctx.samples), len(ctx.test))
    return "" if least >= LEAST else f"{least} rows are too few for a test: {LEAST} or more"


# -- divergences from the density


def _truth(ctx: Context) -> Truth:
    known = vectors_of(ctx.test).truth
    assert known is not None
    return known


class OnGrid(NamedTuple):
    """Divergences. found: on the grid; coarser: with half as many cells along each side"""

    found: Divergences
    coarser: Divergences
    cells: int


def on_grid(log_p: LogDensity, log_q: LogDensity, over: Grid) -> OnGrid:
    """Divergences of two densities, on the grid and on a coarser one."""
    return OnGrid(
        divergences(log_p, log_q, over), divergences(log_p, log_q, over.coarser()), over.cells
    )


def divergence_estimate(of: OnGrid, pick: Callable[[Divergences], float]) -> Estimate:
    """One of the divergences; its error is the difference to a grid half as fine."""
    fine, coarse = pick(of.found), pick(of.coarser)
    beyond = [max(0.0, share) for share in (of.found.outside_p, of.found.outside_q)]
    about = {"cells": of.cells, "outside": [float(f"{share:.3g}") for share in beyond]}
    if not math.isfinite(fine):
        return Estimate(None, about=about, reason="one density is 0 where the other is not")
    error = None
    if math.isfinite(coarse):  # no further accuracy can be claimed
        error = max(abs(fine - coarse), CLOSE * max(abs(fine), CLOSE))
    note = ""
    if max(beyond) > OUTSIDE:
        note = (
            f"a fraction {beyond[0]:.2g} of the data and {beyond[1]:.2g} of the model is outside "
            "of the grid"
        )
    return Estimate(fine, error, about=about, note=note)


@shared
def _on_grid(ctx: Context) -> OnGrid:
    known, log_p = _truth(ctx), _log_p(ctx)
    assert log_p is not None
    log_prob = log_p.of
    device = device_of(ctx.the_model)

    @torch.no_grad()
    def log_q(x: Tensor) -> Tensor:
        parts = x.float().split(ROWS)
        return torch.cat([log_prob(part.to(device), None).cpu().double() for part in parts])

    with stage("the density on a grid"):
        return on_grid(known.log_density, log_q, Grid.over(known.sides, known.finest))


def _divergence(pick: Callable[[Divergences], float], ctx: Context) -> Estimate:
    return divergence_estimate(_on_grid(ctx), pick)


DIVERGENCES: Mapping[str, Callable[[Divergences], float]] = {
    "kl": lambda found: found.kl,
    "reverse_kl": lambda found: found.reverse_kl,
    "total_variation": lambda found: found.total_variation,
}
kl, reverse_kl, total_variation = (partial(_divergence, pick) for pick in DIVERGENCES.values())


# -- modes


@shared
def _reached(ctx: Context) -> Reached:
    known = _truth(ctx)
    assert known.modes is not None
    assert known.deviations is not None
    parts = (known.modes, known.deviations, np.asarray(known.weights))
    return reached(ctx.samples, Mixture(*(torch.from_numpy(part) for part in parts)))


def modes_found(ctx: Context) -> Estimate:
    """Modes with a good sample. A count without an error: see `good_samples`."""
    return found_estimate(_reached(ctx), ctx.test.classes)


def found_estimate(of: Reached, names: Sequence[str] = ()) -> Estimate:
    """The number of modes found, with the missing ones in the note."""
    total = len(of.of.means)
    texts = [names[k] if len(names) == total else str(k) for k in of.missing]
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    note = f"of {total}" + (f"; not {', '.join(texts[:NAMED])}{more}" if texts else "")
    return Estimate(of.found, about={"counts": of.counts.tolist()}, note=note)


def good_samples(ctx: Context) -> Estimate:
    """The fraction of samples within three standard deviations of their nearest mode."""
    return good_estimate(_reached(ctx))


def good_estimate(of: Reached) -> Estimate:
    """The fraction of good samples."""
    return mean_estimate(of.good, Groups(len(of.good), "fake"))


def mode_balance(ctx: Context) -> Estimate:
    """KL of the mode frequencies among good samples from the mode weights."""
    return balance_estimate(_reached(ctx))


def balance_estimate(of: Reached) -> Estimate:
    """KL of the mode frequencies from the mode weights."""
    if not of.found:
        return Estimate(None, reason="no sample is near a mode")
    return estimate(*mode_divergence(of))


# -- two-sample tests


@shared
def _both(ctx: Context) -> tuple[Tensor, Tensor]:
    """Samples and real rows in network scale: float64 (N, width) and (M, width)."""
    spec, test = ctx.test.spec, ctx.test
    rows = some(torch.arange(len(test)), MOST)
    real = test.batch(rows.numpy()).x
    return spec.scaled(ctx.samples[:MOST]).double(), spec.scaled(real).double()


class ClassifierEstimates(NamedTuple):
    """AUC and accuracy of a classifier two-sample test."""

    auc: Estimate
    accuracy: Estimate


def classifier_estimates(
    x: Tensor, y: Tensor, permutations: int, seed: int = 0
) -> ClassifierEstimates:
    """Classifier two-sample test of samples (N, D) and real points (M, D)."""
    found = two_sample(x, y, permutations=permutations, seed=seed)
    about = {"compared": [len(x), len(y)], "p_value": round(found.p_value, 6)}
    without = found.draws or (None, None)
    note = f"p = {found.p_value:.2g}"
    auc = estimate(found.scores.auc, without[0], about, note=note)
    return ClassifierEstimates(auc, estimate(found.scores.accuracy, without[1], about))


@shared
def _classifier(ctx: Context) -> ClassifierEstimates:
    with stage("the two-sample test"):
        return classifier_estimates(*_both(ctx), PERMUTATIONS)


def two_sample_auc(ctx: Context) -> Estimate:
    """AUC of a classifier of samples against real rows."""
    return _classifier(ctx).auc


def two_sample_accuracy(ctx: Context) -> Estimate:
    """Accuracy of a classifier of samples against real rows."""
    return _classifier(ctx).accuracy


def mmd(ctx: Context) -> Estimate:
    """MMD^2 with the bandwidth of the real rows, the same for every model."""
    x, y = _both(ctx)
    with stage("distances"):
        return mmd_estimate(x, y, median_distance(y), PERMUTATIONS)


def mmd_estimate(
    x: Tensor, y: Tensor, bandwidth: float, permutations: int, seed: int = 0
) -> Estimate:
    """MMD^2 of samples (N, D) and real points (M, D), with its p-value in the note."""
    p = permutation_p(x, y, gaussian(bandwidth), permutations, seed)
    about = {"compared": [len(x), len(y)], "bandwidth": bandwidth, "p_value": round(p, 6)}
    return estimate(*mmd_draws(x, y, bandwidth), about, note=f"p = {p:.2g}")
