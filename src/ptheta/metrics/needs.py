"""What metrics need of an evaluation, and whether they are asked for: see `Metric`."""

from __future__ import annotations

from ptheta.capabilities import Clusters, HasJoint, Samples
from ptheta.metrics.context import Context


def of_model(ctx: Context) -> bool:
    """It is about a model, and not about images alone."""
    return ctx.model is not None


def of_clusters(ctx: Context) -> bool:
    """The model gives categories of its own."""
    return isinstance(ctx.model, Clusters)


def of_annealing(ctx: Context) -> bool:
    """Annealed importance sampling is wanted."""
    return ctx.model is not None and ctx.ais_images > 0


def of_classes(ctx: Context) -> bool:
    """The extractor is a classifier."""
    return ctx.extractor.classes > 0


def of_labels(ctx: Context) -> bool:
    """The samples were asked for by label."""
    return samples(ctx) == "" and ctx.labels is not None


def of_labelled_classes(ctx: Context) -> bool:
    """Labels to compare a classifier with."""
    return of_classes(ctx) and of_labels(ctx) and ctx.real_labels is not None


def samples(ctx: Context) -> str:
    """There are samples, or a model that gives them."""
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
