"""Games: the players, losses and updates of a training.

A model defines its game: the players (each with its own modules and optimizer), the moves, in
order, and what several moves of one step share. A VAE is a game with one player. Nothing here
depends on a model family.

**A step is one batch of data.** A discriminator moves in every step and comes first: it reads
detached fakes. The generator then moves against the updated discriminator.
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
END = "end"  # key in a monitor's averages that marks the end of the run
S = TypeVar("S")  # what the moves of one step share: a type defined by the model, or None


@runtime_checkable
class Remembering(Protocol):
    """A monitor with a state beyond the last interval, which is saved in checkpoints."""

    def memory(self) -> Mapping[str, object]:
        """The state, JSON-compatible."""

    def recall(self, memory: Mapping[str, object]) -> None: ...


@dataclass(frozen=True)
class Player:
    """A player: its modules and the factory of their optimizer (`ptheta.optimizers`)."""

    modules: tuple[nn.Module, ...]
    optimizer: Factory = Adam()

    def parameters(self) -> list[nn.Parameter]:
        """Each parameter once, in a fixed order."""
        return list(dict.fromkeys(p for module in self.modules for p in module.parameters()))

    def buffers(self) -> list[Tensor]:
        return list(dict.fromkeys(b for module in self.modules for b in module.buffers()))

    def owns(self, model: nn.Module) -> bool:
        """Whether all trainable parts of the model belong to this player, so nothing must be
        frozen."""
        parameters, buffers = set(self.parameters()), set(self.buffers())
        return all(p in parameters for p in model.parameters() if p.requires_grad) and all(
            b in buffers for b in model.buffers()
        )


@dataclass(frozen=True)
class Clock:
    """Position in a training run.

    step: 1, 2, ...
    movers: the players that move in this step
    share: fraction of the run that is done, 0 to 1, for schedules such as fade-in
    """

    step: int
    movers: frozenset[str]
    share: float = 0.0


@dataclass(frozen=True)
class Move(Generic[S]):
    """A move: one player minimises a loss over its own parameters.

    loss: (batch, shared objects of the step) -> named per-example terms, summed before a single
        backward pass: (B,), or (B, parts) if training may treat the parts separately (such as the
        KL of each latent dimension)
    every: the move is made in steps that are a multiple of `every`
    span: fractions of the run between which the move is made
    """

    player: str
    loss: Callable[[Batch, S], Terms]
    every: int = 1
    span: tuple[float, float] = (0.0, 1.0)

    def within(self, share: float) -> bool:
        """Whether the move is made when this fraction of the run is done; the end of the run counts
        as inside a span that ends at 1."""
        start, end = self.span
        return start <= share < end or share >= end == 1.0


@dataclass(frozen=True)
class Phase:
    """Consecutive steps in which only these players move, each in every step."""

    players: frozenset[str]
    steps: int


@dataclass(frozen=True)
class Game(Generic[S]):
    """The players by name, their moves in order, and further hooks.

    start(batch): called once, before the first step, with training images (reference batches)
    prepare(batch, clock): computes once what several moves of a step use, such as codes and fakes
        with their graph. A move of another player detaches what it reads
    after(step): updates without gradients (weight clipping, moving targets, persistent chains)
    monitor(averages): warnings by kind, from the logged values of the last interval; at the end of
        a run it is called once more, with `END` only. A `Remembering` monitor resumes exactly
    phases: players that alternate for many steps each, repeatedly; empty: all move in each step,
        or in every `every`-th
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
                    "want increasing fractions between 0 and 1"
                )
        idle = self.players.keys() - {move.player for move in self.moves}
        if self.moves and idle:
            raise PthetaError(f"player {min(idle)} has no move: add one, or remove the player")

    def due(self, step: int, share: float = 0.0) -> list[Move[S]]:
        """The moves of step `step` (1, 2, ...), before which this fraction of the run is done."""
        moves = [move for move in self.moves if move.within(share)]
        if not self.phases:
            return [move for move in moves if step % move.every == 0]
        players = self.phase(step).players
        return [move for move in moves if move.player in players]

    def phase(self, step: int) -> Phase:
        """The phase of step `step` (1, 2, ...), for a game with phases."""
        place = (step - 1) % sum(phase.steps for phase in self.phases)
        for phase in self.phases[:-1]:
            if place < phase.steps:
                return phase
            place -= phase.steps
        return self.phases[-1]


def check_terms(terms: object, player: str, n: int) -> None:
    """Raises PthetaError if these are not losses of n examples: see `Move.loss`."""
    if not isinstance(terms, Mapping) or not terms:
        raise PthetaError(
            f"the loss of {player} returned {type(terms).__name__}: return a dict of tensors, "
            f"such as {{'error': e}} with e of shape (B,)"
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim not in (1, 2) or len(term) not in (1, n):
            shape = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise PthetaError(
                f"loss term {name!r} of {player} is {shape}: return a value for each of the {n} "
                f"examples, ({n},) or ({n}, parts), or one for all of them, (1,)"
            )
    if not any(term.requires_grad for term in terms.values()):
        raise PthetaError(
            f"no loss term of {player} depends on its weights, so it cannot be trained: compute "
            "it with gradients, or remove the move"
        )


@contextmanager
def freeze_others(model: nn.Module, player: Player) -> Iterator[None]:
    """Context in which only `player` is trainable: other parameters are frozen, and other buffers
    (such as BatchNorm statistics) are restored on exit. Parameters frozen by the user stay frozen.
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
        # not in place: a pending backward pass may have saved them
        for b, before in zip(buffers, kept, strict=True):
            b.data = before
