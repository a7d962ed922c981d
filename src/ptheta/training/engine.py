"""The engine: gradients and updates of one player at a time, on one or several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, S, Terms, only, unchanged
from ptheta.training import moments
from ptheta.training.group import Group


class NonFinite(PthetaError):
    """A loss or gradient that is NaN or infinite: step, player and term are in the message."""

    def __init__(self, step: int, player: str, term: str, value: float) -> None:
        super().__init__(f"step {step}: the {term} of player {player!r} is {value}")
        self.step, self.player, self.term = step, player, term


class Engine:
    """Gives a game's dynamics what they ask for (`ptheta.dynamics.Mechanics`).

    group: places tensors, enters the precision's autocast, and averages over processes: what is
        recorded is of the whole batch
    clip: largest gradient norm of a player, 0 for none
    free_bits: nats that each part of a term named kl may have for nothing
    kl_weight: factor of such terms, set before each step
    """

    def __init__(
        self,
        model: nn.Module,
        game: Game[Any],
        group: Group,
        *,
        clip: float = 0.0,
        compile: bool = False,
        free_bits: float = 0.0,
    ) -> None:
        self.model, self.game, self.group, self.clip = model, game, group, clip
        self.step, self.kl_weight, self.free_bits = 0, 1.0, free_bits
        self.measure_norms = False  # whether to record each player's gradient norm
        self.parameters = {name: p.parameters() for name, p in game.players.items()}
        self.optimizers = {
            name: player.optimizer(self.parameters[name]) for name, player in game.players.items()
        }
        self.rates = {  # of each group of weights, before the schedule
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self.optimizers.items()
        }
        self.losses: dict[Move[Any], Callable[[Batch, Any], Terms]] = {
            move: torch.compile(move.loss) if compile else move.loss for move in game.moves
        }
        self.make_shared = game.prepare
        if compile and game.prepare is not None:
            self.make_shared = torch.compile(game.prepare)
        self.alone = {
            name: {id(p) for p in model.parameters() if p.requires_grad}
            <= {id(p) for p in self.parameters[name]}
            and {id(b) for b in model.buffers()} <= {id(b) for b in player.buffers()}
            for name, player in game.players.items()
        }
        # reading a number from a GPU waits for it, so there the check is made once an interval
        self.check_at_once = group.device.type == "cpu"
        self.pending: list[tuple[int, str, str, Tensor]] = []
        self.kept: dict[str, list[Tensor]] = {}
        self.terms: dict[str, list[str]] = {name: [] for name in game.players}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def set_lr(self, factor: float) -> None:
        """Learning rates of this step: each player's own times `factor`."""
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = lr * factor

    def prepare(self, game: Game[S], step: int, batch: Batch) -> S:
        if self.make_shared is None:
            return None  # type: ignore[return-value]  # S is None where nothing is shared
        movers = frozenset(move.player for move in game.due(step))
        # whoever does not move keeps its statistics, too
        resting = [b for name in game.players.keys() - movers for b in game.players[name].buffers()]
        with unchanged(resting), self.group.autocast():
            return self.make_shared(batch, Clock(step, movers))

    def gradients(self, move: Move[S], batch: Batch, shared: S) -> None:
        self.optimizers[move.player].zero_grad(set_to_none=True)
        if self.alone[move.player]:  # nobody to freeze
            self._backward(move, batch, shared)
        else:
            with only(self.model, self.game.players[move.player]):
                self._backward(move, batch, shared)

    def _backward(self, move: Move[S], batch: Batch, shared: S) -> None:
        with self.group.autocast():
            terms = self.losses[move](batch, shared)
        means = {name: self._mean(term) for name, term in terms.items()}
        total = reduce(add, (self._cost(n, terms[n], mean) for n, mean in means.items()))
        total.backward()
        grads = [p.grad for p in self.parameters[move.player] if p.grad is not None]
        told = {name: mean.detach() for name, mean in means.items()}
        logs = {name: value.detach().float().mean() for name, value in batch.logs.items()}
        batch.logs.clear()
        self.group.average([*grads, *told.values(), *logs.values()])
        for name, mean in told.items():
            self._watch(move.player, f"loss term {name!r}", mean)
            if name not in self.terms[move.player]:
                self.terms[move.player].append(name)
        for name, mean in (told | logs).items():
            self.record(f"{move.player}/{name}", mean)
        if self.clip:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters[move.player], self.clip)
            self._watch(move.player, "gradient norm", norm)
            self.record(f"{move.player}/gradient_norm", norm)
        elif self.measure_norms:
            norm = torch.nn.utils.get_total_norm(grads)
            self.record(f"{move.player}/gradient_norm", norm)

    @staticmethod
    def _mean(term: Tensor) -> Tensor:
        """Over the batch; the parts of an example are summed."""
        return term.float().mean() if term.ndim == 1 else term.float().sum(1).mean()

    def _cost(self, name: str, term: Tensor, mean: Tensor) -> Tensor:
        """What a term adds to the loss: its mean, or the schedule's version of a term named kl."""
        if name != "kl":
            return mean
        if self.free_bits:  # sum_j max(lambda, E[KL_j]): Kingma et al. 2016, eq. 16
            parts = (term.float() if term.ndim == 2 else term.float()[:, None]).mean(0)
            whole = parts.detach().clone()  # E is over the batch of all processes
            self.group.average([whole])
            mean = torch.where(whole >= self.free_bits, parts, self.free_bits).sum()
        return mean * self.kl_weight

    def _watch(self, player: str, term: str, value: Tensor) -> None:
        if self.check_at_once:
            if not math.isfinite(number := value.item()):
                raise NonFinite(self.step, player, term, number)
        else:
            self.pending.append((self.step, player, term, value))

    def check(self) -> None:
        """Raises NonFinite for the first bad number since the last check."""
        if not self.pending:
            return
        numbers = torch.stack([value for *_, value in self.pending]).tolist()
        pending, self.pending = self.pending, []
        for (step, player, term, _), number in zip(pending, numbers, strict=True):
            if not math.isfinite(number):
                raise NonFinite(step, player, term, number)

    def record(self, name: str, value: Tensor) -> None:
        """Adds to the mean that `averages` gives."""
        if name in self.sums:
            self.sums[name] += value
            self.counts[name] += 1
        else:
            self.sums[name], self.counts[name] = value.clone(), 1

    def averages(self) -> dict[str, float]:
        """Mean of each recorded number since the last call."""
        means = {name: (total / self.counts[name]).item() for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def by_player(self, averages: Mapping[str, float]) -> dict[str, float]:
        """What a reader wants of such averages: the loss of each player, the sum of its terms; the
        terms themselves where one plays alone."""
        found = {
            player: {t: averages[f"{player}/{t}"] for t in terms if f"{player}/{t}" in averages}
            for player, terms in self.terms.items()
        }
        if len(found) == 1:
            return next(iter(found.values()))
        return {player: sum(terms.values()) for player, terms in found.items() if terms}

    def so_far(self) -> dict[str, float]:
        """What `averages` would give, in this process alone; the interval goes on."""
        return {name: total / count for name, (total, count) in self.interval().items()}

    def interval(self) -> dict[str, tuple[float, int]]:
        """(sum, how many) of each recorded number since `averages` was called."""
        return {name: (total.item(), self.counts[name]) for name, total in self.sums.items()}

    def set_interval(self, sums: Mapping[str, tuple[float, int]]) -> None:
        device = self.group.device
        self.sums = {k: torch.tensor(total, device=device) for k, (total, _) in sums.items()}
        self.counts = {name: n for name, (_, n) in sums.items()}

    def update(self, player: str) -> None:
        self.optimizers[player].step()

    def noise(self) -> list[Tensor]:
        """The CPU's stream, and that of the GPU where there is one."""
        found = [torch.get_rng_state()]
        if self.group.device.type == "cuda":
            found.append(torch.cuda.get_rng_state(self.group.device))
        return found

    def replay(self, noise: Sequence[Tensor]) -> None:
        torch.set_rng_state(noise[0])
        for state in noise[1:]:
            torch.cuda.set_rng_state(state, self.group.device)

    def remember(self, player: str) -> None:
        self.kept[player] = [p.detach().clone() for p in self.parameters[player]]

    @torch.no_grad()
    def recall(self, player: str) -> None:
        for p, kept in zip(self.parameters[player], self.kept.pop(player), strict=True):
            p.copy_(kept)

    def state(self) -> dict[str, Tensor]:
        """Every optimizer's state as named tensors."""
        return moments.state_of(self.optimizers)

    def load(self, state: dict[str, Tensor], *, begun: bool = False) -> None:
        """Raises PthetaError where `state` is not of these optimizers. begun: whether they have
        made a step, so that they must have a state where they keep one at all"""
        factories = {name: player.optimizer for name, player in self.game.players.items()}
        if begun and not state and moments.keeps_something(self.optimizers, factories):
            raise PthetaError("the state of the optimizers is empty")
        moments.load_state(self.optimizers, factories, state)
