"""Dynamics: update rules for one step of a game.

A rule asks an engine for gradients and updates; it is independent of models and optimizers. This
module does not import torch, so that training settings can list the entries of `DYNAMICS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias

from ptheta.config import Entry, OneOf

if TYPE_CHECKING:
    from torch import Tensor

    from ptheta.batch import Batch
    from ptheta.games import Game, Move, S


class Updater(Protocol):
    """The engine as seen by a rule, implemented by `training.engine.Engine`.

    share: fraction of the run that is done before this step, 0 to 1
    """

    share: float

    def prepare(self, game: Game[S], step: int, batch: Batch) -> S:
        """Compute the shared values of the moves of this step, at the current weights."""
        ...

    def gradients(self, move: Move[S], batch: Batch, shared: S) -> None:
        """Compute the gradient of the move's loss with respect to its player's parameters only."""
        ...

    def update(self, player: str) -> None:
        """Make one optimizer step of the player with its current gradients."""
        ...

    def remember(self, player: str) -> None:
        """Save the player's current weights."""
        ...

    def recall(self, player: str) -> None:
        """Restore the saved weights."""
        ...

    def noise(self) -> Sequence[Tensor]:
        """The state of the random streams."""
        ...

    def replay(self, noise: Sequence[Tensor]) -> None:
        """Restore this state, so that the same random numbers are drawn again."""
        ...


def alternating(engine: Updater, game: Game[S], step: int, batch: Batch) -> None:
    """Each player moves against the already updated others (Goodfellow et al. 2014, algorithm
    1)."""
    shared = engine.prepare(game, step, batch)
    for move in game.due(step, engine.share):
        engine.gradients(move, batch, shared)
        engine.update(move.player)


def simultaneous(engine: Updater, game: Game[S], step: int, batch: Batch) -> None:
    """All gradients at the same weights, then all updates (Mescheder et al., arXiv:1705.10461)."""
    shared = engine.prepare(game, step, batch)
    moves = game.due(step, engine.share)
    for move in moves:
        engine.gradients(move, batch, shared)
    for move in moves:
        engine.update(move.player)


def extragradient(engine: Updater, game: Game[S], step: int, batch: Batch) -> None:
    """Make a simultaneous look-ahead step, then apply the gradients there, with the same noise, to
    the old weights.

    Gidel et al. 2019, algorithm 1 with Adam (arXiv:1802.10551).
    """
    moves = game.due(step, engine.share)
    for move in moves:
        engine.remember(move.player)
    noise = engine.noise()
    simultaneous(engine, game, step, batch)
    engine.replay(noise)
    shared = engine.prepare(game, step, batch)
    for move in moves:
        engine.gradients(move, batch, shared)
    for move in moves:
        engine.recall(move.player)
    for move in moves:
        engine.update(move.player)


class UpdateRule(Protocol):
    """One step of a game."""

    def __call__(self, engine: Updater, game: Game[S], step: int, batch: Batch, /) -> None: ...


@dataclass(frozen=True)
class Dynamics(Entry):
    rule: UpdateRule


DYNAMICS: dict[str, Dynamics] = {
    "alternating": Dynamics(alternating, about="one player after the other"),
    "simultaneous": Dynamics(simultaneous, about="all at the same weights (1705.10461)"),
    "extragradient": Dynamics(
        extragradient, about="all with the gradients of a look-ahead step (1802.10551)"
    ),
}

DynamicsName: TypeAlias = Annotated[str, OneOf(DYNAMICS)]
