"""A model with a config of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, option
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import ImageModel
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import ImageSpec, from_unit, to_unit


@dataclass(frozen=True)
class BlobsConfig(OptimizerConfig):
    hidden: Count = option(8, "units of the one layer")


class Blobs(ImageModel):
    """Noise through one layer, whose mean and spread are those of the images."""

    def __init__(
        self, spec: ImageSpec, config: BlobsConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.net = nn.Sequential(
            nn.Linear(4, config.hidden), nn.ReLU(), nn.Linear(config.hidden, spec.dims)
        )

    def draw(self, n: int) -> Tensor:
        return self.net(torch.randn(n, 4)).sigmoid()

    def terms(self, batch: Batch, shared: None = None) -> Terms:
        x, drawn = to_unit(batch.x).flatten(1), self.draw(len(batch))
        mean = (x.mean(0) - drawn).square().sum(1)
        return {"mean": mean}

    def game(self) -> Game[None]:
        player = Player((self,), self.config.optimizer_factory())
        return Game({"blobs": player}, (Move("blobs", self.terms),))

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return from_unit(self.draw(n), self.spec.levels).view(n, *self.spec.shape)
