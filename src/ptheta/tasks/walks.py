"""Pictures of a latent space: the manifold of two dimensions, and traversals. Need `Decodes`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptheta.capabilities import Decodes, HasPrior, some_conditions
from ptheta.errors import PthetaError


def _size(model: nn.Module) -> int:
    """Dimensions of a code. Raises PthetaError where the model cannot decode or has no prior."""
    if not isinstance(model, Decodes):
        raise PthetaError("this model has no latent space to show: it has no `decode`")
    if not isinstance(model, HasPrior):
        raise PthetaError("this model has no prior: fit one first (ptheta fit)")
    return model.sample_latent(1, some_conditions(model, 1)).shape[1]


@torch.no_grad()
def manifold(
    model: nn.Module, side: int, *, dims: tuple[int, int] = (0, 1), label: int = 0
) -> Tensor:
    """side x side images over two dimensions of the code: uint8 (side^2, C, H, W), row by row.

    The codes are the quantiles of N(0, 1), so that each has the same prior mass around it (Kingma
    & Welling 2014, figure 4); all other dimensions are 0.
    dims: across and down; label: of a conditional model
    Raises PthetaError for dimensions that the code does not have.
    """
    size = _size(model)
    if len({*dims}) != 2 or not all(0 <= d < size for d in dims):
        raise PthetaError(f"dimensions {dims[0]},{dims[1]}: give two of 0 to {size - 1}")
    steps = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    z = torch.zeros(side, side, size)
    z[:, :, dims[0]], z[:, :, dims[1]] = steps, steps[:, None]
    condition = some_conditions(model, label + 1)
    y = (
        None
        if condition is None
        else condition[label:].repeat(side * side, *[1] * condition[0].ndim)
    )
    return model.decode(z.flatten(0, 1), y)  # type: ignore[operator]


@torch.no_grad()
def traverse(
    model: nn.Module,
    z: Tensor,
    dims: Sequence[int],
    *,
    steps: int = 9,
    reach: float = 3.0,
    condition: Tensor | None = None,
) -> Tensor:
    """For each dimension in `dims`, `steps` images with that number of the code z (L,) replaced by
    -reach to reach: uint8 (len(dims) * steps, C, H, W), row by row.

    Raises PthetaError for dimensions that the code does not have.
    """
    if not isinstance(model, Decodes):
        raise PthetaError("this model has no latent space to show: it has no `decode`")
    if not all(0 <= d < len(z) for d in dims):
        raise PthetaError(f"dimensions {list(dims)}: the code has 0 to {len(z) - 1}")
    codes = z.repeat(len(dims), steps, 1)
    for i, d in enumerate(dims):
        codes[i, :, d] = torch.linspace(-reach, reach, steps)
    flat = codes.flatten(0, 1)
    return model.decode(flat, None if condition is None else condition.expand(len(flat)))
