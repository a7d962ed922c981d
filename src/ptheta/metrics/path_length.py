"""Perceptual path length: how evenly images change as a code moves through the latent space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute.streams import seeded
from ptheta.errors import PthetaError
from ptheta.extractors.features import Extractor, extract
from ptheta.tasks.interpolate import slerp

PATHS = 500
STEP = 1 / 16  # of the way; a shorter one would mostly see the rounding of pixels to whole values


@torch.no_grad()
def path_length(
    model: nn.Module,
    by: Extractor,
    real: Tensor,
    condition: Condition | None = None,
    *,
    paths: int = PATHS,
    seed: int = 0,
) -> tuple[Tensor, float]:
    """|f(x(t + e)) - f(x(t))|^2 / e^2 of each path (paths,), and the unit it is measured in.

    A path goes along the great circle between two codes of the prior, t is uniform, e = `STEP`, and
    f are the features of `by` (Karras et al. 2019, section 4.1, arXiv:1812.04948, there with
    another f and a shorter step). The unit is the mean squared distance of two real images, of
    whose features `real` (N, d) holds some: at a mean of 1 a path moves as evenly as the straight
    line between two unrelated images would; a collapsed model stays below it.

    condition: what each path is asked for, (paths,) or (paths, A); None for an unconditional model
    Needs a model that decodes codes of its prior.
    """
    if paths < 2:
        raise PthetaError(f"paths = {paths}: give at least two")
    with seeded(seed):
        a = model.sample_latent(paths, condition)  # type: ignore[operator]
        b = model.sample_latent(paths, condition)  # type: ignore[operator]
        t = torch.rand(paths, device=a.device) * (1 - STEP)
    ends = []
    for at in (t, t + STEP):
        z = slerp(a, b, at[:, None])[:, 0]
        parts = [slice(i, i + 250) for i in range(0, paths, 250)]
        images = [
            model.decode(z[part], None if condition is None else condition[part])  # type: ignore[operator]
            for part in parts
        ]
        ends.append(extract(torch.cat(images).cpu(), by).features.double())
    unit = 2 * real.double().var(0).sum().item()
    return (ends[1] - ends[0]).square().sum(1) / STEP**2 / max(unit, 1e-12), unit
