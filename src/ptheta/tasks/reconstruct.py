"""Reconstruction: needs `Encodes` and `Decodes`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import device_of
from ptheta.compute.streams import undisturbed
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import Autoencodes, require


@undisturbed()
@torch.no_grad()
def reconstruct(model: nn.Module, x: Tensor, condition: Condition | None = None) -> Tensor:
    """Encode and decode images: uint8 (B, C, H, W) -> the same shape, on the CPU.

    condition: one per image, for a conditional model
    Raises PthetaError if the model cannot encode or decode, or does not support the condition.
    """
    coder, y = require(model, Autoencodes, "reconstruct"), check_condition(model, condition)
    one, x = None if y is None else y[:1], x.to(device_of(model))
    with effort(model, lambda: coder.decode(coder.encode(x[:1], one), one), len(x)):
        return coder.decode(coder.encode(x, y), y).cpu()
