"""Games of two players with a few numbers each, played by the engine that trains models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.dynamics import DYNAMICS
from ptheta.games import Game, Move, Player
from ptheta.optimizers import SGD
from ptheta.training.engine import Engine
from ptheta.training.group import Group

Loss = Callable[[Tensor, Tensor], Tensor]  # of the numbers of both players -> a number


class Numbers(nn.Module):
    """The numbers of one player, float64 (D,)."""

    def __init__(self, values: Sequence[float]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(list(values), dtype=torch.float64))


class Pair(nn.Module):
    """Two players."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        super().__init__()
        self.x, self.y = Numbers(x), Numbers(y)

    def now(self) -> Tensor:
        """The numbers of both, (Dx + Dy,)."""
        return torch.cat([self.x.values, self.y.values]).detach()

    @torch.no_grad()
    def put(self, numbers: Sequence[float]) -> None:
        """Sets the numbers of both, (Dx + Dy,)."""
        both = torch.tensor(list(numbers), dtype=torch.float64)
        self.x.values.copy_(both[: len(self.x.values)])
        self.y.values.copy_(both[len(self.x.values) :])

    def game(self, losses: tuple[Loss, Loss], lr: float) -> Game[None]:
        """The players in turn, each with plain gradient descent."""

        def move(player: str, loss: Loss) -> Move[None]:
            def terms(batch: Batch, shared: None) -> dict[str, Tensor]:
                return {"loss": loss(self.x.values, self.y.values).reshape(1)}

            return Move(player, terms)

        players = {"x": Player((self.x,), SGD(lr)), "y": Player((self.y,), SGD(lr))}
        return Game(players, (move("x", losses[0]), move("y", losses[1])))


def play(
    losses: tuple[Loss, Loss],
    start: tuple[Sequence[float], Sequence[float]],
    *,
    rule: str = "alternating",
    lr: float = 0.1,
    steps: int = 100,
) -> Tensor:
    """The path of two players who descend their own losses.

    Args:
        losses: What the first and the second player minimise, as functions of (x, y).
        start: Their numbers at first.
        rule: The update rule, of `ptheta.dynamics.DYNAMICS`.
        lr: Step size of gradient descent.
        steps: Number of steps.

    Returns:
        float64 (steps + 1, Dx + Dy): the numbers of both players after each step.
    """
    pair, batch = Pair(*start), Batch(torch.zeros(1))
    game = pair.game(losses, lr)
    engine = Engine(pair, game, Group())
    path = [pair.now()]
    for step in range(1, steps + 1):
        DYNAMICS[rule].rule(engine, game, step, batch)
        path.append(pair.now())
    return torch.stack(path)


def linearised(losses: tuple[Loss, Loss], at: tuple[float, float], rule: str, lr: float) -> Tensor:
    """The Jacobian of one step at a fixed point, by central differences: float64 (2, 2)."""
    pair, batch = Pair([at[0]], [at[1]]), Batch(torch.zeros(1))
    game = pair.game(losses, lr)
    engine = Engine(pair, game, Group())  # without momentum: a step depends on the numbers alone
    columns = []
    for i in range(2):
        ends = []
        for sign in (1, -1):
            pair.put([at[0] + sign * NUDGE * (i == 0), at[1] + sign * NUDGE * (i == 1)])
            DYNAMICS[rule].rule(engine, game, 1, batch)
            ends.append(pair.now())
        columns.append((ends[0] - ends[1]) / (2 * NUDGE))
    return torch.stack(columns, 1)


NUDGE = 1e-4  # of each number, for central differences
