"""Training of a module that has a loss and no game: one player, who owns all weights."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import HasLoss
from ptheta.optimizers import Factory
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.reporter import Heading
from ptheta.training.scoring import Score
from ptheta.training.settings import TrainSettings

PLAYER, TERM = "model", "loss"  # their names in the log


class LossTrainer(Trainer):
    """Trains a module by its `loss`: see `Trainer`. optimizer: makes that of all its weights"""

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        settings: TrainSettings,
        folder: Path,
        group: Group,
        *,
        optimizer: Factory,
        score: Score | None = None,
        heading: Heading | None = None,
    ) -> None:
        self.optimizer = optimizer
        super().__init__(model, data, settings, folder, group, score=score, heading=heading)

    def _game_of_model(self) -> Game[object]:
        if not isinstance(self.model, HasLoss):
            raise PthetaError(f"{type(self.model).__name__} has no loss(batch) to be trained by")
        return one_player(self.model, self.model, self.optimizer)


def one_player(module: nn.Module, loss: HasLoss, optimizer: Factory) -> Game[object]:
    """The game of a module that minimises its loss."""

    def terms(batch: Batch, shared: object) -> Terms:
        found = loss.loss(batch)
        named = {TERM: found} if isinstance(found, Tensor) else found
        return {name: term.reshape(1) if term.ndim == 0 else term for name, term in named.items()}

    return Game({PLAYER: Player((module,), optimizer)}, (Move(PLAYER, terms),))
