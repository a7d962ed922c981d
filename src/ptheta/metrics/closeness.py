"""How near samples are to real images, in pixels and in features: memorisation.

Copies of the training images are found by holding samples against held-out images: neither should
be nearer to the training set. Copies of the test images, which win every distance as well, are
found the other way round: training images are then what is new to the test set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.extractors.features import Extractor, Features, extract
from ptheta.extractors.reference import reference
from ptheta.measures.intervals import Groups, drawn
from ptheta.measures.memorisation import (
    copying_test,
    cosine_distance,
    factor_draws,
    memorisation_factor,
)
from ptheta.measures.neighbours import copied_share, nearest, ratio_of_medians
from ptheta.measures.results import Result

NEIGHBOURS = 500  # samples compared with a set of real images, and as many new real images
# training images whose features they are compared with; of more, a share, and all that are nearest
# in pixels
TRAINING = 10_000
COPIES = -3.0  # a copying z below this is no chance
SEVERAL = 0.05  # share of samples nearer than 99 % of new images are; 0.01 without copies
LEAST = 10  # real images of either set: the distances to fewer are those to the same few images
FEW = (
    "{train} training images and {test} test images that repeat none of them: "
    "copies are told from {least} of each on"
)
UNKNOWN = "it is not known what it was trained on"


class Distances(NamedTuple):
    """To the nearest image of a real set. own: of samples, (N,); new: of new real images, (M,)"""

    own: Tensor
    new: Tensor


class Side(NamedTuple):
    """What may have been copied: the end of its metrics' names, and what it is called."""

    ending: str
    called: str


TRAIN, TEST = Side("", "training"), Side("_test", "test")


def names(by: Extractor) -> list[str]:
    return [
        "train_distance_ratio",
        *(
            f"{name}{side.ending}"
            for side in (TRAIN, TEST)
            for name in ("copied_share", "copying_z")
        ),
        *(f"copying_z{side.ending}_{by.name}" for side in (TRAIN, TEST)),
        f"fd_memorisation_{by.name}",
    ]


def closeness(
    images: Tensor,
    fake: Features,
    real: Features,
    test: Dataset,
    train: Dataset | None,
    by: Extractor,
    distance: Result,
    protocol: Mapping[str, Any],
    *,
    no_copies: str = "",
    repeats: np.ndarray | None = None,
) -> list[Result]:
    """Whether samples are copies of the training images, or of the test images.

    images: samples in no particular order, uint8; fake, real: the features of samples and of
    `test`; distance: their Frechet distance, which the memorisation factor multiplies
    train: what the model was trained on; None where that is not known: nothing is defined then
    no_copies: why not
    repeats: bool (len(test),), test images that are training images as well; they are left out
    """
    own = np.arange(len(test)) if repeats is None else np.flatnonzero(~repeats)
    if train is None or min(len(own), len(train)) < LEAST:
        why = no_copies or UNKNOWN
        if train is not None:
            why = FEW.format(train=len(train), test=len(own), least=LEAST)
        return [Result(name, None, reason=why, protocol=protocol) for name in names(by)]
    test = test if repeats is None else test.subset(own)
    # held-out images may lie in the order of their classes
    rows, samples = _some(len(test)), images[:NEIGHBOURS]
    places, to_train = nearest(samples, train)
    new_places, new_to_train = nearest(test.batch(rows.numpy()).x, train)
    every, some = train.with_fixed_binarisation(), _share(train)
    known = reference(some, by).features
    mine = _some(len(some))  # training images that are new to the test set
    pixels = {
        TRAIN: Distances(to_train, new_to_train),
        TEST: Distances(nearest(samples, test)[1], nearest(some.batch(mine.numpy()).x, test)[1]),
    }
    tested = real.features[torch.from_numpy(own)]
    to_test = Distances(
        cosine_distance(fake.features[:NEIGHBOURS], tested), cosine_distance(known[mine], tested)
    )
    if len(some) < len(every):  # a copy of an image that is not among them must not be missed
        both = np.unique(np.concatenate([places, new_places]))
        known = torch.cat([known, extract(every.subset(both), by).features])
    angles = {
        TRAIN: Distances(
            cosine_distance(fake.features[:NEIGHBOURS], known),
            cosine_distance(tested[rows], known),
        ),
        TEST: to_test,
    }
    about = {**protocol, "test_images": len(test)}
    return [
        _ratio(pixels[TRAIN], {**about, "training_images": len(train)}),
        *(
            result
            for side, found in pixels.items()
            for result in _in_pixels(side, found, {**about, "training_images": len(train)})
        ),
        *_in_features(
            *(angles, fake, real, torch.from_numpy(own)[rows], by, distance),
            {**about, "training_images": len(some)},
        ),
    ]


