"""The two networks of a GAN, chosen by config: a generator of images and a judge of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ptheta.config import Count, NonNegative, option
from ptheta.errors import PthetaError, unknown
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder, Norm, init_dcgan
from ptheta.nets.minibatch import minibatch
from ptheta.nets.norms import NORMS, normalisation
from ptheta.nets.resnet import ResNetDecoder, ResNetTrunk
from ptheta.specs import ImageSpec, full

Net = Literal["mlp", "conv", "resize", "resnet"]
LEAST_SIDE = 8  # pixels, of networks of strided convolutions


@dataclass(frozen=True)
class NetConfig:
    net: Net = option(
        "conv",
        "mlp; conv: DCGAN's; resize: the same with resized maps on the way up, against "
        "checkerboards; resnet: SN-GAN's",
    )
    features: Count = option(64, "channels of the largest feature map (all but mlp)")
    dense: NonNegative = option(
        0, "units of a fully connected layer between numbers and maps (conv, resize); 0: none"
    )
    g_hidden: tuple[Count, ...] = option(
        (128, 256, 512, 1024), "units of the generator's layers (mlp)"
    )
    d_hidden: tuple[Count, ...] = option((512, 256), "units of the discriminator's layers (mlp)")
    g_norm: Literal["batch", "layer", "virtual", "none"] = option(
        "batch", "normalisation between the generator's layers; virtual: arXiv:1606.03498"
    )
    d_norm: Literal["auto", "batch", "layer", "virtual", "none"] = option(
        "auto",
        "the same of the discriminator; auto: batch in conv and resize where no part of "
        "the game forbids it, else none",
    )
    reference: Count = option(64, "images in the reference batch of virtual normalisation")
    minibatch: Literal["none", "discrimination", "stddev"] = option(
        "none", "what the discriminator is told of its batch (arXiv:1606.03498, 1710.10196)"
    )
    spectral_norm: bool = option(
        False, "divide the discriminator's weights by their largest singular value (1802.05957)"
    )


def check_size(spec: ImageSpec, config: NetConfig) -> None:
    """Raises PthetaError for images too small to be halved."""
    side = min(spec.height, spec.width)
    if config.net != "mlp" and side < LEAST_SIDE:
        raise PthetaError(
            f"net = {config.net} halves images of {LEAST_SIDE} pixels a side or more, and these "
            f"have {spec.height}x{spec.width}: use --net mlp"
        )


def _no_norm(channels: int, dims: int) -> None:
    return None


def _layer(a: int, b: int, norm: Norm) -> list[nn.Module]:
    """A linear layer and what normalises it."""
    normed = norm(b, 2)
    linear = nn.Linear(a, b, bias=normed is None)
    return [linear] if normed is None else [linear, normed]


def _dense(sizes: list[int], norm: Norm) -> nn.Sequential:
    """Linear layers, each followed by `norm` (but for the first) and a leaky ReLU."""
    layers: list[nn.Module] = []
    for i in range(1, len(sizes)):
        layers += _layer(sizes[i - 1], sizes[i], norm if i > 1 else _no_norm)
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers)


# -- ways up: numbers (B, N) -> maps (B, C, H, W), and ways down: images (and numbers) -> (B, F)


def _mlp_up(spec: ImageSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    body = _dense([inputs, *config.g_hidden], norm)
    last = nn.Linear((inputs, *config.g_hidden)[-1], spec.dims)
    return nn.Sequential(*body, last, nn.Unflatten(1, spec.shape))


def _conv_up(
    spec: ImageSpec, config: NetConfig, inputs: int, norm: Norm, *, resize: bool
) -> nn.Module:
    c, h, w = spec.shape
    features, size = config.features, config.dense or inputs
    net: nn.Module = ConvDecoder(
        size, h, w, c, features=features, dcgan=True, resize=resize, norm=norm
    )
    if config.dense:
        net = nn.Sequential(*_layer(inputs, config.dense, norm), nn.ReLU(inplace=True), net)
    init_dcgan(net)
    return net


def _resnet_up(spec: ImageSpec, config: NetConfig, inputs: int, norm: Norm) -> nn.Module:
    c, h, w = spec.shape
    return ResNetDecoder(inputs, h, w, c, features=config.features, norm=norm)


class Flat(nn.Module):
    """Images and numbers, (B, C, H, W) and (B, K), as one vector each."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor, numbers: Tensor | None = None) -> Tensor:
        x = images.flatten(1)
        return self.body(x if numbers is None else torch.cat([x, numbers], 1))


