"""Training of a module with a loss but no game: one player that owns all weights."""

from __future__ import annotations

from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import HasLoss
from ptheta.optimizers import Factory
from ptheta.training.loop import Trainer

PLAYER, TERM = "model", "loss"  # their names in the log


def by_loss(optimizer: Factory) -> type[Trainer]:
    """The trainer of a module with a `loss`. optimizer: factory of its optimizer."""

    class LossTrainer(Trainer):
        def _game_of_model(self) -> Game[object]:
            return one_player(self.model, optimizer)

    return LossTrainer


def one_player(module: nn.Module, optimizer: Factory) -> Game[object]:
    """The game of a module that minimises its loss. Raises PthetaError if it has none."""
    if not isinstance(module, HasLoss):
        raise PthetaError(f"{type(module).__name__} has no loss(batch): define one to train it")
    loss = module.loss

    def terms(batch: Batch, shared: object) -> Terms:
        found = loss(batch)
        named = {TERM: found} if isinstance(found, Tensor) else found
        return {name: term.reshape(1) if term.ndim == 0 else term for name, term in named.items()}

    return Game({PLAYER: Player((module,), optimizer)}, (Move(PLAYER, terms),))
