"""How near samples are to the training images, in pixels and in features: memorisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.metrics.features import Extractor, Features
from ptheta.metrics.images import fixed
from ptheta.metrics.memorisation import copying_test, cosine_distance, memorisation_factor
from ptheta.metrics.neighbours import copied_share, nearest, ratio_of_medians
from ptheta.metrics.reference import reference
from ptheta.metrics.results import Result

NEIGHBOURS = 500  # samples compared with the training set, and as many held-out images
TRAINING = 10_000  # training images whose features they are compared with
IN_PIXELS = ("train_distance_ratio", "copied_share", "copying_z")


def names(by: Extractor) -> list[str]:
    return [*IN_PIXELS, f"copying_z_{by.name}", f"fd_memorisation_{by.name}"]


def closeness(
    images: Tensor,
    fake: Features,
    real: Features,
    test: Dataset,
    train: Dataset,
    by: Extractor,
    distance: Result,
    protocol: Mapping[str, Any],
) -> list[Result]:
    """images: samples, uint8; fake, real: the features of samples and of `test`; distance: their
    Frechet distance, which the memorisation factor multiplies."""
    in_pixels = _in_pixels(images[:NEIGHBOURS], test, train, protocol)
    some = fixed(train)
    if len(some) > TRAINING:
        some = some.subset(slice(None, None, -(-len(some) // TRAINING)))
    known = reference(some, by).features
    own = cosine_distance(fake.features[:NEIGHBOURS], known)
    held = cosine_distance(real.features[:NEIGHBOURS], known)
    about = {**protocol, "training_images": len(some), "compared": [len(own), len(held)]}
    factor = memorisation_factor(own, held)
    return [
        *in_pixels,
        Result(f"copying_z_{by.name}", copying_test(own, held), error=1.0, protocol=about),
        Result(
            f"fd_memorisation_{by.name}",
            factor * (distance.value or 0.0),
            error=factor * (distance.error or 0.0),
            better="lower",
            protocol={**about, "factor": round(factor, 4)},
            note=f"{factor:.3g} times the distance" if factor > 1 else "",
            draws=tuple(factor * d for d in distance.draws),
        ),
    ]


def closest(images: Tensor, train: Dataset, pairs: int) -> tuple[Tensor, Tensor]:
    """The samples that are nearest to a training image, nearest first, and those images.

    images: uint8 (N, C, H, W). Returns two image batches (pairs, C, H, W).
    """
    where, distances = nearest(images, train)
    order = torch.argsort(distances)[:pairs]
    return images[order], fixed(train).batch(where[order.numpy()]).x


def _in_pixels(
    fake: Tensor, test: Dataset, train: Dataset, protocol: Mapping[str, Any]
) -> list[Result]:
    held_out = test.batch(slice(0, NEIGHBOURS)).x
    own, real = nearest(fake, train)[1], nearest(held_out, train)[1]
    about = {**protocol, "training_images": len(train), "compared": [len(own), len(real)]}
    ratio, ratio_error = ratio_of_medians(own, real)
    share, share_error = copied_share(own, real)
    return [
        Result(IN_PIXELS[0], ratio, error=ratio_error, protocol=about),
        Result(IN_PIXELS[1], share, error=share_error, protocol=about),
        Result(IN_PIXELS[2], copying_test(own, real), error=1.0, protocol=about),
    ]