class Mapped(nn.Module):
    """Images with each number as one more channel, alike at every pixel."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor, numbers: Tensor | None = None) -> Tensor:
        if numbers is not None:
            maps = numbers[:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, maps], 1)
        return self.body(images).flatten(1)


def _mlp_down(
    spec: ImageSpec, config: NetConfig, numbers: int, norm: Norm
) -> tuple[nn.Module, int]:
    sizes = [spec.dims + numbers, *config.d_hidden]
    return Flat(_dense(sizes, norm)), sizes[-1]


def _conv_down(
    spec: ImageSpec, config: NetConfig, numbers: int, norm: Norm
) -> tuple[nn.Module, int]:
    c, h, w = spec.shape
    net = ConvEncoder(c + numbers, h, w, 1, features=config.features, dcgan=True, norm=norm)
    body, width = net.body, net.width
    if config.dense:
        last = _layer(width, config.dense, norm)
        body, width = (
            nn.Sequential(*body, nn.Flatten(), *last, nn.LeakyReLU(0.2, inplace=True)),
            config.dense,
        )
    init_dcgan(body)
    return Mapped(body), width


def _resnet_down(
    spec: ImageSpec, config: NetConfig, numbers: int, norm: Norm
) -> tuple[nn.Module, int]:
    c, h, w = spec.shape
    net = ResNetTrunk(c + numbers, h, w, features=config.features, norm=norm)
    return Mapped(net), net.width


class Kind(NamedTuple):
    """up(spec, config, inputs, norm) -> net; down(spec, config, numbers, norm) -> net, width;
    batch_norm: whether its discriminator is published with it"""

    up: Callable[[ImageSpec, NetConfig, int, Norm], nn.Module]
    down: Callable[[ImageSpec, NetConfig, int, Norm], tuple[nn.Module, int]]
    batch_norm: bool


KINDS: dict[str, Kind] = {
    "mlp": Kind(_mlp_up, _mlp_down, False),
    "conv": Kind(partial(_conv_up, resize=False), _conv_down, True),
    "resize": Kind(partial(_conv_up, resize=True), _conv_down, True),
    "resnet": Kind(_resnet_up, _resnet_down, False),
}


def kind_of(config: NetConfig) -> Kind:
    """The networks of `config.net`. Raises PthetaError for another."""
    if config.net not in KINDS:
        raise unknown("net", config.net, KINDS)
    return KINDS[config.net]


def norm_of(kind: str, config: NetConfig) -> Norm:
    """Makes the layers of this name: (channels, dims) -> layer or None.

    Raises PthetaError for another name, at once: a small network has no place for one.
    """
    if kind not in NORMS:
        raise unknown("normalisation", kind, NORMS)
    return lambda channels, dims: normalisation(kind, channels, dims, config.reference)


class Generator(nn.Module):
    """Numbers (B, N) -> float images (B, C, H, W) in [-1, 1].

    reference: numbers (R, N) that virtual normalisation refers to; none without it
    """

    reference: Tensor | None

    def __init__(self, spec: ImageSpec, config: NetConfig, inputs: int) -> None:
        super().__init__()
        self.body = kind_of(config).up(spec, config, inputs, norm_of(config.g_norm, config))
        virtual = config.g_norm == "virtual"
        self.register_buffer(
            "reference", torch.randn(config.reference, inputs) if virtual else None
        )

    def forward(self, numbers: Tensor) -> Tensor:
        if self.reference is None:
            return torch.tanh(full(self.body(numbers)))
        both = self.body(torch.cat([self.reference.to(numbers.dtype), numbers]))
        return torch.tanh(full(both[len(self.reference) :]))


class Judgement(NamedTuple):
    """d: (B,) outputs; features: (B, F); told: (B, T), what the last layers say beside d"""

    d: Tensor
    features: Tensor
    told: Tensor | None


class Discriminator(nn.Module):
    """Float images (B, C, H, W) in [-1, 1], and numbers (B, K), -> a `Judgement`.

    numbers: K, what it is told of each image beside its pixels
    tells: T, numbers that it says of each image beside d (classes, codes)
    projects: classes whose embedding is projected on the features (Miyato & Koyama 2018, eq. 3,
        arXiv:1802.05637), 0 for none
    autoencoding: d is minus the mean absolute error of rebuilding the image from `autoencoding`
        numbers (Berthelot et al. 2017, arXiv:1703.10717), 0 for a linear output
    reference_images, reference_numbers: what virtual normalisation refers to
    """

    reference_images: Tensor | None
    reference_numbers: Tensor | None

    def __init__(
        self,
        spec: ImageSpec,
        config: NetConfig,
        norm: str,
        *,
        numbers: int = 0,
        tells: int = 0,
        projects: int = 0,
        autoencoding: int = 0,
    ) -> None:
        super().__init__()
        kind = kind_of(config)
        self.trunk, width = kind.down(spec, config, numbers, norm_of(norm, config))
        self.code = nn.Linear(width, autoencoding) if autoencoding else None
        self.rebuild = (
            kind.up(spec, config, autoencoding, norm_of("none", config)) if autoencoding else None
        )
        self.minibatch = minibatch(config.minibatch, width)
        with_batch = width if self.minibatch is None else self.minibatch.width
        self.output = None if autoencoding else nn.Linear(with_batch, 1)
        self.tell = nn.Linear(width, tells) if tells else None
        self.project = nn.Embedding(projects, width) if projects else None
        virtual = norm == "virtual"
        n = config.reference
        self.register_buffer(
            "reference_images", torch.rand(n, *spec.shape) * 2 - 1 if virtual else None
        )
        self.register_buffer(
            "reference_numbers", torch.zeros(n, numbers) if virtual and numbers else None
        )
        if config.spectral_norm:
            layers = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
            for layer in [m for m in self.modules() if isinstance(m, layers)]:
                spectral_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)

    def features(self, images: Tensor, numbers: Tensor | None = None) -> Tensor:
        """(B, F)"""
        if self.reference_images is None:
            return full(self.trunk(images, numbers))
        if numbers is not None and self.reference_numbers is not None:
            numbers = torch.cat([self.reference_numbers.to(numbers.dtype), numbers])
        both = self.trunk(torch.cat([self.reference_images.to(images.dtype), images]), numbers)
        return full(both[len(self.reference_images) :])

    def forward(
        self, images: Tensor, numbers: Tensor | None = None, labels: Tensor | None = None
    ) -> Judgement:
        """labels: (B,) int64, of a discriminator that projects."""
        features = self.features(images, numbers)
        told = None if self.tell is None else full(self.tell(features))
        if self.code is not None and self.rebuild is not None:
            rebuilt = full(self.rebuild(self.code(features)))
            return Judgement(-(images - rebuilt).abs().flatten(1).mean(1), features, told)
        assert self.output is not None
        seen = features if self.minibatch is None else self.minibatch(features)
        d = full(self.output(seen)).squeeze(1)
        if self.project is not None and labels is not None:
            d = d + (self.project(labels) * features).sum(1)
        return Judgement(d, features, told)
