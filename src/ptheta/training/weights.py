"""The weights for use: the moving average if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta.compute.streams import alone, seeded
from ptheta.files.tensors import save_tensors
from ptheta.training.ema import EMA


class Weights:
    """A model in training, in the state in which it is used.

    seed: seed of its random stream
    """

    def __init__(self, model: nn.Module, ema: EMA | None, seed: int) -> None:
        self.model, self.ema, self.seed = model, ema, seed

    @contextmanager
    def resting(self) -> Iterator[nn.Module]:
        """The model as it will be used: averaged weights, eval mode, its own random stream, and
        noise not shared among processes."""
        averaged = nullcontext() if self.ema is None else self.ema.in_use()
        with torch.no_grad(), alone(), seeded(self.seed):
            self.model.eval()
            try:
                with averaged:
                    yield self.model
            finally:
                self.model.train()

    def tensors(self) -> dict[str, Tensor]:
        return self.model.state_dict() | ({} if self.ema is None else self.ema.state())

    def write(self, file: Path, step: int) -> None:
        save_tensors(file, self.tensors(), {"step": str(step)})
