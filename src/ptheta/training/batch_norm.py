"""Batch normalisation over the whole batch of several processes, on any device.

`torch.nn.SyncBatchNorm` supports only GPUs; this also works on the CPU.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from ptheta.training.group import summed

Normalisation: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d


class SyncBatchNorm(nn.Module):
    """Replaces a batch normalisation layer, with the same weights and statistics by the same names.

    size: processes that share the batch, each with the same number of examples
    """

    def __init__(self, layer: Normalisation, size: int) -> None:
        super().__init__()
        self.size, self.eps, self.momentum = size, layer.eps, layer.momentum
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) -> the same, normalised over all but C."""
        mean, var = self.get_buffer("running_mean"), self.get_buffer("running_var")
        if self.training:
            mean, var = self._moments(x)
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale = self.weight * (var + self.eps).rsqrt()
        return (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance over the whole batch; updates the running statistics."""
        dims = [0, *range(2, x.ndim)]
        mean = summed(x.mean(dims)) / self.size
        centred = x - mean.view(1, -1, *[1] * (x.ndim - 2))
        var = summed(centred.square().mean(dims)) / self.size
        n = self.size * x.numel() // x.shape[1]
        with torch.no_grad():
            self.get_buffer("num_batches_tracked").add_(1)
            rate = self.momentum or 0.1
            self.get_buffer("running_mean").lerp_(mean, rate)
            self.get_buffer("running_var").lerp_(var * n / max(1, n - 1), rate)
        return mean, var


def synchronise(model: nn.Module, size: int) -> None:
    """Replaces every batch normalisation of the model by a `SyncBatchNorm`."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Normalisation):
                parent.register_module(name, SyncBatchNorm(layer, size))
