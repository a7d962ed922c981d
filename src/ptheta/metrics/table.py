"""Every metric that an evaluation has, in the order of its rows: one entry each."""

from __future__ import annotations

from functools import partial

from ptheta.measures.results import Estimate
from ptheta.metrics import classes, distances, diversity, memorisation, needs
from ptheta.metrics.ais import nll_ais
from ptheta.metrics.clustering import clustering
from ptheta.metrics.context import Context
from ptheta.metrics.likelihood import (
    bits_per_dim,
    elbo_gap,
    elbo_terms,
    has_finite_bound,
    neg_elbo,
    nll,
)
from ptheta.metrics.memorisation import TEST, TRAIN, copying_z, copying_z_in_features
from ptheta.metrics.metric import Metric, Section
from ptheta.metrics.path_length import codes_with_a_prior, mean_path_length
from ptheta.metrics.speed import speed

BITS, NATS, RATE = "bits/dim", "nats/image", "images/s"


def parameters(ctx: Context) -> Estimate:
    """Numbers that the model has learned, frozen ones included."""
    return Estimate(sum(p.numel() for p in ctx.the_model.parameters()), error=0.0)


_likelihood = partial(
    Metric, section=Section.LIKELIHOOD, needs=(needs.likelihood,), asked=needs.of_model
)
_bound = partial(Metric, section=Section.LIKELIHOOD, asked=has_finite_bound, unit=NATS)
_distance = partial(Metric, section=Section.DISTANCE, needs=(needs.samples,), better="lower")
_fidelity = partial(Metric, section=Section.FIDELITY, needs=(needs.samples,))
_copies = partial(
    Metric, section=Section.MEMORISATION, needs=(needs.samples, memorisation.training_images)
)
_cost = partial(Metric, section=Section.COST, asked=needs.of_model)
_classes = partial(_fidelity, asked=needs.of_classes)

_ENTRIES: tuple[Metric, ...] = (
    _likelihood("bits_per_dim{given}", bits_per_dim, unit=BITS, better="lower"),
    _likelihood("nll{given}", nll, unit=NATS, better="lower"),
    _bound("neg_elbo{given}", neg_elbo),
    _bound("elbo_{term}{given}", elbo_terms),
    _bound("elbo_gap{given}", elbo_gap),
    Metric(
        "clustering_accuracy",
        clustering,
        Section.FIDELITY,
        needs=(needs.real_labels,),
        asked=needs.of_clusters,
        better="higher",
    ),
    Metric(
        "nll_ais{given}",
        nll_ais,
        Section.LIKELIHOOD,
        needs=(needs.joint,),
        asked=needs.of_annealing,
        unit=NATS,
        better="lower",
    ),
    _distance("fd_{extractor}", distances.fd, published="fid"),
    _distance("fd_infinity_{extractor}", distances.fd_infinity, published="fid_infinity"),
    _distance("kd_{extractor}", distances.kd, published="kid"),
    _distance(
        "score_{extractor}",
        classes.inception_score,
        asked=needs.of_classes,
        better="higher",
        published="inception_score",
    ),
    _classes("classes_{extractor}", classes.classes_in_use, unit="of {classes}", better="higher"),
    _classes("class_balance_{extractor}", classes.balance, better="lower"),
    _classes("missing_classes_{extractor}", classes.missing, unit="of {classes}"),
    _fidelity("precision_{extractor}", diversity.precision, better="higher"),
    _fidelity("recall_{extractor}", diversity.recall, better="higher"),
    _fidelity("density_{extractor}", diversity.density, better="higher"),
    _fidelity("coverage_{extractor}", diversity.coverage, better="higher"),
    _fidelity("similarity", diversity.alikeness),
    Metric(
        "kd_within_label_{extractor}",
        distances.kd_within_label,
        Section.DISTANCE,
        needs=(needs.real_labels,),
        asked=needs.of_labels,
        better="lower",
    ),
    Metric(
        "label_accuracy_{extractor}",
        classes.label_accuracy,
        Section.DISTANCE,
        asked=needs.of_labelled_classes,
        better="higher",
    ),
    _copies("train_distance_ratio", memorisation.train_distance_ratio),
    _copies("copied_share", partial(memorisation.share_of_copies, TRAIN)),
    _copies("copying_z", partial(copying_z, TRAIN)),
    _copies("copied_share_test", partial(memorisation.share_of_copies, TEST)),
    _copies("copying_z_test", partial(copying_z, TEST)),
    _copies("copying_z_{extractor}", partial(copying_z_in_features, TRAIN)),
    _copies("copying_z_test_{extractor}", partial(copying_z_in_features, TEST)),
    _copies("fd_memorisation_{extractor}", memorisation.fd_memorisation, better="lower"),
    Metric(
        "path_length_{extractor}",
        mean_path_length,
        Section.FIDELITY,
        needs=(needs.samples, codes_with_a_prior),
        asked=needs.of_model,
        better="lower",
    ),
    _cost("sampling_speed", speed, needs=(needs.samples,), unit=RATE, better="higher"),
    _cost("parameters", parameters),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ENTRIES}


def metric_of(result: str) -> Metric | None:
    """The metric that a result of this name is of; None for one that is of none.

    Where several may be meant it is the one that leaves least open: `fd_infinity_digits` is of
    `fd_infinity_{extractor}`.
    """
    fits = [metric for metric in METRICS.values() if metric.names(result)]
    return max(fits, key=lambda metric: len(metric.family), default=None)
