"""What samples look like beside real images: every number that needs images and features alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ptheta.extractors.features import Extractor, Features
from ptheta.measures.diversity import scales, similarity
from ptheta.measures.frechet import (
    LEAST_TO_EXTRAPOLATE,
    fit,
    frechet,
    frechet_draws,
    frechet_infinity,
)
from ptheta.measures.inception_score import (
    balance_draws,
    class_balance,
    class_score,
    classes_draws,
    effective_classes,
    missing_classes,
    score_draws,
)
from ptheta.measures.intervals import Groups, drawn, draws, mean_result
from ptheta.measures.kernel import kernel_draws
from ptheta.measures.prdc import manifold
from ptheta.measures.results import Draws, Result

MANIFOLD = ("precision", "recall", "density", "coverage")
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
    if min(len(fake), len(real)) < 10 * d:
        few, cure = (len(fake), "samples"), "draw more"
        if len(real) < len(fake):
            few, cure = (len(real), "real images"), "give more of them"
        warnings.warn(
            f"{few[0]} {few[1]} are few for a Frechet distance in {d} dimensions, which is then "
            f"too large: prefer the kernel distance, or {cure}",
            stacklevel=3,
        )
    found = of_features(fake, real, by, protocol, class_names)
    return [*found, _similarity(images, dict(protocol))]


def of_features(
    fake: Features,
    real: Features,
    by: Extractor,
    protocol: Mapping[str, Any],
    class_names: Sequence[str] = (),
) -> list[Result]:
    """Every result of `fidelity` that needs no images."""
    called = names(by)[:-1]
    about = dict(protocol)
    fakes, reals = Groups(len(fake), "fake"), Groups(len(real), "real")
    x, y = fake.features, real.features
    fd, infinity, kd, *classes = called[:-4]
    distance, found = frechet(fit(x), fit(y)), frechet_draws(x, y, fakes, reals)
    results = [
        drawn(fd, distance, found, about, better="lower"),
        _extrapolated(infinity, distance, found, fakes, reals, about),
        drawn(kd, *kernel_draws(x, y, fakes, reals), about, better="lower"),
    ]
    if fake.logits is not None and real.logits is not None:
        results += _classes(classes, fake.logits, real.logits, about, class_names)
    return [*results, *_manifold(called[-4:], x, y, about)]


def _classes(
    called: Sequence[str],
    fake: Tensor,
    real: Tensor,
    about: Mapping[str, Any],
    class_names: Sequence[str],
) -> list[Result]:
    """Score, classes in use, their balance, and the names of those that are missing."""
    fakes, reals = Groups(len(fake), "fake"), Groups(len(real), "real")
    # of 100 images at least: the score of fewer is too low
    splits = max(1, min(10, len(fake) // 100))
    in_use, counts = effective_classes(fake)
    missing = missing_classes(fake, real)
    k = fake.shape[1]
    texts = class_names if len(class_names) == k else [str(y) for y in range(k)]
    counted = {**about, "counts": counts.tolist()}
    shares = balance_draws(fake, real, fakes, reals)
    return [
        drawn(
            called[0],
            class_score(fake, splits)[0],
            score_draws(fake, fakes, splits),
            {**about, "splits": splits},
            better="higher",
        ),
        drawn(
            called[1],
            in_use,
            classes_draws(fake, fakes),
            counted,
            unit=f"of {k}",
            better="higher",
        ),
        drawn(called[2], class_balance(fake, real), shares, about, better="lower"),
        # a count of small tests has no error of its own, so it is not ranked: the balance is
        Result(
            called[3],
            len(missing),
            f"of {k}",
            protocol=counted,
            note=", ".join(texts[y] for y in missing),
        ),
    ]


def _extrapolated(
    name: str,
    distance: float,
    found: Draws | None,
    fakes: Groups,
    reals: Groups,
    about: Mapping[str, Any],
) -> Result:
    """The Frechet distance of infinitely many samples and real images."""
    least = min(fakes.n, reals.n)
    if found is None or least < LEAST_TO_EXTRAPOLATE:
        reason = f"{least} images are too few to extrapolate from"
        return Result(name, None, better="lower", reason=reason, protocol=about)
    return drawn(name, *frechet_infinity(distance, found, fakes, reals), about, better="lower")


def _manifold(
    called: Sequence[str], fake: Tensor, real: Tensor, about: Mapping[str, Any]
) -> list[Result]:
    """Precision, recall, density and coverage by K neighbours."""
    fake, real = fake[:MANIFOLD_IMAGES], _some(real, MANIFOLD_IMAGES)
    about = {**about, "neighbours": K, "compared": [len(fake), len(real)]}
    if min(len(fake), len(real)) <= K:
        reason = f"{min(len(fake), len(real))} images have no {K} neighbours each"
        return [Result(n, None, better="higher", reason=reason, protocol=about) for n in called]
    values, found = manifold(real, fake, K)
    each = found or (None,) * len(values)
    return [
        drawn(name, value, some, about, better="higher")
        for name, value, some in zip(called, values, each, strict=True)
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

    Every label that both sides have at least two images of counts alike; the others are named.
    """
    return [
        _within_labels(fake.features, asked, real.features, labels, by, protocol, class_names),
        *_followed(fake, asked, real, labels, by, protocol),
    ]


def _within_labels(
    fake: Tensor,
    asked: Tensor,
    real: Tensor,
    labels: Tensor,
    by: Extractor,
    protocol: Mapping[str, Any],
    class_names: Sequence[str],
) -> Result:
    fakes, reals = Groups(len(fake), "fake"), Groups(len(real), "real")
    distances: list[float] = []
    found: list[Draws | None] = []
    absent = []
    for y in torch.cat([asked, labels]).unique().tolist():
        own, others = asked == y, labels == y
        if min(own.sum(), others.sum()) < 2:
            absent.append(class_names[y] if y < len(class_names) else str(y))
            continue
        # of the groups of all, so that those of two models leave out the same real images
        value, some = kernel_draws(fake[own], real[others], fakes.part(own), reals.part(others))
        distances.append(value)
        found.append(some)
    name = f"kd_within_label_{by.name}"
    if not distances:
        reason = "no label has two samples and two real images"
        return Result(name, None, better="lower", reason=reason, protocol=protocol)
    every = [some for some in found if some is not None]
    whole = None
    if len(every) == len(found):
        of_fake, of_real = (
            torch.tensor(side, dtype=torch.float64).mean(0)
            for side in ([d.fake for d in every], [d.real for d in every])
        )
        whole = draws(of_fake, of_real)
    note = f"without {', '.join(absent)}: fewer than two images of a side" if absent else ""
    about = {**protocol, "labels": len(distances)}
    mean = sum(distances) / len(distances)
    return drawn(name, mean, whole, about, better="lower", note=note)


def _followed(
    fake: Features,
    asked: Tensor,
    real: Features,
    labels: Tensor,
    by: Extractor,
    protocol: Mapping[str, Any],
) -> list[Result]:
    """The share of samples that the classifier finds to be what was asked for."""
    if fake.logits is None or real.logits is None:
        return []
    known = (real.logits.argmax(1) == labels).double().mean().item()
    name = f"label_accuracy_{by.name}"
    if known < 0.5:
        reason = f"the classifier of {by.name} has other classes than these labels"
        return [Result(name, None, better="higher", reason=reason, protocol=protocol)]
    right = (fake.logits.argmax(1) == asked).double()
    about = {**protocol, "of_real_images": round(known, 4)}
    return [mean_result(name, right, Groups(len(fake), "fake"), about, better="higher")]
