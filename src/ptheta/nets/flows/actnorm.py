"""Activation normalisation (Kingma & Dhariwal 2018, section 3.1, arXiv:1807.03039)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.nets.flows.transform import Image, Transform
from ptheta.specs import full

LEAST = 1e-3  # standard deviation that a channel is divided by at the start


class ActNorm(Transform):
    """y = (x + b) exp(s) for each channel, started from the first batch so that it has mean 0 and
    variance 1. Whether it has been started is in a buffer: it is started once."""

    started: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.register_buffer("started", torch.tensor(False))
        self.listening = False

    def _start(self, x: Tensor) -> None:
        x = streams.whole(x.detach()).transpose(0, 1).flatten(1)
        with torch.no_grad():
            self.bias.copy_(-x.mean(1))
            self.log_scale.copy_(-x.std(1, correction=0).clamp_min(LEAST).log())
            self.started.fill_(True)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, *[1] * (x.ndim - 2))
        return full(self.bias).view(shape), full(self.log_scale).view(shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        if self.listening and not bool(self.started):
            self._start(x)
        bias, log_scale = self._parts(x)
        places = x[0, 0].numel()
        return (x + bias) * log_scale.exp(), (log_scale.sum() * places).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        bias, log_scale = self._parts(z)
        return z * (-log_scale).exp() - bias


@contextmanager
def starting(model: nn.Module) -> Iterator[None]:
    """Inside, every `ActNorm` that has not been started is started by the batch that it meets."""
    layers = [layer for layer in model.modules() if isinstance(layer, ActNorm)]
    for layer in layers:
        layer.listening = True
    try:
        yield
    finally:
        for layer in layers:
            layer.listening = False
