"""Outlier scores by the trained model itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection
from io import BytesIO
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ptheta.batch import Condition
from ptheta.capabilities import (
    Discriminates,
    Encodes,
    HasBound,
    HasEnergy,
    HasLogProb,
)
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.measures.covariance import Gaussian
from ptheta.tasks.needs import Autoencodes, refusal, require
from ptheta.tasks.outliers.known import Known, Scorer, blocks

T = TypeVar("T")
LEARNED_FROM = 5000  # training examples to estimate a mean or a covariance


def once(known: Known, key: object, make: Callable[[], T]) -> T:
    """Compute a value once for all scores of the same `known`, on first use."""
    if key not in known.made:
        known.made[key] = make()
    found: T = known.made[key]  # type: ignore[assignment]
    return found


def log_likelihood(known: Known) -> Scorer:
    model = require(known.model, HasLogProb, "score by log-likelihood")
    return lambda x, y: -model.log_prob(x, y)


def elbo(known: Known) -> Scorer:
    model = require(known.model, HasBound, "score by a bound")
    return lambda x, y: -model.elbo(x, y)


def importance(known: Known) -> Scorer:
    model = require(known.model, HasBound, "score by an importance bound")
    return lambda x, y: -model.importance_bound(x, known.samples, y)


def energy(known: Known) -> Scorer:
    model = require(known.model, HasEnergy, "score by energy")
    return lambda x, y: model.energy(x)


def discriminator(known: Known) -> Scorer:
    model = require(known.model, Discriminates, "score by a discriminator")
    return lambda x, y: -model.discriminate(x, y)


def reconstruction(known: Known) -> Scorer:
    """The root mean squared error, for images in pixel values."""
    model = require(known.model, Autoencodes, "score by reconstruction")
    spec = known.spec

    def of(x: Tensor, y: Condition | None) -> Tensor:
        back = model.decode(model.encode(x, y), y)
        return (spec.compared(x) - spec.compared(back)).square().mean(1).sqrt()

    return of


def latent(known: Known) -> Scorer:
    """Mahalanobis distance of the code to the codes of training examples."""
    model = require(known.model, Encodes, "score by codes")

    def fitted() -> Gaussian:
        some = known.bank.shuffled(0).subset(slice(0, LEARNED_FROM))
        codes = [model.encode(x, y).float().cpu() for x, y in blocks(known.model, some, "codes")]
        return Gaussian.of(torch.cat(codes))

    gaussian = once(known, "codes", fitted)
    return lambda x, y: gaussian.distance(model.encode(x, y).float().cpu())


def best_likelihood(known: Known) -> Scorer:
    """-log p(x) if the model has it, up to a constant if it has an energy, else -ELBO(x)."""
    if isinstance(known.model, HasLogProb):
        return log_likelihood(known)
    if isinstance(known.model, HasEnergy):
        return energy(known)
    if isinstance(known.model, HasBound):
        return elbo(known)
    raise refusal(known.model, HasLogProb, "score by a likelihood", "nor a bound of it")


def typicality(known: Known) -> Scorer:
    """|-log p(x) - H| for each example, H the mean of -log p over training examples."""
    own = best_likelihood(known)

    def entropy() -> float:
        some = known.bank.shuffled(0).subset(slice(0, LEARNED_FROM))
        with seeded(known.seed):
            found = [own(x, y) for x, y in blocks(known.model, some, "entropy")]
        return torch.cat(found).double().mean().item()

    level = once(known, "entropy", entropy)
    return lambda x, y: (own(x, y) - level).abs()


def background_ratio(known: Known) -> Scorer:
    """-(log p(x) - log p_0(x)), p_0 the background model."""
    if known.background is None:
        raise PthetaError(
            "the background score needs a second run, of a model trained on background data: "
            "give --background RUN (see docs/outliers.md)"
        )
    own = best_likelihood(known)
    other = best_likelihood(
        Known(known.background, known.bank, samples=known.samples, seed=known.seed)
    )
    return lambda x, y: own(x, y) - other(x, y)


def png_size(image: np.ndarray) -> int | None:
    """uint8 (C, H, W) -> bytes of its PNG; None unless it has 1 or 3 channels."""
    if image.shape[0] not in (1, 3):
        return None
    file = BytesIO()
    pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "png", optimize=True)
    return file.tell()


def zlib_size(image: np.ndarray) -> int:
    """uint8 (C, H, W) -> bytes of all its levels after zlib compression."""
    return len(zlib.compress(image.tobytes(), 9))


# lossless; None if a compressor does not support such an image
COMPRESSORS: dict[str, Callable[[np.ndarray], int | None]] = {"png": png_size, "zlib": zlib_size}


def compressed_bytes(x: Tensor, compressors: Collection[str] = COMPRESSORS) -> Tensor:
    """The smallest lossless size of each image over these compressors, by zlib if none of them
    supports it: float64 (B,)."""
    return torch.tensor([_least(image, compressors) for image in x.cpu().numpy()]).double()


def _least(image: np.ndarray, compressors: Collection[str]) -> int:
    sizes = [size for name in compressors if (size := COMPRESSORS[name](image)) is not None]
    return min(sizes) if sizes else zlib_size(image)


def compression_ratio(known: Known) -> Scorer:
    """-(log p(x) + L(x)), L the smallest compressed size in nats over several compressors (Serra et
    al. 2020, arXiv:1909.11480)."""
    own, nats = best_likelihood(known), 8 * math.log(2)  # of one byte
    return lambda x, y: own(x, y).cpu().double() - nats * compressed_bytes(x)
