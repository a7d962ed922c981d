"""Walks between two codes, which need `Decodes`, and `Encodes` or inversion to go between given
images; and between two conditions, of the same noise, which need `Samples` and `Blends`."""

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
    to: Condition | None = None,
    straight: bool = False,
    seed: int = 0,
) -> Tensor:
    """`rows` walks of `steps` images: uint8 (rows * steps, C, H, W), row by row. They begin and end
    at what the model makes of the codes of the two ends.

    ends: two image batches (rows, C, H, W) to walk between, by the encoder where there is one, else
        by codes that are looked for (`ptheta.tasks.invert`); default: codes drawn from the prior
    condition: of each row, for a conditional model; default: its conditions in turn
    to: of each row at its other end, where that is another one: then the condition walks as well
    straight: along the line in the place of the great circle
    Raises PthetaError where the model cannot decode (or has no codes of images, with ends; else: no
    prior), takes no such condition, or knows nothing between two.
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
    z[:, 0], z[:, -1] = a, b  # to the last digit
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
    """Of both ends, (rows, L) each."""
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
    """`rows` walks from one condition to another: uint8 (rows * steps, C, H, W), row by row, each
    of its own noise, which stays the same on the way. They are the samples that `sample` draws of
    what lies between; of a model that draws elements given a code, their means.

    first, last: one row each
    Raises PthetaError where the model cannot sample, takes no such condition, or knows nothing
    between two.
    """
    if rows < 1:
        raise PthetaError(f"{rows} walks: give at least one")
    require_images(rows * steps, model)
    way = rows_between(model, joined([first, last]), steps)
    shown = averaged(model) if can_average(model) else model
    made = [sample(shown, rows, seed=seed, condition=_same(way, t, rows)) for t in range(steps)]
    return torch.stack(made, 1).flatten(0, 1)


def _same(conditions: Condition, t: int, rows: int) -> Condition:
    """Condition t for each of so many rows."""
    return conditions[torch.full((rows,), t)]
