"""Metrics of two given sets of vectors, without a run or a model.

A set is floats (N, D), as an array or a tensor, which are used in their own units; or a
`VectorDataset`, whose rows are converted to network scale (standardised, categories one-hot).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.divergence import Grid, LogDensity
from ptheta.measures.mmd import PERMUTATIONS, median_distance
from ptheta.measures.modes import Mixture, reached
from ptheta.measures.points import check_points
from ptheta.measures.results import Result
from ptheta.metrics import vectors
from ptheta.metrics.protocol import VERSION
from ptheta.metrics.reading import Examples, points_of
from ptheta.metrics.table import METRICS


class Tested(NamedTuple):
    """A test result. statistic: the distance of the two sets; p_value: for the hypothesis that both
    have the same distribution"""

    statistic: Result
    p_value: float


class ClassifierTest(NamedTuple):
    """A classifier two-sample test. auc, accuracy: of a classifier of the two sets, 0.5 if they
    cannot be distinguished; p_value: of the AUC, for the hypothesis that both have the same
    distribution"""

    auc: Result
    accuracy: Result
    p_value: float


class ModeCoverage(NamedTuple):
    """Mode coverage. found: modes with a good sample; good: fraction of good samples; balance: KL
    of the mode frequencies among good samples from the mode weights, nats; counts: good samples by
    mode"""

    found: Result
    good: Result
    balance: Result
    counts: list[int]


class GridDivergence(NamedTuple):
    """Divergences of two densities p and q: KL(p || q), KL(q || p), nats, and the total
    variation."""

    kl: Result
    reverse_kl: Result
    total_variation: Result


def _points(given: Examples, what: str) -> Tensor:
    found = points_of(given)
    if found is None:
        raise PthetaError(f"{what} are not floats (N, D): give vectors, or features of images")
    return check_points(found, what)


def mmd(
    a: Examples,
    b: Examples,
    *,
    bandwidth: float | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Tested:
    """Squared maximum mean discrepancy with a Gaussian kernel, unbiased (Gretton et al. 2012).

    a: generated vectors; b: real vectors
    bandwidth: of the kernel; default: the median distance of two points of b, so that values for
        several a and the same b are comparable
    permutations: number of permutations for the p-value
    """
    x, y = _points(a, "samples"), _points(b, "real points")
    width = median_distance(y) if bandwidth is None else bandwidth
    found = vectors.mmd_estimate(x, y, width, permutations, seed)
    about = {**_about(x, y), **found.about}
    return Tested(METRICS["mmd"].result(found, about), _p_value(about))


def two_sample_test(
    a: Examples, b: Examples, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> ClassifierTest:
    """Classifier two-sample test of generated (a) and real (b) vectors (arXiv:1610.06545) by
    nearest neighbours, cross-validated. Arguments: see `mmd`."""
    x, y = _points(a, "samples"), _points(b, "real points")
    found = vectors.classifier_estimates(x, y, permutations, seed)
    about = {**_about(x, y), **found.auc.about}
    return ClassifierTest(
        METRICS["two_sample_auc"].result(found.auc, about),
        METRICS["two_sample_accuracy"].result(found.accuracy, about),
        _p_value(about),
    )


def mode_coverage(
    a: Examples,
    means: np.ndarray | Tensor,
    deviations: np.ndarray | Tensor | float,
    weights: np.ndarray | Tensor | Sequence[float] | None = None,
) -> ModeCoverage:
    """Coverage of the modes of a Gaussian mixture, as defined by VEEGAN and PacGAN
    (arXiv:1705.07761, 1712.04086): a sample is good within 3 standard deviations of its nearest
    mode, and a mode is found if it has a good sample.

    a: generated vectors; means: (K, D); deviations: (K,), (K, D), or one for all; weights: (K,),
    default: equal
    """
    x = _points(a, "samples")
    centres = torch.as_tensor(means).double()
    spread = torch.as_tensor(deviations).double()
    spread = spread.expand(len(centres)) if spread.ndim == 0 else spread
    shares = None if weights is None else torch.as_tensor(weights).double()
    near = reached(x, Mixture(centres, spread, shares))
    about = {"samples": len(x), "metrics_version": VERSION}
    return ModeCoverage(
        METRICS["modes_found"].result(vectors.found_estimate(near), about),
        METRICS["good_samples"].result(vectors.good_estimate(near), about),
        METRICS["mode_balance"].result(vectors.balance_estimate(near), about),
        near.counts.tolist(),
    )


def grid_divergence(
    log_p: LogDensity,
    log_q: LogDensity,
    sides: Sequence[tuple[float, float]],
    *,
    finest: float = float("inf"),
) -> GridDivergence:
    """Divergences of two known densities, cell by cell on a grid of one or two dimensions.

    log_p, log_q: points float64 (N, D) -> log density, nats (N,), of the data and of the model
    sides: (low, high) of each dimension; the mass beyond is in the protocol, as `outside`
    finest: the length scale of the densities: cells are at most half as long
    """
    found = vectors.on_grid(log_p, log_q, Grid.over(sides, finest))
    kl, reverse, variation = (
        METRICS[name].result(vectors.divergence_estimate(found, pick), {})
        for name, pick in vectors.DIVERGENCES.items()
    )
    return GridDivergence(kl, reverse, variation)


def _about(x: Tensor, y: Tensor) -> dict[str, object]:
    return {"samples": len(x), "real_images": len(y), "metrics_version": VERSION}


def _p_value(about: dict[str, object]) -> float:
    found = about["p_value"]
    assert isinstance(found, float)
    return found
