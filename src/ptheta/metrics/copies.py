"""Memorisation: how near samples are to real images, in pixels and in features.

Copies of training images are detected by comparing samples with held-out images: samples should not
be nearer to the training set. Copies of test images, which also improve every distance, are
detected with the roles exchanged: training images are then the reference that is new to the test
set. The statistics are in `ptheta.measures.memorisation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.extractors.features import Features, extract
from ptheta.extractors.reference import reference
from ptheta.measures.intervals import estimate
from ptheta.measures.memorisation import (
    copied_share,
    copying_test,
    cosine_distance,
    factor_draws,
    memorisation_factor,
    nearest,
    ratio_of_medians,
)
from ptheta.measures.results import About, Estimate
from ptheta.metrics.context import Context, shared, together
from ptheta.metrics.distances import frechet_of

NEIGHBOURS = 500  # samples compared with a set of real images, and as many new real images
# maximum number of training images for comparison in features; of more, a subset that includes all
# nearest ones in pixels
TRAINING = 10_000
COPIES = -3.0  # a copying z below this is significant
SEVERAL = 0.05  # threshold of `share_of_copies`; 0.01 without copies
LEAST = 10  # minimum size of either real set: with fewer, all distances are to the same few images
UNKNOWN = "its training data is unknown"


class Distances(NamedTuple):
    """Distances to the nearest image of a real set. own: of samples, (N,); new: of new real images,
    (M,)"""

    own: Tensor
    new: Tensor

    @property
    def compared(self) -> About:
        return {"compared": [len(self.own), len(self.new)]}


TRAIN, TEST = "training", "test"  # the set that may have been copied
Sides = dict[str, Distances]  # distances to the images of each set


def _own(test: Dataset) -> Tensor:
    """Indices of the test images that are not also training images: int64."""
    return torch.from_numpy(np.flatnonzero(~test.repeated()))


def training_images(ctx: Context) -> str:
    """Why copies cannot be detected; "" if they can."""
    if ctx.train is None:
        return ctx.no_copies or UNKNOWN
    train, test = len(ctx.train), len(_own(ctx.test))
    if min(train, test) >= LEAST:
        return ""
    return (
        f"{train} training images and {test} test images that are not duplicates: detecting "
        f"copies needs {LEAST} of each"
    )


@dataclass(frozen=True)
class _Sets:
    """Real images to compare samples with, without duplicates between the sets.

    test: test images that are not training images; own: their indices among all; new_test: indices
        of
    a subset; train: all training images; share: an evenly spaced subset; new_train: indices in
    `share`
    """

    test: Dataset
    own: Tensor
    new_test: Tensor
    train: Dataset
    share: Dataset
    new_train: Tensor


@shared
def _sets(ctx: Context) -> _Sets:
    assert ctx.train is not None  # see `training_images`
    train, own = ctx.train.with_fixed_binarisation(), _own(ctx.test)
    share = train
    if len(train) > TRAINING:
        share = train.subset(slice(None, None, -(-len(train) // TRAINING)))
    # both may be sorted by class
    return _Sets(
        ctx.test.subset(own.numpy()), own, _some(len(own)), train, share, _some(len(share))
    )


def _some(n: int) -> Tensor:
    """A fixed set of indices of at most NEIGHBOURS of n images."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))[:NEIGHBOURS]


class _Nearest(NamedTuple):
    """Nearest training images in pixels. pixels: distances; places: indices of all nearest
    images"""

    pixels: Sides
    places: np.ndarray


@shared
def _nearest(ctx: Context) -> _Nearest:
    sets, samples = _sets(ctx), ctx.samples[:NEIGHBOURS]
    new_test = sets.test.batch(sets.new_test.numpy()).x
    new_train = sets.share.batch(sets.new_train.numpy()).x
    places, to_train = nearest(samples, sets.train)
    new_places, new_to_train = nearest(new_test, sets.train)
    to_test = Distances(nearest(samples, sets.test)[1], nearest(new_train, sets.test)[1])
    both = np.unique(np.concatenate([places, new_places]))
    return _Nearest({TRAIN: Distances(to_train, new_to_train), TEST: to_test}, both)


