"""Normalisation of the maps or units of a batch, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.config import Entry
from ptheta.errors import PthetaError, unknown
from ptheta.specs import full

EPSILON = 1e-5  # is added to a variance
FLAT = 1e-9  # added to the variance, for constant maps


class VirtualBatchNorm(nn.Module):
    """Each example is normalised with the statistics of a fixed reference batch and its own.

    The batch holds the reference first: of (R + B, C, ...) the first R are normalised with their
    own statistics, each other example with those of the reference and itself together, weighing
    1 / (R + 1). So what becomes of an example does not depend on the others (Salimans et al. 2016,
    section 3.4, arXiv:1606.03498).
    """

    def __init__(self, channels: int, reference: int) -> None:
        super().__init__()
        self.reference = reference
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        n = self.reference
        places = tuple(range(2, x.ndim))
        mean, square = x, x.square()
        if places:
            mean, square = mean.mean(places, keepdim=True), square.mean(places, keepdim=True)
        ref_mean, ref_square = mean[:n].mean(0, keepdim=True), square[:n].mean(0, keepdim=True)
        mean = torch.cat([ref_mean.expand_as(mean[:n]), (n * ref_mean + mean[n:]) / (n + 1)])
        square = torch.cat(
            [ref_square.expand_as(mean[:n]), (n * ref_square + square[n:]) / (n + 1)]
        )
        shape = (1, -1, *(1 for _ in places))
        scale = self.weight.view(shape) * (square - mean.square()).clamp(min=0).add(1e-5).rsqrt()
        return (x - mean) * scale + self.bias.view(shape)


def batch_norm(channels: int, dims: int, reference: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if dims == 4 else nn.BatchNorm1d(channels)


def layer_norm(channels: int, dims: int, reference: int) -> nn.Module:
    return nn.GroupNorm(1, channels)


def virtual_batch_norm(channels: int, dims: int, reference: int) -> nn.Module:
    if reference < 1:
        raise PthetaError(f"reference = {reference}: virtual normalisation needs at least 1 image")
    return VirtualBatchNorm(channels, reference)


class InstanceNorm(nn.Module):
    """Each map of each example by itself (Ulyanov et al. 2016, arXiv:1607.08022).

    A map of a single place, or a unit, is not normalised: 0 would be left of it, whatever it holds.
    A flat map, such as those of a blank image, gives the bias, and no gradient goes into it: it
    would be made 300 times larger by each layer, and is not finite after ten of them in half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        n, channels, *sizes = x.shape
        ones = [1 for _ in sizes]
        bias, places = self.bias.view(1, -1, *ones), math.prod(sizes)
        if places == 1:
            return x * self.weight.view(1, -1, *ones) + bias
        normal, _, per_sd = torch.native_group_norm(
            full(x).contiguous(),
            full(self.weight),
            full(self.bias),
            *(n, channels, places, channels, EPSILON),
        )
        flat = (per_sd > (EPSILON + FLAT) ** -0.5).view(n, channels, *ones)
        return torch.where(flat, bias, normal)


class PixelNorm(nn.Module):
    """The channels of each place (B, C, ...) brought to mean square 1: Karras et al. 2018, section
    4.2 (arXiv:1710.10196)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def pixel_norm(channels: int, dims: int, reference: int) -> nn.Module:
    return PixelNorm()


def instance_norm(channels: int, dims: int, reference: int) -> nn.Module:
    return InstanceNorm(channels)


def no_norm(channels: int, dims: int, reference: int) -> None:
    return None


@dataclass(frozen=True)
class Normalisation(Entry):
    """make(channels, dims, reference): as of `normalisation`
    refers: the first examples of each batch are a reference, that the others are normalised with
    of_maps: at use, too, what becomes of a place depends on the whole map that it stands in
    """

    make: Callable[[int, int, int], nn.Module | None]
    refers: bool = False
    of_maps: bool = False


NORMS: dict[str, Normalisation] = {
    "batch": Normalisation(
        batch_norm, about="batch normalisation (1502.03167)", traits=frozenset({"batchwise"})
    ),
    "layer": Normalisation(layer_norm, of_maps=True, about="layer normalisation (1607.06450)"),
    "virtual": Normalisation(
        virtual_batch_norm,
        refers=True,
        of_maps=True,
        about="virtual batch normalisation, with a reference batch (1606.03498)",
    ),
    "instance": Normalisation(
        instance_norm, of_maps=True, about="instance normalisation, per map (1607.08022)"
    ),
    "pixel": Normalisation(pixel_norm, about="pixelwise normalisation over channels (1710.10196)"),
    "none": Normalisation(no_norm),
}


def norm_entry(kind: str) -> Normalisation:
    """Raise PthetaError for an unknown name."""
    if kind not in NORMS:
        raise unknown("normalisation", kind, NORMS)
    return NORMS[kind]


def normalisation(kind: str, channels: int, dims: int, reference: int = 0) -> nn.Module | None:
    """kind: a name of `NORMS`; dims: 4 for maps (B, C, H, W), 2 for units (B, C);
    reference: examples at the start of each batch that are the reference (virtual).

    Raises PthetaError for another kind, other dims, or a virtual one without a reference.
    """
    if dims not in (2, 4):
        raise PthetaError(f"dims = {dims}: normalisation needs vectors (2) or maps (4)")
    return norm_entry(kind).make(channels, dims, reference)


def needs_bias(normed: nn.Module | None) -> bool:
    """Whether the layer before such a norm, or before none, needs a bias: the norm adds none."""
    return normed is None or not any(True for _ in normed.parameters())
