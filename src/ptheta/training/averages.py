"""Numbers that are logged: their means over an interval, and a watch for what is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ptheta.errors import PthetaError


class NonFinite(PthetaError):
    """A loss or gradient that is NaN or infinite: step, player and term are in the message."""

    def __init__(self, step: int, player: str, term: str, value: float) -> None:
        super().__init__(f"step {step}: the {term} of player {player!r} is {value}")
        self.step, self.player, self.term = step, player, term


class Averages:
    """Means of recorded numbers (scalars on `device`) since the last `take`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def record(self, name: str, value: Tensor) -> None:
        if name in self.sums:
            self.sums[name] += value
            self.counts[name] += 1
        else:
            self.sums[name], self.counts[name] = value.clone(), 1

    def take(self) -> dict[str, float]:
        """The means; a new interval begins."""
        means = {name: (total / self.counts[name]).item() for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def so_far(self) -> dict[str, float]:
        """What `take` would give; the interval goes on."""
        return {name: total / count for name, (total, count) in self.interval().items()}

    def interval(self) -> dict[str, tuple[float, int]]:
        """(sum, how many) of each number, as JSON can hold it."""
        return {name: (total.item(), self.counts[name]) for name, total in self.sums.items()}

    def set_interval(self, sums: Mapping[str, tuple[float, int]]) -> None:
        """Goes on with what `interval` gave."""
        self.sums = {k: torch.tensor(t, device=self.device) for k, (t, _) in sums.items()}
        self.counts = {name: n for name, (_, n) in sums.items()}


class FiniteCheck:
    """Raises `NonFinite` for a bad number: at once on the CPU; reading one from a GPU waits for it,
    so there it is done at `check`, once an interval."""

    def __init__(self, device: torch.device) -> None:
        self.at_once = device.type == "cpu"
        self.pending: list[tuple[int, str, str, Tensor]] = []

    def see(self, step: int, player: str, term: str, value: Tensor) -> None:
        if not self.at_once:
            self.pending.append((step, player, term, value))
        elif not math.isfinite(number := value.item()):
            raise NonFinite(step, player, term, number)

    def check(self) -> None:
        """Raises NonFinite for the first bad number since the last check."""
        if not self.pending:
            return
        numbers = torch.stack([value for *_, value in self.pending]).tolist()
        pending, self.pending = self.pending, []
        for (step, player, term, _), number in zip(pending, numbers, strict=True):
            if not math.isfinite(number):
                raise NonFinite(step, player, term, number)
