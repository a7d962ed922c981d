"""Interpolation between two codes, which needs `Decodes`, and `Encodes` or inversion for given
images; and between two conditions with the same noise, which needs `Samples` and `Blends`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, joined
from ptheta.capabilities import Decodes, HasPrior, device_of, some_conditions
from ptheta.compute.memory import require_images
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.arithmetic import codes_of
from ptheta.tasks.averaged import averaged, can_average
from ptheta.tasks.conditions import blend, check_condition, rows_between
from ptheta.tasks.effort import decoded
from ptheta.tasks.needs import require
from ptheta.tasks.sample import sample

LEAST = 1e-12  # smallest divisor of a code


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a to b along the great circle: (B, L), (B, L), (T,) or (B, T) -> (B, T, L).

    Its direction is sin((1 - t) w) / sin w a / |a| + sin(t w) / sin w b / |b| with w the angle
    between a and b, its norm (1 - t) |a| + t |b|: under a Gaussian prior in many dimensions all
    codes on the way keep a typical norm. White (2016, arXiv:1609.04468) weights a and b themselves,
    which is equal if their norms are, but for nearly opposite codes of different norms reaches
    norms of the order of 1 / sin w. For parallel a and b it is the straight line.
    """
    far_a, far_b = (code.norm(dim=-1, keepdim=True)[:, None] for code in (a, b))
    u, v = a[:, None] / far_a.clamp_min(LEAST), b[:, None] / far_b.clamp_min(LEAST)
    # the arc cosine loses half of the digits if u and v are nearly parallel
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
    to: Condition | None = None,
    straight: bool = False,
    seed: int = 0,
) -> Tensor:
    """Interpolate in latent space, `rows` walks of `steps` images: uint8 (rows * steps, C, H, W),
    row by row. They begin and end at the decoded codes of the two ends.

    ends: two image batches (rows, C, H, W) to interpolate between, encoded by the model's encoder
        or else inverted (`ptheta.tasks.invert`); default: codes sampled from the prior
    condition: one per row, for a conditional model; default: its conditions in turn
    to: conditions of the other ends, one per row, to interpolate the condition as well
    straight: use linear instead of spherical interpolation
    Raises PthetaError if the model cannot decode, cannot encode or invert given ends, has no prior
    (without ends), does not support the condition, or cannot interpolate conditions.
    """
    require(model, Decodes, "interpolate")
    if rows < 1 or steps < 2:
        raise PthetaError(f"{rows} walks of {steps} images: give at least 1 walk of 2 images")
    require_images(rows * steps, model)
    first = check_condition(model, condition)
    first = some_conditions(model, rows) if first is None else first
    last = first if to is None else check_condition(model, to)
    a, b = _codes(model, rows, ends, (first, last), seed)
    t = torch.linspace(0, 1, steps, device=a.device)
    z = torch.lerp(a[:, None], b[:, None], t[:, None]) if straight else slerp(a, b, t)
    z[:, 0], z[:, -1] = a, b  # exactly, without rounding error
    each = torch.arange(rows, device=z.device).repeat_interleave(steps)
    y = None if first is None else first[each]
    if to is not None and y is not None and last is not None:
        y = blend(model, y, last[each], t.repeat(rows))
    return decoded(model, z.flatten(0, 1), y)


def _codes(
    model: nn.Module,
    rows: int,
    ends: tuple[Tensor, Tensor] | None,
    conditions: tuple[Condition | None, Condition | None],
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Codes of both ends, (rows, L) each."""
    if ends is None:
        prior = require(
            model, HasPrior, "sample codes from a prior", "give images to interpolate between"
        )
        with seeded(seed):
            a, b = (prior.sample_latent(rows, y) for y in conditions)
        return a, b
    device = device_of(model)
    a, b = (
        codes_of(model, x, y, seed=seed).to(device) for x, y in zip(ends, conditions, strict=True)
    )
    return a, b


@undisturbed()
def between(
    model: nn.Module,
    rows: int,
    steps: int,
    first: Condition,
    last: Condition,
    *,
    seed: int = 0,
) -> Tensor:
    """Interpolate from one condition to another, `rows` walks: uint8 (rows * steps, C, H, W), row
    by row, with the same noise along a row. The images are samples given the interpolated
    conditions; means of p(x | z) for a model that has them.

    first, last: one row each
    Raises PthetaError if the model cannot sample, does not support the condition, or cannot
    interpolate conditions.
    """
    if rows < 1:
        raise PthetaError(f"{rows} walks: give at least one")
    require_images(rows * steps, model)
    way = rows_between(model, joined([first, last]), steps)
    shown = averaged(model) if can_average(model) else model
    made = [sample(shown, rows, seed=seed, condition=_same(way, t, rows)) for t in range(steps)]
    return torch.stack(made, 1).flatten(0, 1)


def _same(conditions: Condition, t: int, rows: int) -> Condition:
    """Condition t, repeated for each row."""
    return conditions[torch.full((rows,), t)]
