"""Dynamics: the update rule over a game, one step of it.

A rule asks an engine for gradients and updates; it knows no family and no optimizer. Nothing here
imports torch, so that the settings of a training can read their choices off `DYNAMICS`.
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
    """What a rule may ask for. `training.engine.Engine` gives it, which stands further down than
    the models that games belong to.

    share: of the run that lies behind this step, 0 to 1
    """

    share: float

    def prepare(self, game: Game[S], step: int, batch: Batch) -> S:
        """What the moves of this step share, at the weights as they are now."""
        ...

    def gradients(self, move: Move[S], batch: Batch, shared: S) -> None:
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

    def noise(self) -> Sequence[Tensor]:
        """Where the streams of random numbers are."""
        ...

    def replay(self, noise: Sequence[Tensor]) -> None:
        """Goes back there, so that the same numbers are drawn again."""
        ...


def alternating(engine: Updater, game: Game[S], step: int, batch: Batch) -> None:
    """Each player moves against what the others have just become (Goodfellow et al. 2014,
    algorithm 1)."""
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
    """A simultaneous look-ahead step; the gradients found there, with the same noise, are applied
    from the old weights.

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
    """One step of a game, whatever its moves share."""

    def __call__(self, engine: Updater, game: Game[S], step: int, batch: Batch, /) -> None: ...


@dataclass(frozen=True)
class Dynamics(Entry):
    rule: UpdateRule


DYNAMICS: dict[str, Dynamics] = {
    "alternating": Dynamics(alternating, about="one player after the other"),
    "simultaneous": Dynamics(simultaneous, about="all at the same weights (1705.10461)"),
    "extragradient": Dynamics(
        extragradient, about="all with the gradients a step ahead (1802.10551)"
    ),
}

DynamicsName: TypeAlias = Annotated[str, OneOf(DYNAMICS)]
