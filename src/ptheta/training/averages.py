"""Logged metrics: means over an interval, and detection of non-finite values."""

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
        self.counts: dict[str, int | Tensor] = {}

    def record(self, name: str, value: Tensor) -> None:
        self._add(name, value, 1)

    def record_finite(self, name: str, value: Tensor) -> None:
        """Leaves the value out if it is NaN or infinite. The host does not wait to know it."""
        finite = value.isfinite()
        self._add(name, torch.where(finite, value, 0), finite.long())

    def _add(self, name: str, value: Tensor, count: int | Tensor) -> None:
        if name in self.sums:
            self.sums[name] += value
            self.counts[name] = self.counts[name] + count
        else:
            self.sums[name], self.counts[name] = value.clone(), count

    def take(self) -> dict[str, float]:
        """Returns the means and starts a new interval."""
        means = {
            name: (total / count).item()
            for name, total in self.sums.items()
            if (count := int(self.counts[name]))
        }
        self.sums, self.counts = {}, {}
        return means

    def so_far(self) -> dict[str, float]:
        """The current means, without starting a new interval."""
        return {name: total / count for name, (total, count) in self.interval().items() if count}

    def interval(self) -> dict[str, tuple[float, int]]:
        """(sum, count) of each metric, JSON-compatible."""
        return {name: (total.item(), int(self.counts[name])) for name, total in self.sums.items()}

    def set_interval(self, sums: Mapping[str, tuple[float, int]]) -> None:
        """Restores a state returned by `interval`."""
        self.sums = {k: torch.tensor(t, device=self.device) for k, (t, _) in sums.items()}
        self.counts = {name: n for name, (_, n) in sums.items()}


class FiniteCheck:
    """Raises `NonFinite` for a non-finite value: immediately on the CPU; on a GPU at `check`, once
    per interval, to avoid synchronisation."""

    def __init__(self, device: torch.device) -> None:
        self.at_once = device.type == "cpu"
        self.pending: list[tuple[int, str, str, Tensor]] = []

    def see(self, step: int, player: str, term: str, value: Tensor) -> None:
        if not self.at_once:
            self.pending.append((step, player, term, value))
        elif not math.isfinite(number := value.item()):
            raise NonFinite(step, player, term, number)

    def check(self) -> None:
        """Raises NonFinite for the first non-finite value since the last check."""
        if not self.pending:
            return
        numbers = torch.stack([value for *_, value in self.pending]).tolist()
        pending, self.pending = self.pending, []
        for (step, player, term, _), number in zip(pending, numbers, strict=True):
            if not math.isfinite(number):
                raise NonFinite(step, player, term, number)
