"""What is measured of vectors alone: against a density that is known, its modes, and whether a test
tells samples from real rows.

Numbers are compared as a network sees them, standardised and words one-hot, so that no unit makes a
column count more than another.
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

MOST = 2000  # samples, and real rows, that a test is shown
OUTSIDE = 0.01  # share of the mass beyond the grid from which a divergence says little
NAMED = 4  # modes that are not found
CLOSE = 1e-6  # nats, and relative tolerance, within which grid values are equal
ROWS = 10_000  # points that a model rates at a time


# -- what they need


def truth(ctx: Context) -> str:
    """The distribution of the data is known."""
    return "" if vectors_of(ctx.test).truth is not None else "the density of the data is unknown"


def grid(ctx: Context) -> str:
    """The data has one or two numbers."""
    dims = ctx.test.spec.dims
    return "" if dims <= 2 else f"a grid has one or two dimensions, not {dims}"


@shared
def _log_p(ctx: Context) -> LogP | None:
    return None if ctx.model is None else known_log_p(ctx.model)


def density(ctx: Context) -> str:
    """The model has a density that is exact, and of no condition."""
    if _log_p(ctx) is None:
        return "it has no exact density"
    return "its density is given a condition" if ctx.conditional_likelihood else ""


def modes(ctx: Context) -> str:
    """The data has modes that are known."""
    known = vectors_of(ctx.test).truth
    there = known is not None and known.modes is not None
    return "" if there else "the modes of the data are unknown"


def whole(ctx: Context) -> str:
    """No cell of the samples and of the test rows is missing."""
    every = {"samples": ctx.samples, "test rows": ctx.test.batch(slice(0, len(ctx.test))).x}
    lost = {what: int(x.isnan().any(1).sum()) for what, x in every.items()}
    odd = (f"{lost[what]} of {len(x)} {what} have missing cells" for what, x in every.items())
    return next((text for text, n in zip(odd, lost.values(), strict=True) if n), "")


def enough(ctx: Context) -> str:
    """Rows for every fold of a test."""
    least = min(len(ctx.samples), len(ctx.test))
    return "" if least >= LEAST else f"{least} rows are too few for a test: {LEAST} or more"


# -- against the density


def _truth(ctx: Context) -> Truth:
    known = vectors_of(ctx.test).truth
    assert known is not None
    return known


class OnGrid(NamedTuple):
    """found: on the grid; coarser: with half of its cells along each side"""

    found: Divergences
    coarser: Divergences
    cells: int


def on_grid(log_p: LogDensity, log_q: LogDensity, over: Grid) -> OnGrid:
    """Divergences of two densities, and what they are on a coarser grid."""
    return OnGrid(
        divergences(log_p, log_q, over), divergences(log_p, log_q, over.coarser()), over.cells
    )


def divergence_estimate(of: OnGrid, pick: Callable[[Divergences], float]) -> Estimate:
    """One of the divergences; its error is how far it moves on a grid half as fine."""
    fine, coarse = pick(of.found), pick(of.coarser)
    beyond = [max(0.0, share) for share in (of.found.outside_p, of.found.outside_q)]
    about = {"cells": of.cells, "outside": [float(f"{share:.3g}") for share in beyond]}
    if not math.isfinite(fine):
        return Estimate(None, about=about, reason="one density is 0 where the other is not")
    error = None
    if math.isfinite(coarse):  # no grid is known to be better than that
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
        return torch.cat([log_prob(part.to(device), None).double().cpu() for part in parts])

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


# -- its modes


@shared
def _reached(ctx: Context) -> Reached:
    known = _truth(ctx)
    assert known.modes is not None
    assert known.deviations is not None
    parts = (known.modes, known.deviations, np.asarray(known.weights))
    return reached(ctx.samples, Mixture(*(torch.from_numpy(part) for part in parts)))


def modes_found(ctx: Context) -> Estimate:
    """Modes with a good sample. A count of what is there has no error: see `good_samples`."""
    return found_estimate(_reached(ctx), ctx.test.classes)


def found_estimate(of: Reached, names: Sequence[str] = ()) -> Estimate:
    """The number of modes that are found; those that are not are named."""
    total = len(of.of.means)
    texts = [names[k] if len(names) == total else str(k) for k in of.missing]
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    note = f"of {total}" + (f"; not {', '.join(texts[:NAMED])}{more}" if texts else "")
    return Estimate(of.found, about={"counts": of.counts.tolist()}, note=note)


def good_samples(ctx: Context) -> Estimate:
    """The share of samples within three standard deviations of their nearest mode."""
    return good_estimate(_reached(ctx))


def good_estimate(of: Reached) -> Estimate:
    """The share of good samples."""
    return mean_estimate(of.good, Groups(len(of.good), "fake"))


def mode_balance(ctx: Context) -> Estimate:
    """KL of the shares of the modes among good samples from their weights."""
    return balance_estimate(_reached(ctx))


def balance_estimate(of: Reached) -> Estimate:
    """The divergence of the modes' shares from their weights."""
    if not of.found:
        return Estimate(None, reason="no sample is near a mode")
    return estimate(*mode_divergence(of))


# -- tests


@shared
def _both(ctx: Context) -> tuple[Tensor, Tensor]:
    """Samples and real rows as a network sees them: float64 (N, width) and (M, width)."""
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
    """Of samples (N, D) and real points (M, D)."""
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
    """Accuracy of that classifier."""
    return _classifier(ctx).accuracy


def mmd(ctx: Context) -> Estimate:
    """MMD^2 with the bandwidth of the real rows, which is the same for every model."""
    x, y = _both(ctx)
    with stage("distances"):
        return mmd_estimate(x, y, median_distance(y), PERMUTATIONS)


def mmd_estimate(
    x: Tensor, y: Tensor, bandwidth: float, permutations: int, seed: int = 0
) -> Estimate:
    """Of samples (N, D) and real points (M, D)."""
    p = permutation_p(x, y, gaussian(bandwidth), permutations, seed)
    about = {"compared": [len(x), len(y)], "bandwidth": bandwidth, "p_value": round(p, 6)}
    return estimate(*mmd_draws(x, y, bandwidth), about, note=f"p = {p:.2g}")
