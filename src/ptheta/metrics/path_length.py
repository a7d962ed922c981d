"""Perceptual path length: smoothness of the image along paths in latent space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import extract
from ptheta.measures.intervals import Groups, mean_estimate
from ptheta.measures.results import Estimate
from ptheta.metrics.conditions import conditions_like
from ptheta.metrics.context import Context
from ptheta.tasks.interpolate import slerp
from ptheta.tasks.needs import DecodesPrior, require
from ptheta.terminal.progress import stage

PATHS = 500
STEP = 1 / 16  # relative step; a shorter one would mostly measure the rounding of pixel values


@torch.no_grad()
def path_length(
    model: nn.Module,
    extractor: Extractor,
    real: Tensor,
    condition: Condition | None = None,
    *,
    paths: int = PATHS,
    seed: int = 0,
) -> tuple[Tensor, float]:
    """|f(x(t + e)) - f(x(t))|^2 / e^2 of each path (paths,), and its unit.

    A path is the great circle between two codes of the prior, t is uniform, e = `STEP`, and f are
    the features of `extractor` (Karras et al. 2019, section 4.1, arXiv:1812.04948, who use another
    f and a shorter step). The unit is the mean squared distance of two real images, estimated from
    their features `real` (N, d): a mean of 1 is that of a straight line between the features of two
    unrelated images; a collapsed model has less.

    condition: one per path, (paths,) or (paths, A); None for an unconditional model
    Raises PthetaError if the model cannot decode codes of its prior, and for fewer than two paths.
    """
    if paths < 2:
        raise PthetaError(f"paths = {paths}: give at least two")
    latent = require(model, DecodesPrior, "walk between codes of its prior")
    with seeded(seed):
        a = latent.sample_latent(paths, condition)
        b = latent.sample_latent(paths, condition)
        t = torch.rand(paths, device=a.device) * (1 - STEP)
    ends = []
    for at in (t, t + STEP):
        z = slerp(a, b, at[:, None])[:, 0]
        parts = [slice(i, i + 250) for i in range(0, paths, 250)]
        images = [
            latent.decode(z[part], None if condition is None else condition[part]) for part in parts
        ]
        ends.append(extract(torch.cat(images).cpu(), extractor).features.double())
    unit = 2 * real.double().var(0).sum().item()
    return (ends[1] - ends[0]).square().sum(1) / STEP**2 / max(unit, 1e-12), unit


def codes_with_a_prior(ctx: Context) -> str:
    """The model decodes codes of its prior."""
    return "" if isinstance(ctx.model, DecodesPrior) else "it has no codes with a prior"


def mean_path_length(ctx: Context) -> Estimate:
    """Mean perceptual path length, relative to its unit."""
    with stage("path length"):
        condition = conditions_like(ctx.the_model, ctx.test, PATHS, ctx.seed)
        each, unit = path_length(
            *(ctx.the_model, ctx.extractor, ctx.real.features, condition),
            paths=PATHS,
            seed=ctx.seed,
        )
    return mean_estimate(each, Groups(len(each), "fake"), {"paths": len(each), "unit": unit})
