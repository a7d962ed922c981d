"""Image grids of a latent space over two dimensions. Need `Decodes`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    Encodes,
    HasPosterior,
    code_at,
    device_of,
    some_conditions,
)
from ptheta.compute.memory import require_images
from ptheta.compute.streams import undisturbed
from ptheta.distributions.kl import kl_standard_normal
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import check_condition, one_condition, whole_numbers
from ptheta.tasks.effort import decoded
from ptheta.tasks.needs import DecodesPrior, prior_cure, require

BATCH = 500  # images encoded at a time


def code_size(model: nn.Module) -> int:
    """Dimensions of a code. Raises PthetaError if the model cannot decode or has no prior."""
    latent = require(model, DecodesPrior, "show its latent space", prior_cure(model))
    return latent.sample_latent(1, some_conditions(model, 1)).shape[1]


@undisturbed()
@torch.no_grad()
def most_used(model: nn.Module, x: Tensor, condition: Condition | None = None) -> list[int]:
    """The dimensions of the code, the most informative about these images first.

    Sorted by the mean of KL(q(z_j | x) || N(0, 1)) if the model has a posterior, else by the
    variance of the code over the images.
    x: image batch, at least two images; condition: one per image, for a conditional model
    Raises PthetaError if the model cannot encode or does not support the condition.
    """
    coder = require(model, Encodes, "encode images")
    if len(x) < 2:
        raise PthetaError(f"{len(x)} images: give at least two to see which dimensions are used")
    y = check_condition(model, condition)
    parts = [
        (part.to(device_of(model)), None if y is None else y[start : start + BATCH])
        for start, part in zip(range(0, len(x), BATCH), x.split(BATCH), strict=True)
    ]
    if isinstance(model, HasPosterior):
        posteriors = [model.posterior(a, b) for a, b in parts]
        use = torch.cat([kl_standard_normal(q.mean, q.log_var) for q in posteriors]).mean(0)
    else:
        use = torch.cat([coder.encode(a, b) for a, b in parts]).var(0)
    return use.argsort(descending=True).tolist()


@undisturbed()
@torch.no_grad()
def manifold(
    model: nn.Module,
    side: int,
    *,
    dims: tuple[int, int] = (0, 1),
    label: int | str | None = None,
    condition: Condition | None = None,
) -> Tensor:
    """side x side images over two dimensions of the code: uint8 (side^2, C, H, W), row by row.

    The codes are the quantiles of the prior, N(0, 1) if unknown, so that each has the same prior
    mass around it (Kingma & Welling 2014, figure 4); all other dimensions are 0.
    dims: horizontal and vertical (`most_used` finds the most informative ones)
    label: name or number, one for all images, for a conditional model; default: its first
    condition: one row for all images, instead of a label
    Raises PthetaError for dimensions that the code does not have, a side below 1, and an
    unsupported label.
    """
    if side < 1:
        raise PthetaError(f"side = {side}: ask for at least one image across and down")
    size = code_size(model)
    require_images(side * side, model)
    if condition is None:
        y = one_condition(model, label, side * side)
    else:
        asked = check_condition(model, condition)
        y = None if asked is None else asked[torch.zeros(side * side, dtype=torch.long)]
    whole_numbers(dims, "dimension")
    if len({*dims}) != 2 or not all(0 <= d < size for d in dims):
        raise PthetaError(f"dimensions {dims[0]},{dims[1]}: give two of 0 to {size - 1}")
    steps = code_at(model, torch.special.ndtri((torch.arange(side) + 0.5) / side))
    z = torch.zeros(side, side, size)
    z[:, :, dims[0]], z[:, :, dims[1]] = steps, steps[:, None]
    return decoded(model, z.flatten(0, 1), y)
