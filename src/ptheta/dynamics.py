"""Dynamics: the update rule over a game, one step of it.

A rule asks the engine for gradients and updates; it knows no family and no optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ptheta.games import Game, Move
from ptheta.pixels import Batch


class Mechanics(Protocol):
    """What a rule may ask for; `training.engine.Engine` gives it."""

    def gradients(self, move: Move, batch: Batch) -> None:
        """Leaves the gradient of the move's loss on its player's parameters, and on no other."""
        ...

    def update(self, player: str) -> None:
        """One optimizer step of the player with the gradients it has."""
        ...

    def remember(self, player: str) -> None:
        """Keeps the player's weights as they are now."""
        ...

    def recall(self, player: str) -> None:
        """Puts the kept weights back."""
        ...


Dynamics = Callable[[Mechanics, Game, int, Batch], None]


def alternating(engine: Mechanics, game: Game, step: int, batch: Batch) -> None:
    """Each player moves against what the others have just become (Goodfellow et al. 2014)."""
    for move in game.due(step):
        engine.gradients(move, batch)
        engine.update(move.player)


def simultaneous(engine: Mechanics, game: Game, step: int, batch: Batch) -> None:
    """All gradients at the same weights, then all updates (Mescheder et al., arXiv:1705.10461)."""
    moves = game.due(step)
    for move in moves:
        engine.gradients(move, batch)
    for move in moves:
        engine.update(move.player)


def extragradient(engine: Mechanics, game: Game, step: int, batch: Batch) -> None:
    """A simultaneous look-ahead step; the gradients found there are applied from the old weights.

    Gidel et al. 2019, algorithm 1 with Adam (arXiv:1802.10551).
    """
    moves = game.due(step)
    for move in moves:
        engine.remember(move.player)
    simultaneous(engine, game, step, batch)
    for move in moves:
        engine.gradients(move, batch)
    for move in moves:
        engine.recall(move.player)
    for move in moves:
        engine.update(move.player)


DYNAMICS: dict[str, Dynamics] = {
    "alternating": alternating,
    "simultaneous": simultaneous,
    "extragradient": extragradient,
}
