"""What samples look like beside real images: every number that needs images and features alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.metrics.bootstrap import Bootstrap, mean_result
from ptheta.metrics.diversity import scales, similarity
from ptheta.metrics.features import Extractor, Features
from ptheta.metrics.frechet import (
    LEAST_TO_EXTRAPOLATE,
    Gaussian,
    fit,
    frechet,
    frechet_draws,
    frechet_infinity,
)
from ptheta.metrics.kernel import kernel_distance, kernel_draws
from ptheta.metrics.manifold import terms
from ptheta.metrics.results import Result
from ptheta.metrics.score import (
    class_balance,
    class_score,
    classes_draws,
    effective_classes,
    missing_classes,
    score_draws,
)

MANIFOLD = ("precision", "recall", "density", "coverage")
SIDES = ("fake", "real", "fake", "real")  # whose images each of the four is a mean over
K = 5  # neighbours that make an image's ball
MANIFOLD_IMAGES = 10_000  # of either side, for the balls
# the names that the published metrics have; of any other network they would be wrong
PUBLISHED = {"inception-2015": ("fid", "kid", "inception_score")}


def names(by: Extractor) -> list[str]:
    """Of the results of `fidelity`, in their order."""
    fd, kd, scored = PUBLISHED.get(by.name, (f"fd_{by.name}", f"kd_{by.name}", f"score_{by.name}"))
    classes = [
        scored,
        *(f"{name}_{by.name}" for name in ("classes", "class_balance", "missing_classes")),
    ]
    return [
        fd,
        f"{fd}_infinity" if by.name in PUBLISHED else f"fd_infinity_{by.name}",
        kd,
        *(classes if by.classes else []),
        *(f"{name}_{by.name}" for name in MANIFOLD),
        "similarity",
    ]


def fidelity(
    images: Tensor,
    fake: Features,
    real: Features,
    by: Extractor,
    protocol: Mapping[str, Any],
    class_names: Sequence[str] = (),
) -> list[Result]:
    """images: the samples, uint8 (N, C, H, W); fake, real: features of samples and real images.

    class_names: of the classifier's classes, where they are those of the data
    """
    d = fake.features.shape[1]
    if len(fake) < 10 * d:
        warnings.warn(
            f"{len(fake)} samples are few for a Frechet distance in {d} dimensions, which is then "
            "too large: prefer the kernel distance, or draw more",
            stacklevel=3,
        )
    called = iter(names(by))
    about = dict(protocol)
    boot = Bootstrap(len(real), len(fake))
    x, y = fake.features, real.features
    on_real = fit(y)
    distance = frechet(fit(x), on_real)
    draws = frechet_draws(x, y, boot)
    results = [
        _drawn(next(called), distance, draws, about, better="lower"),
        _extrapolated(next(called), x, on_real, draws.std().item(), about),
        _drawn(
            next(called),
            *kernel_draws(x, y, boot),
            about,
            better="lower",
        ),
    ]
    if fake.logits is not None and real.logits is not None:
        results += _classes(called, fake.logits, real.logits, boot, about, class_names)
    results += _manifold(list(called)[:-1], x, y, about)
    return [*results, _similarity(images, about)]


def _drawn(
    name: str,
    value: float,
    draws: Tensor,
    about: Mapping[str, Any],
    *,
    unit: str = "",
    better: str = "",
) -> Result:
    """A result whose error is the deviation of its resamples."""
    return Result(
        name,
        value,
        unit,
        error=draws.std().item(),
        better=better,
        protocol=about,
        draws=tuple(draws.tolist()),
    )


def _classes(
    called: Any,
    fake: Tensor,
    real: Tensor,
    boot: Bootstrap,
    about: Mapping[str, Any],
    class_names: Sequence[str],
) -> list[Result]:
    """Score, classes in use, their balance, and the names of those that are missing."""
    # of 100 images at least: the score of fewer is too low
    score, score_error = class_score(fake, max(1, min(10, len(fake) // 100)))
    in_use, counts = effective_classes(fake)
    missing = missing_classes(fake, real)
    k = fake.shape[1]
    texts = class_names if len(class_names) == k else [str(y) for y in range(k)]
    balance, shares = class_balance(fake, real, boot)
    counted = {**about, "counts": counts.tolist()}
    return [
        Result(
            next(called),
            score,
            error=score_error,
            better="higher",
            protocol=about,
            draws=tuple(score_draws(fake, boot).tolist()),
        ),
        _drawn(
            next(called),
            in_use,
            classes_draws(fake, boot),
            counted,
            unit=f"of {k}",
            better="higher",
        ),
        _drawn(next(called), balance, shares, about, better="lower"),
        Result(
            next(called),
            len(missing),
            f"of {k}",
            better="lower",
            protocol=counted,
            note=", ".join(texts[y] for y in missing),
        ),
    ]


def _extrapolated(
    name: str, fake: Tensor, on_real: Gaussian, luck: float, about: Mapping[str, Any]
) -> Result:
    """The Frechet distance of infinitely many samples; luck: the error of that of these."""
    if len(fake) < LEAST_TO_EXTRAPOLATE:
        reason = f"{len(fake)} samples are too few to extrapolate from"
        return Result(name, None, better="lower", reason=reason, protocol=about)
    value, error = frechet_infinity(fake, on_real)
    both = math.hypot(error, luck)
    return Result(name, value, error=both, better="lower", protocol=about)


def _manifold(
    called: Sequence[str], fake: Tensor, real: Tensor, about: Mapping[str, Any]
) -> list[Result]:
    """Precision, recall, density and coverage by K neighbours."""
    fake, real = fake[:MANIFOLD_IMAGES], _some(real, MANIFOLD_IMAGES)
    about = {**about, "neighbours": K, "compared": [len(fake), len(real)]}
    if min(len(fake), len(real)) <= K:
        reason = f"{min(len(fake), len(real))} images have no {K} neighbours each"
        return [Result(n, None, better="higher", reason=reason, protocol=about) for n in called]
    boot = Bootstrap(len(real), len(fake))
    return [
        mean_result(name, each, boot, side, better="higher", protocol=about)
        for name, each, side in zip(called, terms(real, fake, K), SIDES, strict=True)
    ]


def _some(features: Tensor, n: int) -> Tensor:
    """At most n of them, always the same: real images may lie in the order of their classes."""
    if len(features) <= n:
        return features
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    return features[order[:n]]


def _similarity(images: Tensor, about: Mapping[str, Any]) -> Result:
    """How alike two samples look; neither direction is better, real images have a value as well."""
    if not scales(*images.shape[2:]):
        reason = f"images of {images.shape[2]}x{images.shape[3]} are smaller than its window"
        return Result("similarity", None, reason=reason, protocol=about)
    value, error = similarity(images)
    return Result("similarity", value, error=error, protocol=about)


def by_label(
    fake: Features,
    asked: Tensor,
    real: Features,
    labels: Tensor,
    by: Extractor,
    protocol: Mapping[str, Any],
    class_names: Sequence[str],
) -> list[Result]:
    """How well samples follow the labels they were asked for, int64 (N,), beside real images with
    `labels` (M,): the mean over labels of the kernel distance between those of one label (after
    Miyato & Koyama 2018, arXiv:1802.05637, section 4.1, who take the Frechet distance), and the
    share that the classifier finds to be what was asked for.

    Raises PthetaError where a label that was asked for is missing among the real images.
    """
    distances = []
    for y in asked.unique().tolist():
        own, others = fake.features[asked == y], real.features[labels == y]
        if min(len(own), len(others)) < 2:
            name = class_names[y] if y < len(class_names) else str(y)
            side = "real images" if len(others) < 2 else "samples"
            raise PthetaError(f"class {name} is missing from the labels of the {side}")
        distances.append(kernel_distance(own, others))
    mean = sum(value for value, _ in distances) / len(distances)
    error = sum(error**2 for _, error in distances) ** 0.5 / len(distances)
    distance = Result(
        f"kd_within_label_{by.name}", mean, error=error, better="lower", protocol=protocol
    )
    if fake.logits is None or real.logits is None:
        return [distance]
    boot = Bootstrap(len(real), len(fake))
    known = (real.logits.argmax(1) == labels).double().mean().item()
    name = f"label_accuracy_{by.name}"
    if known < 0.5:
        reason = f"the classifier of {by.name} has other classes than these labels"
        wrong = Result(name, None, better="higher", reason=reason, protocol=protocol)
        return [distance, wrong]
    right = (fake.logits.argmax(1) == asked).double()
    about = {**protocol, "of_real_images": round(known, 4)}
    return [distance, mean_result(name, right, boot, "fake", better="higher", protocol=about)]
