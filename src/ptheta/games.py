"""Games: a model's training procedure as players and their moves.

A model defines a game: the players (each with its own modules and optimizer), their moves in order,
and the values shared by the moves of one step. A VAE is a game with one player. This module does
not depend on any model family.

**A step is one batch of data.** A discriminator moves first in every step, on detached fakes. The
generator then moves against the updated discriminator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.errors import PthetaError, unknown
from ptheta.optimizers import Adam, Factory

Terms = dict[str, Tensor]  # named per-example terms, (B,) or (B, parts); their sum is the loss
Monitor = Callable[[Mapping[str, float]], Mapping[str, str]]
END = "end"  # key in the averages passed to a monitor at the end of a run; its value has no meaning
S = TypeVar("S")  # values shared by the moves of one step: a type defined by the model, or None


@runtime_checkable
class Remembering(Protocol):
    """A monitor with a state across intervals, which is stored in checkpoints."""

    def memory(self) -> Mapping[str, object]:
        """The state, JSON-serialisable."""

    def recall(self, memory: Mapping[str, object]) -> None:
        """Restore a state returned by `memory`."""


@dataclass(frozen=True)
class Player:
    """A player of a game.

    Attributes:
        modules: the modules that the player trains.
        optimizer: factory of their optimizer (`ptheta.optimizers`).
    """

    modules: tuple[nn.Module, ...]
    optimizer: Factory = Adam()

    def parameters(self) -> list[nn.Parameter]:
        """Each parameter once, in a fixed order."""
        return list(dict.fromkeys(p for module in self.modules for p in module.parameters()))

    def buffers(self) -> list[Tensor]:
        return list(dict.fromkeys(b for module in self.modules for b in module.buffers()))

    def owns(self, model: nn.Module) -> bool:
        """Whether all trainable parameters and all buffers of the model belong to this player."""
        parameters, buffers = set(self.parameters()), set(self.buffers())
        return all(p in parameters for p in model.parameters() if p.requires_grad) and all(
            b in buffers for b in model.buffers()
        )


@dataclass(frozen=True)
class Clock:
    """The progress of a run.

    Attributes:
        step: number of the current step, from 1.
        movers: names of the players that move in this step.
        share: completed share of the run, 0 to 1, for schedules such as fade-in.
    """

    step: int
    movers: frozenset[str]
    share: float = 0.0


@dataclass(frozen=True)
class Move(Generic[S]):
    """A move: one player minimises a loss with respect to its own parameters.

    Attributes:
        player: name of the player.
        loss: function of the batch and the shared values that returns named per-example terms,
            summed before the backward pass: (B,), or (B, parts) if the trainer may weight the parts
            separately (such as the KL of each latent dimension).
        every: the move is made in every `every`-th step.
        span: start and end of the move, as shares of the run.
    """

    player: str
    loss: Callable[[Batch, S], Terms]
    every: int = 1
    span: tuple[float, float] = (0.0, 1.0)

    def within(self, share: float) -> bool:
        """Whether the move is active at this share of the run; a span up to 1 includes the end."""
        start, end = self.span
        return start <= share < end or share >= end == 1.0


@dataclass(frozen=True)
class Phase:
    """Consecutive steps in which only these players move.

    Attributes:
        players: names of the players that move in every step of the phase.
        steps: length of the phase.
    """

    players: frozenset[str]
    steps: int


@dataclass(frozen=True)
class Game(Generic[S]):
    """The players of a model, their moves in order, and hooks around them.

    Attributes:
        players: the players by name.
        moves: the moves of a step, in order.
        prepare: `prepare(batch, clock)` computes values that several moves of a step use, such as
            codes and fakes with their graph. A move has to detach values whose graph belongs to
            another player.
        after: `after(step)` updates state without gradients (weight clipping, moving targets,
            persistent chains).
        monitor: `monitor(averages)` returns warnings by kind from the logged averages of the last
            interval; called once more at the end of a run with only `END`. A `Remembering` monitor
            keeps its state when a run is resumed.
        start: `start(batch)` is called once before the first step (for reference batches).
        phases: players that alternate for several steps each, cyclically; if empty, all moves are
            made in each step (or every `every`-th one).

    Raises:
        PthetaError: for a move of an unknown player, an invalid `every` or `span`, or a player
            without a move.
    """

    players: dict[str, Player]
    moves: tuple[Move[S], ...]
    prepare: Callable[[Batch, Clock], S] | None = None
    after: Callable[[int], None] | None = None
    monitor: Monitor | None = None
    start: Callable[[Batch], None] | None = None
    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        for move in self.moves:
            if move.player not in self.players:
                raise unknown("player of a move", move.player, self.players)
            if move.every < 1:
                raise PthetaError(
                    f"a move of {move.player} every {move.every} steps: want 1 or more"
                )
            if not 0 <= move.span[0] < move.span[1] <= 1:
                raise PthetaError(
                    f"a move of {move.player} from {move.span[0]} to {move.span[1]} of the run: "
                    "want increasing shares in 0..1"
                )
        idle = self.players.keys() - {move.player for move in self.moves}
        if self.moves and idle:
            raise PthetaError(f"player {min(idle)} has no move: add one, or remove the player")

    def due(self, step: int, share: float = 0.0) -> list[Move[S]]:
        """The moves of a step.

        Args:
            step: number of the step, from 1.
            share: completed share of the run at its start.
        """
        moves = [move for move in self.moves if move.within(share)]
        if not self.phases:
            return [move for move in moves if step % move.every == 0]
        players = self.phase(step).players
        return [move for move in moves if move.player in players]

    def phase(self, step: int) -> Phase:
        """The phase of step `step` (from 1); only for games with phases."""
        place = (step - 1) % sum(phase.steps for phase in self.phases)
        for phase in self.phases[:-1]:
            if place < phase.steps:
                return phase
            place -= phase.steps
        return self.phases[-1]


def check_terms(terms: object, player: str, n: int) -> None:
    """Raise PthetaError unless `terms` is a valid loss of n examples (see `Move.loss`)."""
    if not isinstance(terms, Mapping) or not terms:
        raise PthetaError(
            f"the loss of {player} returned {type(terms).__name__}: return named tensors, "
            "such as {'error': e} with e of shape (B,)"
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim not in (1, 2) or len(term) not in (1, n):
            shape = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise PthetaError(
                f"loss term {name!r} of {player} is {shape}: return one value for each of the {n} "
                f"examples, ({n},) or ({n}, parts), or a single one, (1,)"
            )
    if not any(term.requires_grad for term in terms.values()):
        raise PthetaError(
            f"no loss term of {player} depends on its weights: "
            "compute it with gradients, or leave the move out"
        )


@contextmanager
def freeze_others(model: nn.Module, player: Player) -> Iterator[None]:
    """Context in which only `player` can change.

    Parameters of other players are frozen and their buffers (such as BatchNorm statistics) are
    restored on exit. Parameters that the user froze stay frozen.
    """
    own = set(player.parameters())
    own_buffers = set(player.buffers())
    frozen = [p for p in model.parameters() if p not in own and p.requires_grad]
    for p in frozen:
        p.requires_grad_(False)
    try:
        with unchanged([b for b in model.buffers() if b not in own_buffers]):
            yield
    finally:
        for p in frozen:
            p.requires_grad_(True)


@contextmanager
def unchanged(buffers: Sequence[Tensor]) -> Iterator[None]:
    """Context that restores the buffers on exit."""
    kept = [b.clone() for b in buffers]
    try:
        yield
    finally:
        # not copied in place: the graph of a pending backward pass may have saved them
        for b, before in zip(buffers, kept, strict=True):
            b.data = before
