"""Nearest training examples of samples, and whether samples are nearer to training examples than
unseen examples are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from ptheta.compute.streams import seeded, undisturbed
from ptheta.corruption import corrupt
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import extract
from ptheta.extractors.reference import reference
from ptheta.measures import memorisation
from ptheta.measures.detection import p_values
from ptheta.measures.intervals import span, widened
from ptheta.measures.memorisation import copied_share, share_draws
from ptheta.measures.nearest import BLOCK, Nearest, search
from ptheta.specs import ImageSpec

LEAST = 10  # minimum number of examples of each kind
NOISE = 0.1  # noise added to copies: for white - black = 1, or in standard deviations of a column
SAMPLES, UNSEEN, OTHERS = "samples", "unseen (floor)", "training, another"
NOISY, COPIES = "noisy copies", "copies"


@dataclass(frozen=True)
class Moves:
    """Transformations applied before comparison, to detect copies that are shifted by up to some
    pixels or mirrored."""

    shifts: int = 0
    mirror: bool = False

    def __call__(self, x: Tensor) -> list[Tensor]:
        """All transformed versions of x (B, C, H, W); shifts use edge padding."""
        s = self.shifts
        turned = [x, x.flip(3)] if self.mirror else [x]
        if not s:
            return turned
        h, w = x.shape[2:]
        wide = [pad(one.float(), (s, s, s, s), mode="replicate").to(x.dtype) for one in turned]
        places = sorted(
            (abs(i - s) + abs(j - s), i, j) for i in range(2 * s + 1) for j in range(2 * s + 1)
        )
        return [one[:, :, i : i + h, j : j + w] for one in wide for _, i, j in places]


STILL = Moves()


class Space(Protocol):
    """A space in which distances are measured."""

    @property
    def about(self) -> str:
        """Description of the distance."""
        ...

    def nearest(self, moved: Sequence[Tensor], k: int, but: Tensor | None = None) -> Nearest:
        """The k nearest training examples of each of N examples, over their transformed
        versions."""
        ...


@dataclass(frozen=True)
class Numbers:
    """Distances of pixels, or of columns in network scale."""

    train: Dataset

    @property
    def about(self) -> str:
        if isinstance(self.train.spec, ImageSpec):
            return "root mean square of differences, 0 to 255"
        return "root mean square of differences, in standard deviations"

    def nearest(self, moved: Sequence[Tensor], k: int, but: Tensor | None = None) -> Nearest:
        return memorisation.neighbours(moved, self.train, k, but=but)


@dataclass(frozen=True)
class Directions:
    """Distances of features of unit length: |a - b|^2 = 2 - 2 cos."""

    train: Dataset
    extractor: Extractor

    @property
    def about(self) -> str:
        return f"distance of unit-length {self.extractor.name} features: 0 to 2"

    @cached_property
    def _features(self) -> Tensor:
        return reference(self.train, self.extractor).features

    def nearest(self, moved: Sequence[Tensor], k: int, but: Tensor | None = None) -> Nearest:
        looked = [normalize(extract(x, self.extractor).features) for x in moved]
        known = self._features

        def rows(at: slice | Tensor) -> Tensor:
            return normalize(known[at])

        return search(looked, rows, len(known), min(k, len(known)), but=but, block=BLOCK)


class Share(NamedTuple):
    """A share with its 95 % interval. beyond: whether it significantly exceeds that of unseen
    examples"""

    value: float
    low: float
    high: float
    beyond: bool


@dataclass(frozen=True)
class Searched:
    """Results in one space.

    about: description of the distance
    sides: the nearest training examples of samples, of unseen examples, of training examples among
        the others, of these with noise and of these themselves
    """

    about: str
    sides: dict[str, Nearest] = field(repr=False)
    seed: int = 0

    @property
    def samples(self) -> Nearest:
        return self.sides[SAMPLES]

    @cached_property
    def near(self) -> dict[str, Share]:
        """For each side, the share of examples as near as the nearest 1 % of unseen examples."""
        unseen = self.sides[UNSEEN].distances[:, 0]
        return {n: self._share(one.distances[:, 0], unseen) for n, one in self.sides.items()}

    @cached_property
    def alone(self) -> dict[str, Share]:
        """For each side, the share with a ratio of nearest to second nearest distance as small as
        for 1 % of unseen examples: a copy is near to one example, a blurred sample to many."""
        unseen = self.sides[UNSEEN].alone
        return {name: self._share(one.alone, unseen) for name, one in self.sides.items()}

    @property
    def copies(self) -> bool:
        """Whether there are copies among the samples: near to one alone more often than chance."""
        return self.alone[SAMPLES].beyond

    @cached_property
    def p_values(self) -> Tensor:
        """For each sample, the share of unseen examples that are as near, (N,)."""
        return p_values(-self.samples.distances[:, 0], -self.sides[UNSEEN].distances[:, 0])

    def _share(self, of: Tensor, unseen: Tensor) -> Share:
        value, _ = copied_share(of, unseen)
        draws, floor = share_draws(of, unseen, self.seed)
        low, high = widened(*span(draws), min(len(of), len(unseen)))
        return Share(value, low, high, span(draws - floor)[0] > 0)


@undisturbed()
def neighbours(
    samples: Tensor,
    train: Dataset,
    unseen: Dataset,
    spaces: dict[str, Space],
    *,
    k: int = 3,
    moves: Moves = STILL,
    seed: int = 0,
) -> dict[str, Searched]:
    """The k nearest training examples of each sample, by space; and how near unseen examples,
    training examples and copies of these are.

    Raises PthetaError for samples of another shape, and for fewer than `LEAST` of anything.
    """
    for count, what in (
        (len(samples), "samples"),
        (len(train), f"training {train.examples}"),
        (len(unseen), f"unseen {train.examples}"),
    ):
        if count < LEAST:
            raise PthetaError(f"{count} {what}: copies can be detected with {LEAST} or more")
    train, unseen = train.with_fixed_binarisation(), unseen.with_fixed_binarisation()
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(train), generator=generator)[: len(unseen)]
    held, known = (d.batch(at).x for d, at in ((unseen, slice(None)), (train, some.numpy())))
    with seeded(seed):
        noisy = train.spec.rounded(corrupt(known, "gaussian", NOISE, train.spec))
    k = max(2, k)
    found = {}
    for name, space in spaces.items():
        others = space.nearest(moves(known), k, some)
        sides = {
            SAMPLES: space.nearest(moves(samples), k),
            UNSEEN: space.nearest(moves(held), 2),
            OTHERS: others,
            NOISY: space.nearest(moves(noisy), 2),
            COPIES: _with_itself(others, some),
        }
        found[name] = Searched(space.about, sides, seed)
    return found


def _with_itself(others: Nearest, at: Tensor) -> Nearest:
    """Nearest neighbours of training examples, each with itself at distance 0."""
    nothing = torch.zeros(len(at), 1)
    return Nearest(
        torch.cat([nothing, others.distances], 1), torch.cat([at[:, None], others.places], 1)
    )


def with_neighbours(samples: Tensor, train: Dataset, places: Tensor) -> Tensor:
    """Samples (n, *shape), each followed by the training examples with these indices (n, k):
    (n, 1 + k, *shape)."""
    near = train.with_fixed_binarisation().batch(places.flatten().numpy()).x
    return torch.cat([samples[:, None], near.unflatten(0, tuple(places.shape))], 1)


def nearest_pairs(samples: Tensor, real: Dataset, n: int | None = None) -> Tensor:
    """The first samples, each with the real example nearest in pixels; if n is given, the n samples
    nearest to any real example, nearest first: (n, 2, *shape)."""
    found = memorisation.neighbours([samples], real, 1)
    at = torch.arange(len(samples)) if n is None else found.closest(n)
    return with_neighbours(samples[at], real, found.places[at])