def _some(n: int) -> Tensor:
    """Positions of at most NEIGHBOURS of n images, always the same."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))[:NEIGHBOURS]


def _share(train: Dataset) -> Dataset:
    """At most TRAINING of the images, spread evenly."""
    every = train.with_fixed_binarisation()
    if len(every) <= TRAINING:
        return every
    return every.subset(slice(None, None, -(-len(every) // TRAINING)))


def _ratio(found: Distances, about: Mapping[str, Any]) -> Result:
    ratio, error = ratio_of_medians(*found)
    return Result(
        "train_distance_ratio", ratio, error=error, protocol={**about, **_compared(found)}
    )


def _compared(found: Distances) -> dict[str, Any]:
    return {"compared": [len(found.own), len(found.new)]}


def _in_pixels(side: Side, found: Distances, about: Mapping[str, Any]) -> list[Result]:
    about = {**about, **_compared(found)}
    share, error = copied_share(*found)
    return [
        Result(f"copied_share{side.ending}", share, error=error, protocol=about),
        _z(f"copying_z{side.ending}", side, found, about),
    ]


def _z(name: str, side: Side, found: Distances, about: Mapping[str, Any]) -> Result:
    z = copying_test(*found)
    # blurred samples are a little nearer to all images, copies very near to one
    copies = z < COPIES and copied_share(*found)[0] > SEVERAL
    note = f"copies of {side.called} images" if copies else ""
    return Result(name, z, error=1.0, protocol=about, note=note)


def _in_features(
    angles: Mapping[Side, Distances],
    fake: Features,
    real: Features,
    rows: Tensor,
    by: Extractor,
    distance: Result,
    about: Mapping[str, Any],
) -> list[Result]:
    """The copying tests, and the distance times what copies cost.

    rows: of the test images that are held against the training set, int64
    """
    about = {**about, **_compared(angles[TRAIN])}
    tests = [_z(f"copying_z{s.ending}_{by.name}", s, found, about) for s, found in angles.items()]
    name = f"fd_memorisation_{by.name}"
    if distance.value is None:
        none = Result(name, None, better="lower", reason=distance.reason, protocol=about)
        return [*tests, none]
    factor = max(memorisation_factor(*found) for found in angles.values())
    # to the test set, new real images are training images: these are the same for every model
    groups = {TRAIN: Groups(len(real), "real").part(rows), TEST: None}
    fakes = Groups(len(fake), "fake").part(torch.arange(len(angles[TRAIN].own)))
    both = factor_draws([(*found, groups[side]) for side, found in angles.items()], fakes)
    found = None if both is None or distance.draws is None else both.times(distance.draws)
    weighed = drawn(
        name,
        factor * distance.value,
        found,
        {**about, "factor": round(factor, 4)},
        better="lower",
        note=f"{factor:,.{0 if factor >= 100 else 2}f} times the distance" if factor > 1 else "",
    )
    return [*tests, weighed]


def closest(images: Tensor, real: Dataset, pairs: int) -> tuple[Tensor, Tensor]:
    """The samples that are nearest to a real image, nearest first, and those images.

    images: uint8 (N, C, H, W). Returns two image batches (pairs, C, H, W).
    """
    where, distances = nearest(images, real)
    order = torch.argsort(distances)[:pairs]
    return images[order], real.with_fixed_binarisation().batch(where[order.numpy()]).x
