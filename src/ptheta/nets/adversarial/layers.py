"""Layers of a GAN's networks: activations, noise, and downsampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import dropout

from ptheta.compute import streams
from ptheta.config import Entry


@dataclass(frozen=True)
class Activation(Entry):
    make: Callable[[], nn.Module]


def leaky_relu() -> nn.Module:
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    return nn.ReLU(inplace=True)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu),
    "leaky_relu": Activation(leaky_relu, about="max(x, 0.2 x)"),
}


class Dropout(streams.Dropout):
    """Dropout, optionally also in sampling (Isola et al. 2017, section 3.1, arXiv:1611.07004)."""

    def __init__(self, probability: float, in_sampling: bool) -> None:
        super().__init__(probability)
        self.in_sampling = in_sampling

    def forward(self, x: Tensor) -> Tensor:
        if self.in_sampling and not self.training:
            return dropout(x, self.p)
        return super().forward(x)


class GaussianNoise(nn.Module):
    """Add noise N(0, deviation^2) to each element, optionally also in sampling."""

    def __init__(self, deviation: float, in_sampling: bool) -> None:
        super().__init__()
        self.deviation, self.in_sampling = deviation, in_sampling

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or self.in_sampling):
            return x
        return x + self.deviation * streams.normal_like(x)


def with_activations(net: nn.Module, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """The network itself, each activation in it replaced by make(activation)."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU | nn.LeakyReLU):
                setattr(parent, name, make(child))
    return net


@dataclass(frozen=True)
class Downsampling(Entry):
    """replace: a convolution of stride 2 -> what halves a map in its place"""

    replace: Callable[[nn.Conv2d], nn.Module]


def strided(convolution: nn.Conv2d) -> nn.Module:
    return convolution


def averaged(convolution: nn.Conv2d) -> nn.Module:
    """A convolution followed by 2x2 average pooling, rounding sizes up."""
    a, b, bias = convolution.in_channels, convolution.out_channels, convolution.bias is not None
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=bias), nn.AvgPool2d(2, ceil_mode=True))


DOWNSAMPLING: dict[str, Downsampling] = {
    "stride": Downsampling(strided, about="convolutions of stride 2 (1511.06434)"),
    "average": Downsampling(averaged, about="convolutions, then 2x2 average pooling"),
}


def downsampled(net: nn.Sequential, entry: Downsampling) -> nn.Sequential:
    """The layers of this network, those that halve a map replaced."""
    layers: list[nn.Module] = []
    for layer in net:
        if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1):
            layer = entry.replace(layer)
        layers.append(layer)
    return nn.Sequential(*layers)
