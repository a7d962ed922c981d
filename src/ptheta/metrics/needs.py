"""Requirements of metrics (`needs`) and conditions for reporting them (`asked`): see `Metric`."""

from __future__ import annotations

from ptheta.capabilities import Clusters, HasJoint, Samples
from ptheta.metrics.context import Context


def of_model(ctx: Context) -> bool:
    """The evaluation is of a model, not only of images."""
    return ctx.model is not None


def of_clusters(ctx: Context) -> bool:
    """The model assigns its own categories."""
    return isinstance(ctx.model, Clusters)


def of_annealing(ctx: Context) -> bool:
    """Annealed importance sampling is requested."""
    return ctx.model is not None and ctx.ais_images > 0


def of_classes(ctx: Context) -> bool:
    """The extractor is a classifier."""
    return ctx.extractor.classes > 0


def of_labels(ctx: Context) -> bool:
    """The samples are conditional on labels."""
    return samples(ctx) == "" and ctx.labels is not None


def of_labelled_classes(ctx: Context) -> bool:
    """The samples have labels to compare the classifier with."""
    return of_classes(ctx) and of_labels(ctx) and ctx.real_labels is not None


def samples(ctx: Context) -> str:
    """There are samples, or a model that can sample."""
    return "" if ctx.model is None or isinstance(ctx.model, Samples) else "it cannot sample"


def likelihood(ctx: Context) -> str:
    """The model has an exact likelihood, or a bound."""
    return "" if ctx.has_likelihood else "no likelihood"


def joint(ctx: Context) -> str:
    """The model has p(z) and p(x | z)."""
    return "" if isinstance(ctx.model, HasJoint) else "it has no p(z) and p(x | z)"


def real_labels(ctx: Context) -> str:
    """The test images have labels."""
    return "" if ctx.real_labels is not None else f"{ctx.test.name} has no labels"
