"""The engine: gradients and updates of one player at a time, in one or several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, S, Terms, check_terms, freeze_others, unchanged
from ptheta.training import moments
from ptheta.training.averages import Averages, FiniteCheck
from ptheta.training.group import Group
from ptheta.training.scaling import Scale, Scaling

P = ParamSpec("P")
T = TypeVar("T")
KL = "kl"  # the term that the beta schedule scales


@dataclass(frozen=True)
class Weighing:
    """Loss weighting and gradient clipping.

    clip: maximum gradient norm of a player, 0 for none
    free_bits: free nats for each part of a term named kl
    compile: torch.compile the losses
    """

    clip: float = 0.0
    free_bits: float = 0.0
    compile: bool = False


class Engine:
    """Implements `ptheta.dynamics.Updater` for a game's dynamics.

    group: places tensors, enters autocast, and averages over processes, so that recorded values
        and buffer statistics are those of the whole batch
    """

    def __init__(
        self, model: nn.Module, game: Game[Any], group: Group, weighing: Weighing = Weighing()
    ) -> None:
        self.model, self.game, self.group, self.weighing = model, game, group, weighing
        self.step, self.share, self.kl_weight = 0, 0.0, 1.0  # set before each step
        self.measure_norms = False  # whether to record gradient norms
        self.parameters = {name: p.parameters() for name, p in game.players.items()}
        self.optimizers = {
            name: player.optimizer(self.parameters[name]) for name, player in game.players.items()
        }
        self.rates = {  # learning rate of each parameter group, before the schedule
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self.optimizers.items()
        }
        self.losses: dict[Move[Any], Callable[[Batch, Any], Terms]] = {
            move: self._made(move.loss) for move in game.moves
        }
        self.make_shared = None if game.prepare is None else self._made(game.prepare)
        self.alone = {name: player.owns(model) for name, player in game.players.items()}
        self.statistics = {
            name: [b for b in player.buffers() if b.is_floating_point()] if group.size > 1 else []
            for name, player in game.players.items()
        }
        fp16 = group.half is torch.float16
        self.scales = {name: Scaling(group.device) for name in game.players} if fp16 else {}
        self.averages, self.finite = Averages(group.device), FiniteCheck(group.device)
        self.kept: dict[str, list[Tensor]] = {}
        self.checked: set[int] = set()  # moves, by id, whose terms have been checked
        self.terms: dict[str, list[str]] = {name: [] for name in game.players}

    def _made(self, function: Callable[P, T]) -> Callable[P, T]:
        """Compiles a function if requested."""
        return torch.compile(function) if self.weighing.compile else function

    def set_lr(self, factor: float) -> None:
        """Sets the learning rates of this step: each group's own times `factor`."""
        for name, optimizer in self.optimizers.items():
            for group, lr in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = lr * factor

    # -- interface for dynamics

    def prepare(self, game: Game[S], step: int, batch: Batch) -> S:
        if self.make_shared is None:
            return None  # type: ignore[return-value]  # S is None where nothing is shared
        movers = frozenset(move.player for move in game.due(step, self.share))
        # players that do not move keep their statistics
        resting = [b for name in game.players.keys() - movers for b in game.players[name].buffers()]
        with unchanged(resting), self.group.autocast():
            shared: S = self.make_shared(batch, Clock(step, movers, self.share))
        return shared

    def gradients(self, move: Move[S], batch: Batch, shared: S) -> None:
        self.optimizers[move.player].zero_grad(set_to_none=True)
        if self.alone[move.player]:  # nothing to freeze
            self._backward(move, batch, shared)
        else:
            with freeze_others(self.model, self.game.players[move.player]):
                self._backward(move, batch, shared)

    def update(self, player: str) -> None:
        if player in self.scales:
            self.scales[player].step(self.optimizers[player])
        else:
            self.optimizers[player].step()

    def remember(self, player: str) -> None:
        self.kept[player] = [p.detach().clone() for p in self.parameters[player]]

    @torch.no_grad()
    def recall(self, player: str) -> None:
        for p, kept in zip(self.parameters[player], self.kept.pop(player), strict=True):
            p.copy_(kept)

    def noise(self) -> list[Tensor]:
        """The random streams of the CPU and, if used, the GPU."""
        found = [torch.get_rng_state()]
        if self.group.device.type == "cuda":
            found.append(torch.cuda.get_rng_state(self.group.device))
        return found

    def replay(self, noise: Sequence[Tensor]) -> None:
        torch.set_rng_state(noise[0])
        for state in noise[1:]:
            torch.cuda.set_rng_state(state, self.group.device)

    # -- one move

    def _backward(self, move: Move[S], batch: Batch, shared: S) -> None:
        player = move.player
        with self.group.autocast():
            terms = self.losses[move](batch, shared)
        if id(move) not in self.checked:
            check_terms(terms, player, len(batch))
            self.checked.add(id(move))
        means = {name: _mean(term) for name, term in terms.items()}
        total = reduce(add, (self._cost(n, terms[n], mean) for n, mean in means.items()))
        scaling = self.scales.get(player)
        (total if scaling is None else scaling.scaled(total)).backward()
        grads = [p.grad for p in self.parameters[player] if p.grad is not None]
        detached = {name: mean.detach() for name, mean in means.items()}
        logs = {name: value.detach().float().mean() for name, value in batch.logs.items()}
        batch.logs.clear()
        # .data: a pending backward pass may have saved the statistics
        statistics = [b.data for b in self.statistics[player]]
        self.group.average([*grads, *detached.values(), *logs.values(), *statistics])
        if scaling is not None:
            scaling.unscale(self.optimizers[player])
        for name, mean in detached.items():
            self.finite.see(self.step, player, f"loss term {name!r}", mean)
            if name not in self.terms[player]:
                self.terms[player].append(name)
        for name, mean in (detached | logs).items():
            self.averages.record(f"{player}/{name}", mean)
        self._norm(player, grads)

    def _norm(self, player: str, grads: list[Tensor]) -> None:
        """Clips the gradient of a player, and records its norm if computed or requested."""
        if self.weighing.clip:
            norm = nn.utils.clip_grad_norm_(self.parameters[player], self.weighing.clip)
            if not self.scales:
                self.finite.see(self.step, player, "gradient norm", norm)
        elif self.measure_norms:
            norm = nn.utils.get_total_norm(grads)
        else:
            return
        record = self.averages.record_finite if self.scales else self.averages.record
        record(f"{player}/gradient_norm", norm)  # a step that overflows is left out

    def _cost(self, name: str, term: Tensor, mean: Tensor) -> Tensor:
        """Contribution of a term to the loss: its mean, or for a term named kl the scheduled
        value."""
        if name != KL:
            return mean
        if self.weighing.free_bits:  # sum_j max(lambda, E[KL_j]): Kingma et al. 2016, eq. 16
            parts = (term.float() if term.ndim == 2 else term.float()[:, None]).mean(0)
            whole = parts.detach().clone()  # E is the mean over the batch of all processes
            self.group.average([whole])
            free = self.weighing.free_bits
            mean = torch.where(whole >= free, parts, free).sum()
        return mean * self.kl_weight

    # -- reporting

    def by_player(self, averages: Mapping[str, float]) -> dict[str, float]:
        """The losses to display: the loss of each player (the sum of its terms), or the terms of a
        single player. Omits players that do not move now."""
        found = {
            player: {t: averages[f"{player}/{t}"] for t in terms if f"{player}/{t}" in averages}
            for player, terms in self.terms.items()
        }
        if len(found) == 1:
            return next(iter(found.values()))
        playing = {move.player for move in self.game.moves if move.within(self.share)}
        return {
            player: sum(terms.values())
            for player, terms in found.items()
            if terms and player in playing
        }

    def lacks_kl(self) -> bool:
        """Whether all players have moved and none has a kl term."""
        return all(self.terms.values()) and not any(KL in terms for terms in self.terms.values())

    # -- state of the scales and optimizers

    def scale_state(self) -> dict[str, Scale]:
        """The scale of each player's loss; empty unless the precision is fp16."""
        return {name: scaling.state() for name, scaling in self.scales.items()}

    def load_scales(self, state: Mapping[str, Scale]) -> None:
        """Loads the scales. Raises KeyError, TypeError or ValueError if they are invalid."""
        for name, scaling in self.scales.items():
            scaling.load(state[name])

    def state(self) -> dict[str, Tensor]:
        """Every optimizer's state as named tensors."""
        return moments.state_of(self.optimizers)

    def load(self, state: dict[str, Tensor], *, begun: bool = False) -> None:
        """Loads the optimizers' state. Raises PthetaError if it does not fit. begun: whether steps
        were made, so that stateful optimizers must have a state."""
        factories = {name: player.optimizer for name, player in self.game.players.items()}
        if begun and not state and moments.keeps_something(self.optimizers, factories):
            raise PthetaError("the state of the optimizers is empty")
        moments.load_state(self.optimizers, factories, state)


def _mean(term: Tensor) -> Tensor:
    """Mean over the batch; parts of an example are summed."""
    return term.float().mean() if term.ndim == 1 else term.float().sum(1).mean()
