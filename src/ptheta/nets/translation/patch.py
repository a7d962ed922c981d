"""PatchGAN: a discriminator that rates each patch of an image (Isola et al. 2017, section 3.2.2,
arXiv:1611.07004), alone or on a pyramid of several sizes (Wang et al. 2018, arXiv:1711.11585)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from ptheta.compute.layout import PlaneByPlane
from ptheta.config import Entry, OneOf
from ptheta.nets.modules import Modules, Stack
from ptheta.nets.norms import needs_bias, normalisation
from ptheta.nets.translation.padding import to_least

MOST_HALVINGS = 8


class Step(NamedTuple):
    """A convolution or a pooling: side of its kernel and stride, pixels."""

    kernel: int
    stride: int

    @property
    def padding(self) -> int:
        return (self.kernel - 1) // 2


POOLING = Step(3, 2)  # from one size of a pyramid to the next


def receptive_field(steps: Sequence[Step]) -> int:
    """The side of the square that one output sees, pixels."""
    side = 1
    for kernel, stride in reversed(steps):
        side = (side - 1) * stride + kernel
    return side


def least_side(steps: Sequence[Step]) -> int:
    """The smallest image of which these steps leave one output, pixels."""
    side = 1
    for step in reversed(steps):
        side = max(1, (side - 1) * step.stride + step.kernel - 2 * step.padding)
    return side


def halving(times: int) -> tuple[Step, ...]:
    """So many convolutions of stride 2, then two of stride 1: the paper's appendix 6.1.2."""
    return (*(Step(4, 2) for _ in range(times)), Step(4, 1), Step(4, 1))


def pixelwise(side: int) -> tuple[Step, ...]:
    return (Step(1, 1),) * 3


def whole_image(side: int) -> tuple[Step, ...]:
    """As many halvings as an output needs to see a whole image of this side: the paper's 286 pixels
    for 256."""
    plans = [halving(times) for times in range(1, MOST_HALVINGS + 1)]
    return next((plan for plan in plans if receptive_field(plan) >= side), plans[-1])


@dataclass(frozen=True)
class Patch(Entry):
    """steps: side of the images, pixels -> the layers"""

    steps: Callable[[int], tuple[Step, ...]]


PATCHES: dict[str, Patch] = {
    "1": Patch(pixelwise, about="each pixel on its own"),
    "16": Patch(lambda side: halving(1), about="patches of 16 pixels"),
    "34": Patch(lambda side: halving(2), about="patches of 34 pixels"),
    "70": Patch(lambda side: halving(3), about="patches of 70 pixels"),
    "image": Patch(whole_image, about="the whole image (the paper's 286 for 256)"),
}

PatchName: TypeAlias = Annotated[str, OneOf(PATCHES)]


class PatchOutput(NamedTuple):
    """logits: (B, 1, h, w), of each patch; features: of each layer but the last, first to last,
    (B, F, H, W) each"""

    logits: Tensor
    features: tuple[Tensor, ...]

    def split(self, n: int) -> tuple[PatchOutput, PatchOutput]:
        """Split into the first n examples and the others."""
        return (
            PatchOutput(self.logits[:n], tuple(f[:n] for f in self.features)),
            PatchOutput(self.logits[n:], tuple(f[n:] for f in self.features)),
        )


@dataclass(frozen=True)
class PatchOptions:
    """patch: a name of `PATCHES`; features: channels of the first layer, doubled up to eightfold;
    norm: a name of `NORMS`, of the layers between the first and the last"""

    patch: str = "70"
    features: int = 64
    norm: str = "instance"


class PatchDiscriminator(PlaneByPlane):
    """Images (B, C, H, W) -> a logit of "real" for each patch, and features.

    side: of the images, pixels, for a receptive field that follows it
    An image that is too small for one output is surrounded by zeros.
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> PatchOutput: ...

    def __init__(self, channels: int, side: int, options: PatchOptions) -> None:
        super().__init__()
        self.steps = PATCHES[options.patch].steps(side)
        self.receptive_field = receptive_field(self.steps)
        self.least_side = least_side(self.steps)
        between = [options.features * min(2**i, 8) for i in range(len(self.steps) - 1)]
        shapes = list(zip(pairwise([channels, *between]), self.steps, strict=False))
        self.layers = Modules(
            block(c_in, c_out, step, options.norm if i else "none")
            for i, ((c_in, c_out), step) in enumerate(shapes)
        )
        self.last = _convolution(between[-1], 1, self.steps[-1], bias=True)

    def forward(self, x: Tensor) -> PatchOutput:
        top, bottom, left, right = to_least(x.shape[2:], self.least_side)
        x = pad(x, (left, right, top, bottom))
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return PatchOutput(self.last(x), tuple(features))


def _convolution(c_in: int, c_out: int, step: Step, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, step.kernel, step.stride, step.padding, bias=bias)


def block(c_in: int, c_out: int, step: Step, norm: str) -> Stack:
    """A convolution, its norm and a leaky ReLU."""
    normed = normalisation(norm, c_out, 4)
    convolution = _convolution(c_in, c_out, step, bias=needs_bias(normed))
    activation = nn.LeakyReLU(0.2, inplace=True)
    return Stack(convolution, *([] if normed is None else [normed]), activation)


class MultiScaleDiscriminator(nn.Module):
    """Several discriminators, each of images of half the size, averaged: section 3.2 of pix2pixHD.

    receptive_fields: of each, in pixels of the image itself
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> list[PatchOutput]: ...

    def __init__(self, channels: int, side: int, options: PatchOptions, scales: int = 1) -> None:
        super().__init__()
        sides = [max(1, side >> i) for i in range(scales)]
        self.scales = Modules(PatchDiscriminator(channels, s, options) for s in sides)
        self.receptive_fields = tuple(
            receptive_field((POOLING,) * i + d.steps) for i, d in enumerate(self.scales)
        )

    def forward(self, x: Tensor) -> list[PatchOutput]:
        """Of the image itself first."""
        outputs = []
        for i, discriminator in enumerate(self.scales):
            x = x if i == 0 else halved(x)
            outputs.append(discriminator(x))
        return outputs


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, h, w), halved rounding up: means of 3x3 pixels, at the border of those
    that are there."""
    kernel, stride = POOLING
    return avg_pool2d(x, kernel, stride, POOLING.padding, count_include_pad=False)


def per_example(values: Tensor) -> Tensor:
    """What a loss makes of each patch, (B, 1, h, w) -> its mean over an image's patches: (B,)"""
    return values.flatten(1).mean(1)


def split(outputs: Iterable[PatchOutput], n: int) -> tuple[list[PatchOutput], list[PatchOutput]]:
    """Split into the first n examples and the others, of each size."""
    both = [output.split(n) for output in outputs]
    return [first for first, _ in both], [rest for _, rest in both]
