"""Outlier scores by the distance to the training examples, in features of any extractor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.data.dataset import Dataset
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import extract
from ptheta.extractors.gradients import Gradients
from ptheta.extractors.patches import Patches
from ptheta.extractors.reference import reference
from ptheta.extractors.vectors import Standardised
from ptheta.measures.covariance import Gaussian
from ptheta.measures.nearest import Nearest, search
from ptheta.specs import VectorSpec
from ptheta.tasks.outliers.known import Known, Scorer
from ptheta.tasks.outliers.models import LEARNED_FROM, once

NEAREST = 10  # number of neighbours
COMPONENTS = 128  # maximum number of principal components of features


@dataclass(frozen=True)
class Bank:
    """Features of the training examples, for nearest-neighbour search.

    features: float32 (M, d); spread: the mean distance of each to its own `NEAREST` neighbours,
        (M,), NaN if not computed yet
    """

    features: Tensor
    spread: Tensor = field(repr=False)

    @classmethod
    def of(cls, features: Tensor) -> Bank:
        return cls(features, torch.full((len(features),), torch.nan))

    def nearest(self, h: Tensor, k: int, but: Tensor | None = None) -> Nearest:
        """The k nearest of each of h (B, d). but: for each, an index to exclude, (B,)"""
        rows = self.features
        return search([h], rows.__getitem__, len(rows), min(k, len(rows)), but=but)

    def spread_at(self, places: Tensor) -> Tensor:
        """Mean distances of the training examples at `places` to their own neighbours: same
        shape."""
        unknown = places.unique()
        unknown = unknown[self.spread[unknown].isnan()]
        for some in unknown.split(500) if len(unknown) else ():
            others = self.nearest(self.features[some], min(NEAREST, len(self.features) - 1), some)
            self.spread[some] = others.distances.mean(1)
        return self.spread[places]


Features = Callable[[Known], Extractor]


def asked(known: Known) -> Extractor:
    """The requested extractor, by default raw pixels or standardised columns."""
    return known.extractor or numbers(known)


def numbers(known: Known) -> Extractor:
    """The raw features: pixels, or standardised columns."""
    spec = known.spec
    return Standardised(spec) if isinstance(spec, VectorSpec) else AllPixels()


def gradients(known: Known) -> Extractor:
    return once(known, "gradients", lambda: Principal.of(Gradients(), known.bank))


def patches(known: Known) -> Extractor:
    return once(known, "patches", lambda: Principal.of(Patches.of(known.bank), known.bank))


class Principal:
    """Features projected on their first principal components. The others are mostly noise, in which
    all distances are similar.

    extractor: computes the features; mean: (d,), and axes: (d, r), of training examples
    """

    classes = 0

    def __init__(self, extractor: Extractor, mean: Tensor, axes: Tensor) -> None:
        self.extractor, self.mean, self.axes = extractor, mean, axes
        known = hashlib.sha256(axes.contiguous().numpy().tobytes()).hexdigest()[:12]
        self.name = f"{extractor.name}-{axes.shape[1]}"
        self.digest, self.reads = f"{extractor.digest}-{known}", extractor.reads

    @classmethod
    def of(cls, extractor: Extractor, bank: Dataset) -> Principal:
        some = bank.shuffled(0).subset(slice(0, LEARNED_FROM))
        fitted = Gaussian.of(extract(some, extractor).features)
        return cls(extractor, fitted.mean.float(), fitted.axes[:, :COMPONENTS].float())

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return (self.extractor(x)[0].float() - self.mean) @ self.axes, None


class AllPixels:
    """All pixels as features, 0 to 255."""

    name, classes = "all-pixels", 0
    digest, reads = "1", "every pixel"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return x.flatten(1).float(), None


def bank_of(known: Known, extractor: Extractor) -> Bank:
    """The features of the training examples, cached by extractor."""
    key = ("bank", extractor.name, extractor.digest)
    return once(known, key, lambda: Bank.of(reference(known.bank, extractor).features))


def features_of(extractor: Extractor, x: Tensor) -> Tensor:
    """float32 (B, d), on the CPU."""
    return extractor(x.cpu())[0].float()


def nearest(features: Features) -> Callable[[Known], Scorer]:
    """The mean distance to the `NEAREST` training examples (Ramaswamy et al. 2000)."""

    def make(known: Known) -> Scorer:
        extractor = features(known)
        bank = bank_of(known, extractor)
        return lambda x, y: bank.nearest(features_of(extractor, x), NEAREST).distances.mean(1)

    return make


def closest(features: Features) -> Callable[[Known], Scorer]:
    """The distance to the nearest training example."""

    def make(known: Known) -> Scorer:
        extractor = features(known)
        bank = bank_of(known, extractor)
        return lambda x, y: bank.nearest(features_of(extractor, x), 1).distances[:, 0]

    return make


def relative(features: Features) -> Callable[[Known], Scorer]:
    """The mean distance to the `NEAREST` neighbours, divided by the mean of their own such
    distances, which accounts for the local density of the data."""

    def make(known: Known) -> Scorer:
        of_both = both(features)(known)
        return lambda x, y: of_both(x, y)[:, 1]

    return make


def both(features: Features) -> Callable[[Known], Scorer]:
    """The distance to the nearest and the relative distance, by a single search: (B, 2)."""

    def make(known: Known) -> Scorer:
        extractor = features(known)
        bank = bank_of(known, extractor)

        def of(x: Tensor, y: Condition | None) -> Tensor:
            found = bank.nearest(features_of(extractor, x), NEAREST)
            around = bank.spread_at(found.places).mean(1)
            far = found.distances.mean(1) / around.clamp(min=1e-9)
            return torch.stack([found.distances[:, 0], far], 1)

        return of

    return make


def mahalanobis(features: Features) -> Callable[[Known], Scorer]:
    """Mahalanobis distance to the mean, with the covariance of the training features."""

    def make(known: Known) -> Scorer:
        extractor = features(known)

        def fitted() -> Gaussian:
            some = known.bank.shuffled(0).subset(slice(0, LEARNED_FROM))
            return Gaussian.of(reference(some, extractor).features)

        gaussian = once(known, ("gaussian", extractor.name, extractor.digest), fitted)
        return lambda x, y: gaussian.distance(features_of(extractor, x))

    return make
