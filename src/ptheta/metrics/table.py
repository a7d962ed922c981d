"""The table of all metrics of an evaluation, in the order of its rows."""

from __future__ import annotations

from functools import partial

from ptheta import plugins
from ptheta.measures.results import About, Estimate
from ptheta.metrics import classes, copies, distances, diversity, needs, pixels
from ptheta.metrics.ais import nll_ais
from ptheta.metrics.caption_entries import OF_CAPTIONS
from ptheta.metrics.clustering import clustering
from ptheta.metrics.completions import OF_COMPLETIONS
from ptheta.metrics.context import Context
from ptheta.metrics.copies import TEST, TRAIN, copying_z, copying_z_in_features
from ptheta.metrics.factors import OF_FACTORS
from ptheta.metrics.likelihood import (
    bits_per_dim,
    elbo_gap,
    elbo_terms,
    has_finite_bound,
    neg_elbo,
    nll,
)
from ptheta.metrics.metric import Metric, MetricInfo, Presentation, Role, Section
from ptheta.metrics.path_length import codes_with_a_prior, mean_path_length
from ptheta.metrics.speed import speed
from ptheta.metrics.translation_entries import OF_TRANSLATIONS
from ptheta.metrics.vector_entries import OF_VECTORS
from ptheta.specs import ImageSpec

BITS, NATS, RATE = "bits/dim", "nats/{example}", "{example}s/s"


def parameters(ctx: Context) -> Estimate:
    """Number of parameters of the model, including frozen ones."""
    return Estimate(sum(p.numel() for p in ctx.the_model.parameters()), error=0.0)


def importance_samples(ctx: Context) -> About:
    """Settings of a bound."""
    return {"importance_samples": ctx.is_k}


def annealed_images(ctx: Context) -> About:
    """Settings of annealed importance sampling."""
    return {"ais_images": ctx.ais_images}


OF_FD = Presentation(repeats="fd")
_likelihood = partial(
    Metric,
    section=Section.LIKELIHOOD,
    needs=(needs.likelihood,),
    asked=needs.of_model,
    settings=importance_samples,
)
_bound = partial(Metric, section=Section.LIKELIHOOD, asked=has_finite_bound, unit=NATS)
_distance = partial(Metric, section=Section.DISTANCE, needs=(needs.samples,), better="lower")
_fidelity = partial(Metric, section=Section.FIDELITY, needs=(needs.samples,))
_copies = partial(
    Metric, section=Section.MEMORISATION, needs=(needs.samples, copies.training_images)
)
_cost = partial(Metric, section=Section.COST, asked=needs.of_model)
_classes = partial(_fidelity, asked=needs.of_classes)

