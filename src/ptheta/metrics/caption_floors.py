"""Baselines of text-to-image generation: training images, chosen by their caption or at random."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import Text
from ptheta.conditions.base import tensor_of
from ptheta.data.dataset import Dataset
from ptheta.specs import DataSpec, ImageSpec

READ = 1000  # training captions compared at a time


def captioned(data: Dataset) -> bool:
    """Whether these are images with captions."""
    texts = data.caption_texts() or ()
    return isinstance(data.spec, ImageSpec) and any(map(str.strip, texts))


class AnyCaption(nn.Module):
    """A random training image, regardless of the caption. train: data with captions"""

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        self.spec: DataSpec = train.spec
        self.condition = Text.of_data(train, train.name)
        self.train_images = self.condition.adapted(train)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """A training image for each of n captions."""
        assert condition is not None
        rows = self.choose(tensor_of(condition, Text.kind))
        return self.train_images.batch(rows.numpy()).x

    def choose(self, tokens: Tensor) -> Tensor:
        """Captions int64 (n, T) -> indices of training images, int64 (n,)."""
        return torch.randint(len(self.train_images), (len(tokens),))


class NearestCaption(AnyCaption):
    """The training image with the nearest caption by the squared distance of word counts; ties are
    broken at random."""

    def choose(self, tokens: Tensor) -> Tensor:
        wanted, data = self.condition.vector(tokens), self.train_images
        least = torch.full((len(tokens),), torch.inf)
        found = torch.zeros(len(tokens), dtype=torch.long)
        for start in range(0, len(data), READ):
            some = data.conditions(slice(start, min(start + READ, len(data))))
            assert some is not None
            known = self.condition.vector(some)
            gap = known.square().sum(1) - 2 * wanted @ known.T + wanted.square().sum(1)[:, None]
            gap = gap.round() + 0.5 * torch.rand(
                gap.shape
            )  # integers, so random numbers below 1 break ties
            value, place = gap.min(1)
            nearer = value < least
            least = torch.where(nearer, value, least)
            found = torch.where(nearer, place + start, found)
        return found
