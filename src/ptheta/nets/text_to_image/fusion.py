"""Conditioning of generator layers on a caption, by name: `FUSIONS`.

A fusion layer precedes each convolution: maps (B, C, H, W) and c (B, K), which holds the caption
and possibly the code, -> maps of the same shape, with a nonlinearity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from ptheta.config import Entry, OneOf
from ptheta.nets.modules import Modules
from ptheta.nets.norms import normalisation

SLOPE = 0.2  # of a leaky ReLU below 0
AFFINES = 2  # one after the other in deep fusion


class Fusion(nn.Module):
    """Maps (B, C, H, W), numbers (B, K) -> maps (B, C, H, W)."""

    if TYPE_CHECKING:  # torch leaves the type of its call open

        def __call__(self, maps: Tensor, numbers: Tensor) -> Tensor: ...


class Normed(Fusion):
    """The norm, where there is one. To be extended by what the numbers do."""

    def __init__(self, channels: int, numbers: int, norm: str) -> None:
        super().__init__()
        layer = normalisation(norm, channels, 4)
        self.norm = nn.Identity() if layer is None else layer


class AtTheInput(Normed):
    """The maps alone: the numbers have entered where the first map was made (Reed et al. 2016,
    arXiv:1605.05396)."""

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        return relu(self.norm(maps))


class Affine(Fusion):
    """(1 + scale(c)) maps + shift(c), channel by channel."""

    def __init__(self, channels: int, numbers: int) -> None:
        super().__init__()
        self.of = nn.Linear(numbers, 2 * channels)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        of: Tensor = self.of(numbers)
        scale, shift = of[:, :, None, None].chunk(2, 1)
        return maps * (1 + scale) + shift


class ConditionalNorm(Normed):
    """A norm whose gain and shift are of the numbers (Dumoulin et al. 2017, arXiv:1610.07629; de
    Vries et al. 2017, arXiv:1707.00683)."""

    def __init__(self, channels: int, numbers: int, norm: str) -> None:
        super().__init__(channels, numbers, norm)
        self.affine = Affine(channels, numbers)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        return relu(self.affine(self.norm(maps), numbers))


class DeepFusion(Normed):
    """Affine maps with nonlinearities between them, so that what a caption does to a channel need
    not be linear (Tao et al. 2022, section 3.3, arXiv:2008.05865)."""

    def __init__(self, channels: int, numbers: int, norm: str) -> None:
        super().__init__(channels, numbers, norm)
        self.affines = Modules(Affine(channels, numbers) for _ in range(AFFINES))

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        maps = self.norm(maps)
        for affine in self.affines:
            maps = leaky_relu(affine(maps, numbers), SLOPE)
        return maps


@dataclass(frozen=True)
class FusionKind(Entry):
    """build: (channels, numbers, name of a norm) -> layer"""

    build: Callable[[int, int, str], Fusion]


FUSIONS: dict[str, FusionKind] = {
    "deep": FusionKind(DeepFusion, about="affine modulation in every layer (2008.05865)"),
    "norm": FusionKind(ConditionalNorm, about="gain and shift of every normalisation (1707.00683)"),
    "input": FusionKind(AtTheInput, about="concatenated with z at the input only (1605.05396)"),
}

FusionName: TypeAlias = Annotated[str, OneOf(FUSIONS)]
