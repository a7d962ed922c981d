"""Exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """avg <- d avg + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t)) at the t-th update.

    The increasing d forgets the initial weights in short runs. Buffers are not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.live = dict(model.named_parameters())
        self.average = {name: p.detach().clone() for name, p in self.live.items()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        d = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(
            list(self.average.values()), [p.detach() for p in self.live.values()], 1 - d
        )

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Context in which the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, p in self.live.items():
            p.data, self.average[name] = self.average[name], p.data

    def state(self) -> dict[str, Tensor]:
        return self.average

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], updates: int) -> None:
        self.updates = updates
        for name, average in self.average.items():
            average.copy_(state[name])
