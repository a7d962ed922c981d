"""Games: who learns what.

A model states its game: the players (each with its own modules and optimizer), the moves,
in order, and what several moves of one step share. A VAE is a game with one player. Nothing here
knows a family.

**A step is one batch of data.** A discriminator moves in every step and comes first: it reads
detached fakes. The generator then moves against what the discriminator has become.
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
END = "end"  # a name among the averages that a monitor gets, of any value: the run is over
S = TypeVar("S")  # what the moves of one step share: a type of the model's own, or None


@runtime_checkable
class Remembering(Protocol):
    """A monitor that warns by more than the last interval: what it keeps is in the checkpoints."""

    def memory(self) -> Mapping[str, object]:
        """As JSON can hold it."""

    def recall(self, memory: Mapping[str, object]) -> None: ...


@dataclass(frozen=True)
class Player:
    """Who moves: the modules it owns and what makes their optimizer (`ptheta.optimizers`)."""

    modules: tuple[nn.Module, ...]
    optimizer: Factory = Adam()

    def parameters(self) -> list[nn.Parameter]:
        """Each parameter once, in a fixed order."""
        return list(dict.fromkeys(p for module in self.modules for p in module.parameters()))

    def buffers(self) -> list[Tensor]:
        return list(dict.fromkeys(b for module in self.modules for b in module.buffers()))

    def owns(self, model: nn.Module) -> bool:
        """Whether all of the model that can change is this player's: there is nobody to freeze."""
        parameters, buffers = set(self.parameters()), set(self.buffers())
        return all(p in parameters for p in model.parameters() if p.requires_grad) and all(
            b in buffers for b in model.buffers()
        )


@dataclass(frozen=True)
class Clock:
    """Where a run is.

    step: 1, 2, ...
    movers: the players that move in this step
    share: of the run that lies behind it, 0 to 1, for schedules such as fade-in
    """

    step: int
    movers: frozenset[str]
    share: float = 0.0


@dataclass(frozen=True)
class Move(Generic[S]):
    """One player minimises its own loss over its own parameters only.

    loss: batch, what the moves of the step share -> named per-example terms, summed before the one
        backward pass: (B,), or (B, parts) where the training may treat the parts apart (such as the
        KL of each latent dimension)
    every: the move is made in steps that are a multiple of `every`
    span: the share of the run from which on, and the one up to which, the move is made at all
    """

    player: str
    loss: Callable[[Batch, S], Terms]
    every: int = 1
    span: tuple[float, float] = (0.0, 1.0)

    def within(self, share: float) -> bool:
        """Whether the move is made at all when this share of the run is done; a run's last moment
        is of whoever moves up to the end."""
        start, end = self.span
        return start <= share < end or share >= end == 1.0


@dataclass(frozen=True)
class Phase:
    """Some steps in a row in which these players move, each in every step, and the others rest."""

    players: frozenset[str]
    steps: int


@dataclass(frozen=True)
class Game(Generic[S]):
    """The players by name, their moves in order, and what surrounds them.

    start(batch): called once, before the first step, with images to learn from (reference batches)
    prepare(batch, clock): makes once what several moves of a step use, such as codes and fakes with
        their graph. A move that is not by the player whose graph it is detaches what it reads
    after(step): state outside gradients (weight clipping, moving targets, persistent chains)
    monitor(averages): warnings by kind, read off the logged numbers of the last interval; at the
        end of a run it is called once more, with `END` alone. A `Remembering` one resumes exactly
    phases: players that take turns for many steps each, over and over; none: all move in each step,
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
                    "want shares that rise, from 0 to 1"
                )
        idle = self.players.keys() - {move.player for move in self.moves}
        if self.moves and idle:
            raise PthetaError(f"the player {min(idle)} has no move: give it one, or leave it out")

    def due(self, step: int, share: float = 0.0) -> list[Move[S]]:
        """The moves of step `step` (1, 2, ...), which begins when this share of the run is done."""
        moves = [move for move in self.moves if move.within(share)]
        if not self.phases:
            return [move for move in moves if step % move.every == 0]
        players = self.phase(step).players
        return [move for move in moves if move.player in players]

    def phase(self, step: int) -> Phase:
        """The phase that step `step` (1, 2, ...) lies in, of a game that has some."""
        place = (step - 1) % sum(phase.steps for phase in self.phases)
        for phase in self.phases[:-1]:
            if place < phase.steps:
                return phase
            place -= phase.steps
        return self.phases[-1]


def check_terms(terms: object, player: str, n: int) -> None:
    """Raises PthetaError for what is no loss of n examples: see `Move.loss`."""
    if not isinstance(terms, Mapping) or not terms:
        raise PthetaError(
            f"the loss of {player} gave {type(terms).__name__} and no terms: give named tensors, "
            "such as {'error': e} with e of shape (B,)"
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim not in (1, 2) or len(term) not in (1, n):
            shape = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise PthetaError(
                f"loss term {name!r} of {player} is {shape}: give a number for each of the {n} "
                f"examples, ({n},) or ({n}, parts), or one for all of them, (1,)"
            )
    if not any(term.requires_grad for term in terms.values()):
        raise PthetaError(
            f"no loss term of {player} depends on its weights: there is nothing to learn by; "
            "compute it with gradients, or leave the move out"
        )


@contextmanager
def freeze_others(model: nn.Module, player: Player) -> Iterator[None]:
    """Inside, only `player` can change: the others' parameters are frozen and their buffers
    (such as BatchNorm statistics) are as before on leaving. What the user froze stays frozen.
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
    """On leaving, the buffers are as they were."""
    kept = [b.clone() for b in buffers]
    try:
        yield
    finally:
        # not a copy in place: a graph that is still to be walked may have saved them
        for b, before in zip(buffers, kept, strict=True):
            b.data = before