_LIKELIHOODS: tuple[Metric, ...] = (
    _likelihood(
        "bits_per_dim{given}",
        bits_per_dim,
        "-log2 p of a test image per sub-pixel; exact, or from a bound",
        of=(ImageSpec,),
        unit=BITS,
        better="lower",
        shown=Presentation(Role.LIKELIHOOD, paired=True, signed=True),
    ),
    _likelihood(
        "nll{given}",
        nll,
        "-log p of a test example",
        unit=NATS,
        better="lower",
        shown=Presentation(Role.LIKELIHOOD, paired=True, repeats="bits_per_dim", signed=True),
    ),
    _bound("neg_elbo{given}", neg_elbo, "-ELBO of a test example"),
    _bound("elbo_{term}{given}", elbo_terms, "a term of the ELBO"),
    _bound(
        "elbo_gap{given}",
        elbo_gap,
        "how much tighter the importance bound is than the ELBO",
        settings=importance_samples,
    ),
    Metric(
        "clustering_accuracy",
        clustering,
        "fraction of test examples whose category matches their label, under the best matching",
        Section.FIDELITY,
        needs=(needs.real_labels,),
        asked=needs.of_clusters,
        better="higher",
    ),
    Metric(
        "nll_ais{given}",
        nll_ais,
        "-log p of a test example by annealed importance sampling, an upper bound",
        Section.LIKELIHOOD,
        needs=(needs.joint,),
        asked=needs.of_annealing,
        unit=NATS,
        better="lower",
        shown=Presentation(repeats="nll", signed=True),
        settings=annealed_images,
    ),
)
_DISTANCES: tuple[Metric, ...] = (
    _distance(
        "fd_{extractor}",
        distances.fd,
        "Frechet distance of samples and test examples in features",
        published="fid",
        shown=Presentation(paired=True),
    ),
    _distance(
        "fd_infinity_{extractor}",
        distances.fd_infinity,
        "Frechet distance of infinitely many samples and real examples",
        published="fid_infinity",
        shown=OF_FD,
    ),
    _distance(
        "kd_{extractor}",
        distances.kd,
        "kernel distance of samples and test examples in features, unbiased",
        published="kid",
        shown=Presentation(Role.DISTANCE, paired=True),
    ),
    _distance(
        "score_{extractor}",
        classes.inception_score,
        "exp E KL(p(y given x), p(y)) by the classifier of the features",
        asked=needs.of_classes,
        better="higher",
        published="inception_score",
    ),
)
_FIDELITY: tuple[Metric, ...] = (
    _classes(
        "classes_{extractor}",
        classes.classes_in_use,
        "number of classes in use: exp of the entropy of the predicted classes",
        unit="of {classes}",
        better="higher",
    ),
    _classes(
        "class_balance_{extractor}",
        classes.balance,
        "total variation between the predicted classes of samples and of test examples",
        better="lower",
    ),
    _classes(
        "missing_classes_{extractor}",
        classes.missing,
        "classes less than a tenth as frequent as among test examples",
        unit="of {classes}",
    ),
    _fidelity(
        "precision_{extractor}",
        diversity.precision,
        "fraction of samples among the neighbours of a test example",
        better="higher",
        shown=Presentation(Role.PRECISION),
    ),
    _fidelity(
        "recall_{extractor}",
        diversity.recall,
        "fraction of test examples among the neighbours of a sample",
        better="higher",
        shown=Presentation(Role.RECALL),
    ),
    _fidelity(
        "density_{extractor}",
        diversity.density,
        "number of test examples with the sample among their neighbours, per sample",
        better="higher",
    ),
    _fidelity(
        "coverage_{extractor}",
        diversity.coverage,
        "fraction of test examples with a sample among their neighbours",
        better="higher",
    ),
    _fidelity(
        "similarity",
        pixels.alikeness,
        "mean structural similarity of two samples",
        of=(ImageSpec,),
    ),
    _fidelity(
        "sharpness",
        pixels.sharpness,
        "variance of the Laplacian of samples over that of test images",
        of=(ImageSpec,),
        unit="times real",
        better="nearest 1",
    ),
    Metric(
        "kd_within_label_{extractor}",
        distances.kd_within_label,
        "kernel distance within each label, averaged over labels",
        Section.DISTANCE,
        needs=(needs.real_labels,),
        asked=needs.of_labels,
        better="lower",
        shown=Presentation(Role.DISTANCE, paired=True),
    ),
    Metric(
        "label_accuracy_{extractor}",
        classes.label_accuracy,
        "fraction of samples classified as their condition",
        Section.DISTANCE,
        asked=needs.of_labelled_classes,
        better="higher",
    ),
)
_MEMORISATION: tuple[Metric, ...] = (
    _copies(
        "train_distance_ratio",
        copies.train_distance_ratio,
        "median distance of samples to the training examples over that of test examples",
    ),
    _copies(
        "copied_share",
        partial(copies.share_of_copies, TRAIN),
        "fraction of samples nearer to a training example than 99 % of test examples",
    ),
    _copies(
        "copying_z",
        partial(copying_z, TRAIN),
        "Mann-Whitney z of distances to the training examples; below -3: copies",
    ),
    _copies(
        "copied_share_test",
        partial(copies.share_of_copies, TEST),
        "fraction of samples nearer to a test example than 99 % of training examples",
    ),
    _copies(
        "copying_z_test",
        partial(copying_z, TEST),
        "Mann-Whitney z of distances to the test examples; below -3: copies",
    ),
    _copies(
        "copying_z_{extractor}",
        partial(copying_z_in_features, TRAIN),
        "Mann-Whitney z of angles in features to the training examples; below -3: copies",
        of=(ImageSpec,),
    ),
    _copies(
        "copying_z_test_{extractor}",
        partial(copying_z_in_features, TEST),
        "Mann-Whitney z of angles in features to the test examples; below -3: copies",
        of=(ImageSpec,),
    ),
    _copies(
        "fd_memorisation_{extractor}",
        copies.fd_memorisation,
        "Frechet distance times a penalty for copies of real images",
        of=(ImageSpec,),
        better="lower",
        shown=OF_FD,
    ),
)
_OTHERS: tuple[Metric, ...] = (
    Metric(
        "path_length_{extractor}",
        mean_path_length,
        "change of features along paths between codes",
        Section.FIDELITY,
        needs=(needs.samples, codes_with_a_prior),
        asked=needs.of_model,
        better="lower",
    ),
    _cost(
        "sampling_speed",
        speed,
        "samples per second, in batches of 64, on this machine",
        needs=(needs.samples,),
        unit=RATE,
        better="higher",
        shown=Presentation(Role.SPEED),
        lasting=False,
    ),
    _cost("parameters", parameters, "number of trained parameters"),
)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(*_LIKELIHOODS, *_DISTANCES, *_FIDELITY, *OF_FACTORS, *OF_VECTORS),
        *(*OF_CAPTIONS, *OF_TRANSLATIONS, *OF_COMPLETIONS, *_MEMORISATION, *_OTHERS),
    )
}


