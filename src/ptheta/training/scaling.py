"""Loss scaling for fp16, whose gradients underflow otherwise (Micikevicius et al. 2018,
arXiv:1710.03740).

`torch.amp.GradScaler` of each player: the loss is multiplied by a scale before `backward`, and the
gradients are divided by it. A step whose gradients overflow is left out and halves the scale; 2000
steps without overflow double it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

Scale = tuple[float, int]  # the scale, and the steps since it changed
FIRST = 2.0**16


class Scaling:
    """The scale of one player. pending: whether its gradients are unscaled and not yet used"""

    def __init__(self, device: torch.device) -> None:
        self.scaler = GradScaler(device.type, init_scale=FIRST)
        self.pending = False

    def scaled(self, loss: Tensor) -> Tensor:
        return self.scaler.scale(loss)

    def unscale(self, optimizer: Optimizer) -> None:
        """Divides the gradients by the scale, the same in all processes."""
        if self.pending:  # those of an earlier move were not used
            self.scaler.update()
        self.scaler.unscale_(optimizer)
        self.pending = True

    def step(self, optimizer: Optimizer) -> None:
        """Makes the step, unless a gradient is not finite, and adapts the scale."""
        if not self.pending:  # a second step with the same gradients, which are unscaled
            optimizer.step()
            return
        self.scaler.step(optimizer)
        self.scaler.update()
        self.pending = False

    @property
    def scale(self) -> float:
        return self.scaler.get_scale()

    def state(self) -> Scale:
        found = self.scaler.state_dict()
        return float(found["scale"]), int(found["_growth_tracker"])

    def load(self, state: Scale) -> None:
        """Raises TypeError or ValueError for an invalid state."""
        scale, steps = state
        own = self.scaler.state_dict() | {"scale": float(scale), "_growth_tracker": int(steps)}
        self.scaler.load_state_dict(own)
