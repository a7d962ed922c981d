"""Baselines: outlier scores without a model."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.measures.covariance import Gaussian
from ptheta.specs import ImageSpec
from ptheta.tasks.outliers.distances import features_of, numbers
from ptheta.tasks.outliers.known import Known, Scorer
from ptheta.tasks.outliers.models import LEARNED_FROM, compressed_bytes, once

PRINCIPAL = 64  # number of principal components, at most half the dimensions


def zero_pixels(known: Known) -> Scorer:
    """The fraction of sub-pixels that are 0."""
    return lambda x, y: (x == 0).flatten(1).double().mean(1)


def png_bytes(known: Known) -> Scorer:
    """The negative size as PNG: simple images score higher."""
    return lambda x, y: -compressed_bytes(x, ("png",))


def _gaussian(known: Known) -> Gaussian:
    def fitted() -> Gaussian:
        some = known.bank.shuffled(0).subset(slice(0, LEARNED_FROM))
        x = some.batch(slice(0, len(some))).x
        return Gaussian.of(known.spec.compared(x))

    return once(known, "gaussian of numbers", fitted)


def principal_error(known: Known) -> Scorer:
    """The reconstruction error of PCA."""
    gaussian, extractor = _gaussian(known), numbers(known)
    count = max(1, min(PRINCIPAL, len(gaussian.mean) // 2))
    return lambda x, y: gaussian.left_over(features_of(extractor, x), count)


def gaussian_surprise(known: Known) -> Scorer:
    gaussian, extractor = _gaussian(known), numbers(known)
    return lambda x, y: gaussian.surprise(features_of(extractor, x))


def independent_pixels(known: Known) -> Scorer:
    """-sum_i log p_i(x_i), where p_i is the histogram of a sub-pixel with add-one smoothing."""
    spec = known.spec
    assert isinstance(spec, ImageSpec)

    def counted() -> Tensor:
        some = known.bank.shuffled(0).subset(slice(0, 4 * LEARNED_FROM))
        counts = torch.ones(spec.dims, 256)
        for start in range(0, len(some), 500):
            x = some.batch(slice(start, min(start + 500, len(some)))).x.flatten(1).long()
            counts.scatter_add_(1, x.T, torch.ones(x.T.shape))
        return (counts / counts.sum(1, keepdim=True)).log()

    log_p = once(known, "shares", counted)

    def of(x: Tensor, y: object) -> Tensor:
        values = x.cpu().flatten(1).long()
        return -log_p.gather(1, values.T).sum(0)

    return of
