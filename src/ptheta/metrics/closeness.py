"""How near samples are to the training images, in pixels and in features: memorisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.metrics.features import Extractor, Features, extract
from ptheta.metrics.images import fixed
from ptheta.metrics.intervals import Groups, drawn
from ptheta.metrics.memorisation import (
    copying_test,
    cosine_distance,
    factor_draws,
    memorisation_factor,
)
from ptheta.metrics.neighbours import copied_share, nearest, ratio_of_medians
from ptheta.metrics.reference import reference
from ptheta.metrics.results import Result

NEIGHBOURS = 500  # samples compared with the training set, and as many held-out images
# training images whose features they are compared with; of more, a share, and all that are nearest
# in pixels
TRAINING = 10_000
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
    """images: samples in no particular order, uint8; fake, real: the features of samples and of
    `test`; distance: their Frechet distance, which the memorisation factor multiplies."""
    # held-out images may lie in the order of their classes
    rows = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:NEIGHBOURS]
    held_out = test.batch(rows.numpy()).x
    places, own = nearest(images[:NEIGHBOURS], train)
    held_places, held = nearest(held_out, train)
    in_pixels = _in_pixels(own, held, len(train), protocol)
    every = fixed(train)
    some = every
    if len(every) > TRAINING:
        some = every.subset(slice(None, None, -(-len(every) // TRAINING)))
    known = reference(some, by).features
    if some is not every:  # a copy of an image that is not among them must not be missed
        both = np.unique(np.concatenate([places, held_places]))
        known = torch.cat([known, extract(every.subset(both), by).features])
    own = cosine_distance(fake.features[:NEIGHBOURS], known)
    held = cosine_distance(real.features[rows], known)
    about = {**protocol, "training_images": len(some), "compared": [len(own), len(held)]}
    return [
        *in_pixels,
        Result(f"copying_z_{by.name}", copying_test(own, held), error=1.0, protocol=about),
        _weighed(own, held, rows, fake, real, distance, by, about),
    ]


def _weighed(
    own: Tensor,
    held: Tensor,
    rows: Tensor,
    fake: Features,
    real: Features,
    distance: Result,
    by: Extractor,
    about: Mapping[str, Any],
) -> Result:
    """The Frechet distance times the memorisation factor, of the nearest angles of samples and of
    held-out images (those at `rows`)."""
    name = f"fd_memorisation_{by.name}"
    if distance.value is None:
        return Result(name, None, better="lower", reason=distance.reason, protocol=about)
    factor = memorisation_factor(own, held)
    fakes = Groups(len(fake), "fake").part(torch.arange(len(own)))
    reals = Groups(len(real), "real").part(rows)
    both, found = factor_draws(own, held, fakes, reals), None
    if both is not None and distance.draws is not None:
        found = both.times(distance.draws)
    return drawn(
        name,
        factor * distance.value,
        found,
        {**about, "factor": round(factor, 4)},
        better="lower",
        note=f"{factor:,.{0 if factor >= 100 else 2}f} times the distance" if factor > 1 else "",
    )


def closest(images: Tensor, train: Dataset, pairs: int) -> tuple[Tensor, Tensor]:
    """The samples that are nearest to a training image, nearest first, and those images.

    images: uint8 (N, C, H, W). Returns two image batches (pairs, C, H, W).
    """
    where, distances = nearest(images, train)
    order = torch.argsort(distances)[:pairs]
    return images[order], fixed(train).batch(where[order.numpy()]).x


def _in_pixels(
    own: Tensor, held: Tensor, training_images: int, protocol: Mapping[str, Any]
) -> list[Result]:
    """From the distances of samples and of held-out images to their nearest training image."""
    about = {**protocol, "training_images": training_images, "compared": [len(own), len(held)]}
    ratio, ratio_error = ratio_of_medians(own, held)
    share, share_error = copied_share(own, held)
    return [
        Result(IN_PIXELS[0], ratio, error=ratio_error, protocol=about),
        Result(IN_PIXELS[1], share, error=share_error, protocol=about),
        Result(IN_PIXELS[2], copying_test(own, held), error=1.0, protocol=about),
    ]
