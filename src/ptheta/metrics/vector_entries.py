"""Metrics for vectors only: a part of `ptheta.metrics.table.METRICS`."""

from __future__ import annotations

from functools import partial

from ptheta.metrics import needs, vectors
from ptheta.metrics.metric import Metric, Presentation, Section
from ptheta.specs import VectorSpec

_of_vectors = partial(Metric, of=(VectorSpec,))
_on_grid = partial(
    _of_vectors,
    section=Section.DISTANCE,
    asked=needs.of_model,
    needs=(vectors.truth, vectors.grid, vectors.density),
    unit="nats",
    better="lower",
)
_tests = partial(
    _of_vectors,
    section=Section.DISTANCE,
    needs=(needs.samples, vectors.whole, vectors.enough),
    better="lower",
)
_modes = partial(
    _of_vectors, section=Section.FIDELITY, needs=(needs.samples, vectors.truth, vectors.modes)
)

OF_VECTORS: tuple[Metric, ...] = (
    _on_grid(
        "kl",
        vectors.kl,
        "KL(data || model) of the two densities on a grid",
        shown=Presentation(paired=True),
    ),
    _on_grid("reverse_kl", vectors.reverse_kl, "KL(model || data) of the two densities on a grid"),
    _on_grid(
        "total_variation",
        vectors.total_variation,
        "total variation between the two densities on a grid, 0 to 1",
        unit="",
    ),
    _tests(
        "two_sample_auc",
        vectors.two_sample_auc,
        "area under the ROC curve of a classifier of samples and test rows; 0.5 if they are alike",
    ),
    _tests(
        "two_sample_accuracy",
        vectors.two_sample_accuracy,
        "accuracy of a classifier of samples and test rows; 0.5 if they are alike",
        shown=Presentation(repeats="two_sample_auc"),
    ),
    _tests(
        "mmd",
        vectors.mmd,
        "squared maximum mean discrepancy of samples and test rows, Gaussian kernel",
        shown=Presentation(paired=True),
    ),
    _modes(
        "modes_found",
        vectors.modes_found,
        "modes of the data with a sample within 3 standard deviations",
    ),
    _modes(
        "good_samples",
        vectors.good_samples,
        "fraction of samples within 3 standard deviations of their nearest mode",
        better="higher",
    ),
    _modes(
        "mode_balance",
        vectors.mode_balance,
        "KL of the mode frequencies among good samples from the mode weights",
        unit="nats",
        better="lower",
    ),
)
