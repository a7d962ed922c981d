"""Training tricks of GANs for labels, images and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.compute import streams


class SoftLabels(NamedTuple):
    """Labels of a discriminator that are not 1 and 0.

    smoothing: real examples are labelled 1 - this (one-sided, Salimans et al. 2016)
    noise: each label is moved towards 1/2 by U(0, this)
    flips: share of labels that are the wrong way round
    """

    smoothing: float
    noise: float
    flips: float

    def targets(self, logits: Tensor, label: float) -> Tensor:
        """Labels of outputs (B,): `label`, moved towards 1/2 and turned round at random."""
        target = torch.full_like(logits, label)
        if self.noise:
            target = target + (0.5 - target).sign() * self.noise * streams.uniform_like(logits)
        if self.flips:
            target = torch.where(streams.uniform_like(logits) < self.flips, 1 - target, target)
        return target


class History(nn.Module):
    """The mean over all past steps of a player's weights (Salimans et al. 2016, section 3.3)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        for i, p in enumerate(module.parameters()):
            self.register_buffer(f"mean{i}", p.detach().clone())

    def distance(self, module: nn.Module) -> Tensor:
        """|theta - mean|^2"""
        pairs = zip(module.parameters(), self.buffers(), strict=True)
        return torch.stack([(p - mean).square().sum() for p, mean in pairs]).sum()

    def update(self, module: nn.Module, step: int) -> None:
        """With the weights after step `step`, those before step 1 being the first of the mean."""
        means, now = list(self.buffers()), [p.detach() for p in module.parameters()]
        torch._foreach_lerp_(means, now, 1 / (step + 1))


class Histories(nn.Module):
    """A `History` of each network, by name."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = dict(networks)
        self.of = {name: History(network) for name, network in networks.items()}
        for name, history in self.of.items():
            self.add_module(name, history)

    def distance(self, name: str) -> Tensor:
        return self.of[name].distance(self.networks[name])

    def update(self, step: int) -> None:
        for name, history in self.of.items():
            history.update(self.networks[name], step)


def remaining(step: Tensor, steps: int) -> Tensor:
    """The share that is left after `step` of something that falls to 0 over `steps`; 0: it
    stays."""
    return (1 - step / steps).clamp(min=0) if steps else torch.ones_like(step)


def pairwise_mse(x: Tensor) -> Tensor:
    """Mean squared difference of examples side by side in a batch: twice the variance."""
    return (x - x.roll(1, 0)).square().mean()
