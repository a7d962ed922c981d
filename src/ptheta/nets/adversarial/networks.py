"""The bodies of generators and discriminators, by name: `NETWORKS`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ptheta.config import Entry
from ptheta.nets.adversarial.growing import GrowingGenerator, GrowingTrunk, Plan, plan
from ptheta.nets.adversarial.layers import DOWNSAMPLING, downsampled
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder, Norm, init_dcgan
from ptheta.nets.minibatch import MINIBATCH
from ptheta.nets.norms import needs_bias
from ptheta.nets.resnet import ResNetDecoder, ResNetTrunk
from ptheta.specs import DataSpec, ImageSpec, VectorSpec

if TYPE_CHECKING:
    from ptheta.nets.adversarial.config import NetConfig


class Trunk(NamedTuple):
    """body(scaled examples, cond or None) -> features (B, width), cond being numbers (B, K)

    has_statistics: whether the statistics of a batch are in them already
    """

    body: nn.Module
    width: int
    has_statistics: bool = False


@dataclass(frozen=True)
class Network(Entry):
    """generator(spec, config, inputs, norm): numbers (B, inputs) -> (B, *scaled_shape)
    trunk(spec, config, cond_dim, norm): scaled examples and numbers (B, cond_dim) -> features
    specs: the types of spec that it takes
    batch_norm: whether its discriminator is published with it
    least_side: pixels of the smallest images that it takes
    grows: whether it learns small images first, where it is asked to
    """

    generator: Callable[[DataSpec, NetConfig, int, Norm], nn.Module]
    trunk: Callable[[DataSpec, NetConfig, int, Norm], Trunk]
    specs: tuple[type[DataSpec], ...] = (ImageSpec, VectorSpec)
    batch_norm: bool = False
    least_side: int = 1
    grows: bool = False


class ConcatenatedVector(nn.Module):
    """Examples of any shape and numbers (B, K), as one vector each."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        features: Tensor = self.body(x if cond is None else torch.cat([x, cond], 1))
        return features


class ConcatenatedMaps(nn.Module):
    """Images with each number as one more channel, alike at every pixel."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor, cond: Tensor | None = None) -> Tensor:
        if cond is not None:
            maps = cond[:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, maps], 1)
        features: Tensor = self.body(images)
        return features.flatten(1)


def _no_norm(channels: int, dims: int) -> None:
    return None


def _linear(a: int, b: int, norm: Norm) -> list[nn.Module]:
    """A linear layer and what normalises it."""
    normed = norm(b, 2)
    linear = nn.Linear(a, b, bias=needs_bias(normed))
    return [linear] if normed is None else [linear, normed]


def _perceptron(sizes: list[int], norm: Norm) -> nn.Sequential:
    """Linear layers, each followed by `norm` (but for the first) and a leaky ReLU."""
    layers: list[nn.Module] = []
    for i in range(1, len(sizes)):
        layers += _linear(sizes[i - 1], sizes[i], norm if i > 1 else _no_norm)
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers)


def mlp_generator(spec: DataSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    body = _perceptron([inputs, *config.g_hidden], norm)
    last = nn.Linear((inputs, *config.g_hidden)[-1], math.prod(spec.scaled_shape))
    return nn.Sequential(*body, last, nn.Unflatten(1, spec.scaled_shape))


def mlp_trunk(spec: DataSpec, config: NetConfig, cond_dim: int, norm: Norm) -> Trunk:
    sizes = [math.prod(spec.scaled_shape) + cond_dim, *config.d_hidden]
    return Trunk(ConcatenatedVector(_perceptron(sizes, norm)), sizes[-1])


def conv_generator(
    spec: DataSpec, config: NetConfig, inputs: int, norm: Norm, *, resize: bool
) -> nn.Module:
    c, h, w = spec.scaled_shape
    features, size = config.features, config.dense or inputs
    net: nn.Module = ConvDecoder(
        size, h, w, c, features=features, dcgan=True, resize=resize, norm=norm
    )
    if config.dense:
        net = nn.Sequential(*_linear(inputs, config.dense, norm), nn.ReLU(inplace=True), net)
    init_dcgan(net)
    return net


def conv_trunk(spec: DataSpec, config: NetConfig, cond_dim: int, norm: Norm) -> Trunk:
    c, h, w = spec.scaled_shape
    net = ConvEncoder(c + cond_dim, h, w, 1, features=config.features, dcgan=True, norm=norm)
    body, width = downsampled(net.body, DOWNSAMPLING[config.downsampling]), net.width
    if config.dense:
        last = _linear(width, config.dense, norm)
        body = nn.Sequential(*body, nn.Flatten(), *last, nn.LeakyReLU(0.2, inplace=True))
        width = config.dense
    init_dcgan(body)
    return Trunk(ConcatenatedMaps(body), width)


def resnet_generator(spec: DataSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    c, h, w = spec.scaled_shape
    return ResNetDecoder(inputs, h, w, c, features=config.features, norm=norm)


def resnet_trunk(spec: DataSpec, config: NetConfig, cond_dim: int, norm: Norm) -> Trunk:
    c, h, w = spec.scaled_shape
    net = ResNetTrunk(c + cond_dim, h, w, features=config.features, norm=norm)
    return Trunk(ConcatenatedMaps(net), net.width)


def growing_plan(spec: DataSpec, config: NetConfig) -> Plan:
    _, h, w = spec.scaled_shape
    return plan(h, w, config.stages, config.features, config.most_features)


def growing_generator(spec: DataSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    return GrowingGenerator(growing_plan(spec, config), inputs, spec.scaled_shape[0], norm)


def growing_trunk(spec: DataSpec, config: NetConfig, cond_dim: int, norm: Norm) -> Trunk:
    entry = MINIBATCH.get(config.minibatch)
    has_statistics = entry is not None and entry.of_maps
    layer = entry.layer if entry is not None and has_statistics else None
    channels = spec.scaled_shape[0] + cond_dim
    net = GrowingTrunk(growing_plan(spec, config), channels, norm, layer)
    return Trunk(ConcatenatedMaps(net), net.width, has_statistics)


IMAGES = (ImageSpec,)
HALVES = 8  # pixels a side of the smallest images that are halved

NETWORKS: dict[str, Network] = {
    "mlp": Network(mlp_generator, mlp_trunk, about="fully connected (1406.2661)"),
    "conv": Network(
        partial(conv_generator, resize=False),
        conv_trunk,
        specs=IMAGES,
        about="DCGAN (1511.06434)",
        batch_norm=True,
        least_side=HALVES,
    ),
    "resize": Network(
        partial(conv_generator, resize=True),
        conv_trunk,
        specs=IMAGES,
        about="DCGAN with upsampling in the generator, which avoids checkerboards",
        batch_norm=True,
        least_side=HALVES,
    ),
    "resnet": Network(
        resnet_generator,
        resnet_trunk,
        specs=IMAGES,
        about="SN-GAN (1802.05957)",
        least_side=HALVES,
    ),
    "growing": Network(
        growing_generator,
        growing_trunk,
        specs=IMAGES,
        about="progressive growing (1710.10196)",
        least_side=HALVES,
        grows=True,
    ),
}
