"""Metrics of two given sets of examples, without a run or a model.

A set is a path (a folder of images, or any source that `ptheta.open_data` reads), an array or a
tensor of images, a data set, or precomputed features: floats (N, D), then without an extractor. The
first set is generated, the second real. Every function returns a `Result` with its error, 95 %
interval and protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Unpack

from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.extractors.table import choose_extractor
from ptheta.measures.frechet import fit, frechet, frechet_draws
from ptheta.measures.inception_score import class_score, score_draws
from ptheta.measures.intervals import Groups, estimate
from ptheta.measures.kernel import kernel_draws
from ptheta.measures.points import check_points
from ptheta.measures.prdc import manifold
from ptheta.measures.results import About, Estimate, Evaluation, Result
from ptheta.measures.sharpness import laplacian_variance
from ptheta.metrics.classes import splits_for
from ptheta.metrics.context import Context, Given
from ptheta.metrics.copies import copying_of_angles
from ptheta.metrics.diversity import K
from ptheta.metrics.metric import Section, measure
from ptheta.metrics.pixels import sharpness_of
from ptheta.metrics.protocol import VERSION, protocol
from ptheta.metrics.reading import Examples, Read, dataset, images_in, mixed, points_of, same_images
from ptheta.metrics.table import METRICS

FEATURES = "features"  # extractor name for precomputed features


class PRDC(NamedTuple):
    """precision, recall (arXiv:1904.06991), density, coverage (arXiv:2002.09797)"""

    precision: Result
    recall: Result
    density: Result
    coverage: Result


@dataclass(frozen=True)
class Seen:
    """The features of generated (fake) and real examples, with their description."""

    fake: Features
    real: Features
    extractor: str
    about: About

    @property
    def groups(self) -> tuple[Groups, Groups]:
        return Groups(len(self.fake), "fake"), Groups(len(self.real), "real")

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        return self.fake.features, self.real.features

    def result(self, metric: str, found: Estimate) -> Result:
        """A result with the name, unit and direction of an entry of the table."""
        return METRICS[metric].result(found, {**self.about, **found.about}, self.extractor)


def seen(a: Examples, b: Examples, extractor: str | Extractor | None, how: Read) -> Seen:
    """Features of both sets by one extractor, or the given features."""
    x, y = points_of(a), points_of(b)
    if (x is None) != (y is None):
        raise PthetaError("one set contains images, the other features: give two of one kind")
    if x is None or y is None:
        fakes, reals = same_images((a, b), how)
        return _extracted(fakes, reals, extractor, how)
    if extractor is not None:
        raise PthetaError("floats (N, D) are features already: leave extractor out")
    fake, real = check_points(x, "samples"), check_points(y, "real features")
    if x.shape[1] != y.shape[1]:
        raise PthetaError(f"{x.shape[1]} and {y.shape[1]} features: take both by one extractor")
    return Seen(Features(fake, None), Features(real, None), FEATURES, _about(len(x), len(y)))


def _extracted(x: Tensor, y: Tensor, extractor: str | Extractor | None, how: Read) -> Seen:
    test = dataset(y, "real")
    by, why = choose_extractor(test, extractor)
    fake, real = (extract(part, by, processes=how.get("processes", 1)) for part in (x, y))
    return Seen(fake, real, by.name, protocol(test, by, len(x), 0, why))


def _about(samples: int, real: int) -> dict[str, object]:
    return {"extractor": FEATURES, "samples": samples, "real_images": real} | {
        "metrics_version": VERSION
    }


# -- feature metrics


def frechet_distance(
    a: Examples, b: Examples, extractor: str | Extractor | None = None, **how: Unpack[Read]
) -> Result:
    """The Frechet distance of Gaussians fitted to features (arXiv:1706.08500).

    a: generated examples; b: real examples
    extractor: a name of `ptheta.extractors.EXTRACTORS` or any `Extractor`; None for precomputed
        features, or for the default extractor of the kind of images
    how: see `Read`
    """
    of = seen(a, b, extractor, how)
    value = frechet(*map(fit, of.both))
    return of.result("fd_{extractor}", estimate(value, frechet_draws(*of.both, *of.groups)))


def kernel_distance(
    a: Examples, b: Examples, extractor: str | Extractor | None = None, **how: Unpack[Read]
) -> Result:
    """The unbiased squared MMD of features with the cubic kernel (arXiv:1801.01401). Arguments: see
    `frechet_distance`."""
    of = seen(a, b, extractor, how)
    return of.result("kd_{extractor}", estimate(*kernel_draws(*of.both, *of.groups)))


def prdc(
    a: Examples,
    b: Examples,
    extractor: str | Extractor | None = None,
    *,
    k: int = K,
    **how: Unpack[Read],
) -> PRDC:
    """Precision, recall, density and coverage of features. Arguments: see `frechet_distance`.

    k: number of neighbours that define the ball of an example
    """
    of = seen(a, b, extractor, how)
    values, found = manifold(of.real.features, of.fake.features, k)
    about = {"neighbours": k, "compared": [len(of.fake), len(of.real)]}
    each = found or (None,) * len(values)
    return PRDC(
        *(
            of.result(f"{name}_{{extractor}}", estimate(value, some, about))
            for name, value, some in zip(PRDC._fields, values, each, strict=True)
        )
    )


def inception_score(
    a: Examples, extractor: str | Extractor | None = None, **how: Unpack[Read]
) -> Result:
    """exp E KL(p(y | x) || p(y)) by a classifier (arXiv:1606.03498).

    a: generated images, or logits, floats (N, K). Other arguments: see `frechet_distance`
    """
    logits, name, about = _logits(a, extractor, how)
    splits = splits_for(len(logits))
    groups = Groups(len(logits), "fake")
    found = estimate(
        class_score(logits, splits)[0], score_draws(logits, groups, splits), {"splits": splits}
    )
    return METRICS["score_{extractor}"].result(found, {**about, "splits": splits}, name)


def _logits(a: Examples, extractor: str | Extractor | None, how: Read) -> tuple[Tensor, str, About]:
    """Logits (N, K), the name of the extractor, and a description of the images."""
    given = points_of(a)
    if given is not None:
        if extractor is not None:
            raise PthetaError("floats (N, K) are logits already: leave extractor out")
        return mixed(check_points(given, "logits")), FEATURES, _about(len(given), 0)
    x = mixed(images_in(a, how))
    by, why = choose_extractor(dataset(x, "samples"), extractor)
    if not by.classes:
        raise PthetaError(
            f"the extractor {by.name} is not a classifier, and the score needs classes: give "
            "another, such as extractor='digits'"
        )
    found = extract(x, by, processes=how.get("processes", 1)).logits
    if found is None:
        raise PthetaError(f"the extractor {by.name} has classes, but returned no logits")
    return found, by.name, protocol(dataset(x, "samples"), by, len(x), 0, why)


# -- image metrics


def sharpness(a: Examples, b: Examples, **how: Unpack[Read]) -> Result:
    """The mean variance of the Laplacian of images, divided by that of real ones: nearest 1 is
    best.

    a, b, how: see `frechet_distance`
    """
    x, y = same_images((a, b), how)
    found = sharpness_of(laplacian_variance(x), laplacian_variance(y))
    about = {"samples": len(x), "real_images": len(y), "metrics_version": VERSION}
    return METRICS["sharpness"].result(found, about)


def memorisation(
    a: Examples,
    train: Examples,
    held_out: Examples,
    extractor: str | Extractor | None = None,
    **how: Unpack[Read],
) -> Evaluation:
    """Tests whether generated examples copy the training data: the section Memorisation of a
    report.

    a: generated examples; train: training data; held_out: real examples not used in training, as a
        reference for distances to `train`
    extractor, how: see `frechet_distance`. For features there is only the copying test on angles
    """
    points = [points_of(given) for given in (a, train, held_out)]
    if any(part is not None for part in points):
        return _of_angles([part for part in points if part is not None], extractor)
    x, y, z = same_images((a, train, held_out), how)
    test, train_set = dataset(z, "test"), dataset(y, "train")
    by, why = choose_extractor(test, extractor)
    about = protocol(test, by, len(x), 0, why)
    ctx = Context(test, by, about, train=train_set, given=Given(mixed(x)))
    entries = (m for m in METRICS.values() if m.section is Section.MEMORISATION)
    return Evaluation(tuple(measure(ctx, entries)), about)


def _of_angles(points: Sequence[Tensor], extractor: str | Extractor | None) -> Evaluation:
    names = ("samples", "training features", "held-out features")
    if len(points) < len(names) or extractor is not None:
        raise PthetaError("floats (N, D) are features: give all three so, and no extractor")
    x, train, held = (check_points(p, name) for p, name in zip(points, names, strict=True))
    about = _about(len(x), len(held))
    found = METRICS["copying_z_{extractor}"].result(
        copying_of_angles(x, train, held), about, FEATURES
    )
    return Evaluation((found,), about)