@together
def _of_training_images(ctx: Context) -> Features:
    return extract(_sets(ctx).share, ctx.extractor, processes=ctx.processes)


@shared
def _angles(ctx: Context) -> Sides:
    """Distances in features, as angles."""
    sets = _sets(ctx)
    fake, test = ctx.fake.features[:NEIGHBOURS], ctx.real.features[sets.own]
    known = reference(sets.share, ctx.extractor, lambda: _of_training_images(ctx)).features
    to_test = Distances(cosine_distance(fake, test), cosine_distance(known[sets.new_train], test))
    if len(sets.share) < len(sets.train):
        # include these, so that no copied image is missed
        beyond = sets.train.subset(_nearest(ctx).places)
        known = torch.cat([known, extract(beyond, ctx.extractor).features])
    new = test[sets.new_test]
    to_train = Distances(cosine_distance(fake, known), cosine_distance(new, known))
    return {TRAIN: to_train, TEST: to_test}


def _about(ctx: Context, training: Dataset, found: Distances) -> dict[str, object]:
    counts = {"test_images": len(_sets(ctx).test), "training_images": len(training)}
    return {**counts, **found.compared}


def train_distance_ratio(ctx: Context) -> Estimate:
    """Median distance of samples to the training images, divided by that of held-out images."""
    found = _nearest(ctx).pixels[TRAIN]
    return Estimate(*ratio_of_medians(*found), about=_about(ctx, _sets(ctx).train, found))


def share_of_copies(side: str, ctx: Context) -> Estimate:
    """Fraction of samples nearer than 99 % of new images."""
    found = _nearest(ctx).pixels[side]
    return Estimate(*copied_share(*found), about=_about(ctx, _sets(ctx).train, found))


def copying_z(side: str, ctx: Context) -> Estimate:
    """The copying test in pixels."""
    found = _nearest(ctx).pixels[side]
    return _z(side, found, _about(ctx, _sets(ctx).train, found))


def copying_z_in_features(side: str, ctx: Context) -> Estimate:
    """The copying test on angles of features."""
    return _z(side, _angles(ctx)[side], _about_angles(ctx))


def _about_angles(ctx: Context) -> dict[str, object]:
    return _about(ctx, _sets(ctx).share, _angles(ctx)[TRAIN])


def _z(side: str, found: Distances, about: About) -> Estimate:
    z = copying_test(*found)
    # blurred samples are a little nearer to all images, copies very near to one
    copies = z < COPIES and copied_share(*found)[0] > SEVERAL
    return Estimate(z, 1.0, about=about, note=f"copies of {side} images" if copies else "")


def copying_of_angles(samples: Tensor, train: Tensor, held_out: Tensor) -> Estimate:
    """The copying test on angles, for given features (N, d), (M, d) and (L, d)."""
    found = Distances(cosine_distance(samples, train), cosine_distance(held_out, train))
    return _z(TRAIN, found, {"training_images": len(train), **found.compared})


def fd_memorisation(ctx: Context) -> Estimate:
    """The Frechet distance times a penalty for copies of training or test images, the larger of the
    two."""
    (distance, without), angles, sets = frechet_of(ctx), _angles(ctx), _sets(ctx)
    factor = max(memorisation_factor(*found) for found in angles.values())
    # for the test set, the new images are training images, the same for every model
    held_out = ctx.reals.part(sets.own[sets.new_test])
    compared = ctx.fakes.part(torch.arange(len(angles[TRAIN].own)))
    found = factor_draws([(*angles[TRAIN], held_out), (*angles[TEST], None)], compared)
    return estimate(
        factor * distance,
        None if found is None or without is None else found.times(without),
        {**_about_angles(ctx), "factor": round(factor, 4)},
        note=f"{factor:,.{0 if factor >= 100 else 2}f} times the distance" if factor > 1 else "",
    )
