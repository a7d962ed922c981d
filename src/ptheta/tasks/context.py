"""Context: the pixels that the prediction of a pixel depends on. Needs `StepsThrough`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, repeated
from ptheta.capabilities import StepsThrough, device_of
from ptheta.compute import streams
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.specs import ImageSpec, images_only, quantise, relaxed
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.needs import require


@dataclass(frozen=True)
class Context:
    """What the prediction of a pixel depends on.

    Attributes:
        row: Of the pixel, counted from 0.
        column: Of the pixel, counted from 0.
        gradient: float (C, C, H, W): the mean over images of |d log p(x_c) / d x_k| for colour c of
            the pixel and colour k of every pixel, nats for a change from black to white.
        depends: bool (C, C, H, W): where this derivative differs from 0 for any image.
        order: The pixels as row * W + column, in the order of the factorisation.
    """

    row: int
    column: int
    gradient: Tensor
    depends: Tensor
    order: tuple[int, ...]

    @property
    def before(self) -> Tensor:
        """The pixels before this one in the order: bool (H, W)."""
        height, width = self.gradient.shape[2:]
        found = torch.zeros(height * width, dtype=torch.bool)
        found[list(self.order[: self.order.index(self.row * width + self.column)])] = True
        return found.view(height, width)

    @property
    def seen(self) -> Tensor:
        """The pixels before this one that the prediction depends on: bool (H, W)."""
        return self._others & self.before

    @property
    def blind(self) -> Tensor:
        """The pixels before this one that it does not depend on, the blind spot: bool (H, W)."""
        return self.before & ~self._others

    @property
    def after(self) -> Tensor:
        """The pixels after this one that it depends on: bool (H, W). None, for a correct model."""
        return self._others & ~self.before

    @property
    def colours(self) -> Tensor:
        """Whether colour c of the pixel depends on its own colour k: bool (C, C)."""
        return self.depends[:, :, self.row, self.column]

    @property
    def ahead(self) -> int:
        """The number of later pixels, and of own or later colours of the pixel, that are seen."""
        return int(self.after.sum()) + int(self.colours.triu().sum())

    @property
    def strength(self) -> Tensor:
        """The gradient summed over the colours: (H, W)."""
        return self.gradient.sum((0, 1))

    @property
    def _others(self) -> Tensor:
        """All pixels that it depends on, without itself."""
        found = self.depends.any(0).any(0)
        found[self.row, self.column] = False
        return found


@streams.undisturbed()
def context(
    model: nn.Module,
    x: Tensor,
    pixel: tuple[int, int] | None = None,
    condition: Condition | None = None,
) -> Context:
    """The pixels that the prediction of one pixel depends on, by the gradient in the input.

    The gradient is taken at the images `x`, and at as many images of independent random pixels,
    which reach units that are not active for the data. Pixels that no path of the network connects
    to the prediction have a gradient of exactly 0.

    Args:
        model: A model with conditionals in an order of the pixels.
        x: Images, uint8 (B, C, H, W).
        pixel: Row and column, counted from 0; None for the middle.
        condition: Conditions of the images.

    Raises:
        PthetaError: If the model has no such conditionals, for a pixel outside of the image, or a
            condition that the model does not take.
    """
    ordered = require(model, StepsThrough, "say which pixels a prediction depends on")
    device, y = device_of(model), check_condition(model, condition)
    order = tuple(ordered.pixel_order())
    if isinstance(model, Model):
        images_only(model.spec, "the context of a pixel").check(x)
    row, column = place(pixel, *x.shape[2:])
    both = torch.cat([x, _noise(model, x)]).to(device)
    inputs = relaxed(both)
    with torch.enable_grad():
        found = ordered.conditionals(inputs, None if y is None else repeated(y, 2))
        each = found.log_prob(both)[:, :, row, column]
        gradients = [_gradient(each[:, c].sum(), inputs) for c in range(x.shape[1])]
    slopes = 255 * torch.stack(gradients, 1).abs().float().cpu()  # (B, C, C, H, W)
    return Context(row, column, slopes[: len(x)].mean(0), (slopes > 0).any(0), order)


def place(pixel: tuple[int, int] | None, height: int, width: int) -> tuple[int, int]:
    """Row and column of a pixel, the middle by default. Raises PthetaError outside the image."""
    row, column = (height // 2, width // 2) if pixel is None else pixel
    if not (0 <= row < height and 0 <= column < width):
        raise PthetaError(
            f"--pixel {row},{column}: rows go from 0 to {height - 1}, columns from 0 to {width - 1}"
        )
    return row, column


def _noise(model: nn.Module, x: Tensor) -> Tensor:
    """Images of independent random pixels, shaped as x: the same at every call."""
    with streams.seeded(0):
        drawn = torch.randint(0, 256, x.shape, dtype=torch.uint8)
    spec = model.spec if isinstance(model, Model) else None
    return quantise(drawn, spec.levels) if isinstance(spec, ImageSpec) else drawn


def _gradient(of: Tensor, inputs: Tensor) -> Tensor:
    """Of a sum over examples, in each input; 0 where there is no path."""
    if not of.requires_grad:
        return torch.zeros_like(inputs)
    (found,) = torch.autograd.grad(of, inputs, retain_graph=True, allow_unused=True)
    return torch.zeros_like(inputs) if found is None else found
