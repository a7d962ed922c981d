"""Classifier-based metrics of samples: Inception Score, class balance, and agreement with the
condition."""

from __future__ import annotations

from ptheta.measures.inception_score import (
    balance_draws,
    class_balance,
    class_score,
    classes_draws,
    effective_classes,
    missing_classes,
    score_draws,
)
from ptheta.measures.intervals import Groups, estimate, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.context import Context

SPLITS, LEAST = 10, 100  # maximum number of splits of the score; minimum samples per split
KNOWN = 0.5  # minimum accuracy on real images; below it the classes do not match the labels


def splits_for(n: int) -> int:
    """The number of splits for n samples; splits of fewer than `LEAST` would bias the score
    down."""
    return max(1, min(SPLITS, n // LEAST))


def inception_score(ctx: Context) -> Estimate:
    """exp E KL(p(y | x) || p(y)): see `ptheta.measures.inception_score.class_score`."""
    fake, _ = ctx.logits
    splits = splits_for(len(fake))
    found = score_draws(fake, ctx.fakes, splits)
    return estimate(class_score(fake, splits)[0], found, {"splits": splits})


def classes_in_use(ctx: Context) -> Estimate:
    """Effective number of classes: exp of the entropy of the predicted classes."""
    fake, _ = ctx.logits
    value, counts = effective_classes(fake)
    return estimate(value, classes_draws(fake, ctx.fakes), {"counts": counts.tolist()})


def balance(ctx: Context) -> Estimate:
    """Total variation between the predicted classes of samples and of real images."""
    fake, real = ctx.logits
    return estimate(class_balance(fake, real), balance_draws(fake, real, ctx.fakes, ctx.reals))


def missing(ctx: Context) -> Estimate:
    """Number of classes that are much rarer than in the test data. It has no error and is not
    ranked; the balance is."""
    fake, real = ctx.logits
    found, (_, counts) = missing_classes(fake, real), effective_classes(fake)
    names = ctx.class_names if found else ()
    texts = [names[y] if len(names) == fake.shape[1] else str(y) for y in found]
    return Estimate(len(found), about={"counts": counts.tolist()}, note=", ".join(texts))


def label_accuracy(ctx: Context) -> Estimate:
    """The fraction of samples that the classifier assigns to the requested label."""
    fake, real = ctx.logits
    asked, labels = ctx.both_labels
    known = (real.argmax(1) == labels).double().mean().item()
    if known < KNOWN:
        reason = f"the classifier of {ctx.extractor.name} has other classes than these labels"
        return Estimate(None, reason=reason)
    right = (fake.argmax(1) == asked).double()
    about = {"of_real_images": round(known, 4)}
    return mean_estimate(right, Groups(len(fake), "fake"), about)
