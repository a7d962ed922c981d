"""Latent interpolation: needs `Decodes`, and `Encodes` to go between given images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Decodes, Encodes, HasPrior, some_conditions
from ptheta.compute.memory import require_images
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import decoded
from ptheta.tasks.needs import require

LEAST = 1e-12  # norm of a code that is divided by


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a to b along the great circle: (B, L), (B, L), (T,) or (B, T) -> (B, T, L).

    Its direction is sin((1 - t) w) / sin w a / |a| + sin(t w) / sin w b / |b| with w the angle
    between a and b, its norm (1 - t) |a| + t |b|: under a Gaussian prior in many dimensions all
    codes on the way keep a typical norm (White 2016, arXiv:1609.04468, who weighs a and b as they
    are, which is the same where both have one norm; of two codes about opposite in direction but
    not in norm that would lead as far out as 1 / sin w). Where a and b are parallel it is the
    straight line.
    """
    far_a, far_b = (code.norm(dim=-1, keepdim=True)[:, None] for code in (a, b))
    u, v = a[:, None] / far_a.clamp_min(LEAST), b[:, None] / far_b.clamp_min(LEAST)
    # of the arc cosine half of the digits are lost where u and v are about parallel
    w = 2 * torch.atan2(*(code.norm(dim=-1, keepdim=True) for code in (u - v, u + v)))
    t = t.expand(len(a), -1)[:, :, None]
    straight = w.sin() < 1e-4
    sine = torch.where(straight, 1.0, w.sin())
    round_ = (((1 - t) * w).sin() * u + (t * w).sin() * v) / sine * ((1 - t) * far_a + t * far_b)
    return torch.where(straight, (1 - t) * a[:, None] + t * b[:, None], round_)


@undisturbed()
@torch.no_grad()
def interpolate(
    model: nn.Module,
    rows: int,
    steps: int,
    *,
    ends: tuple[Tensor, Tensor] | None = None,
    condition: Condition | None = None,
    straight: bool = False,
    seed: int = 0,
) -> Tensor:
    """`rows` walks of `steps` images: uint8 (rows * steps, C, H, W), row by row.

    ends: two image batches (rows, C, H, W) to walk between; default: codes drawn from the prior
    condition: of each row, for a conditional model; default: its conditions in turn
    straight: along the line in the place of the great circle
    Raises PthetaError where the model cannot decode (or encode, with ends; else: has no prior), or
    takes no such condition.
    """
    require(model, Decodes, "interpolate")
    if rows < 1 or steps < 2:
        raise PthetaError(f"{rows} walks of {steps} images: ask for at least 1 walk of 2 images")
    require_images(rows * steps, model)
    condition = check_condition(model, condition)
    if condition is None:
        condition = some_conditions(model, rows)
    if ends is not None:
        cure = "leave the images out to walk between codes of the prior"
        coder = require(model, Encodes, "interpolate between images", cure)
        a, b = coder.encode(ends[0], condition), coder.encode(ends[1], condition)
    else:
        prior = require(model, HasPrior, "draw codes from a prior", "give images to walk between")
        with seeded(seed):
            a = prior.sample_latent(rows, condition)
            b = prior.sample_latent(rows, condition)
    t = torch.linspace(0, 1, steps, device=a.device)
    z = torch.lerp(a[:, None], b[:, None], t[:, None]) if straight else slerp(a, b, t)
    each = torch.arange(rows, device=z.device).repeat_interleave(steps)
    y = None if condition is None else condition[each]
    return decoded(model, z.flatten(0, 1), y)