def list_metrics() -> dict[str, MetricInfo]:
    """List every metric with its description, by name with X for the extractor, T for a term and D
    for a domain."""
    plugins.load()
    return {metric.title: metric.info() for metric in METRICS.values()}


# families of metrics -> display names, if different from the name
WORDS = {
    "bits_per_dim": "bits per dimension",
    "nll": "negative log-likelihood",
    "neg_elbo": "negative ELBO",
    "nll_ais": "negative log-likelihood by annealing",
    "fd": "Frechet distance",
    "fd_infinity": "Frechet distance of infinite samples",
    "kd": "kernel distance",
    "kd_within_label": "kernel distance within labels",
    "information_gap": "mutual information gap",
    "score": "classifier score",
    "classes": "classes in use",
    "class_balance": "imbalance of classes",
    "kl": "KL(data || model)",
    "reverse_kl": "KL(model || data)",
    "two_sample_auc": "AUC of a two-sample test",
    "two_sample_accuracy": "accuracy of a two-sample test",
    "mmd": "maximum mean discrepancy",
    "iou": "intersection over union",
    "fd_memorisation": "Frechet distance with memorisation",
}


def words(result: str) -> str:
    """Display name of a result: its metric, with details in brackets."""
    metric = metric_of(result)
    if metric is None or metric.family not in WORDS:
        return result.replace("_", " ")
    of = result.removeprefix(metric.family).strip("_").replace("_", " ")
    return f"{WORDS[metric.family]} ({of})" if of else WORDS[metric.family]


def metric_of(result: str) -> Metric | None:
    """The metric of a result name; None if unknown.

    If several match, the most specific one is returned: `fd_infinity_{extractor}` for
    `fd_infinity_digits`.
    """
    fits = [metric for metric in METRICS.values() if metric.names(result)]
    return max(fits, key=lambda metric: len(metric.family), default=None)
