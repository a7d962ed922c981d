"""Distances between samples and real images in feature space: Frechet and kernel distances."""

from __future__ import annotations

import warnings

import torch

from ptheta.measures.frechet import (
    LEAST_TO_EXTRAPOLATE,
    fit,
    frechet,
    frechet_draws,
    frechet_infinity,
)
from ptheta.measures.intervals import draws, estimate
from ptheta.measures.kernel import kernel_draws
from ptheta.measures.results import Draws, Estimate
from ptheta.metrics.context import Context, shared
from ptheta.terminal.progress import stage

ENOUGH = 10  # minimum images of either side per feature dimension


@shared
def frechet_of(ctx: Context) -> tuple[float, Draws | None]:
    """The Frechet distance with its jackknife over groups of images."""
    x, y = ctx.fake.features, ctx.real.features
    with stage("distances"):
        return frechet(fit(x), fit(y)), frechet_draws(x, y, ctx.fakes, ctx.reals)


def warn_of_few(ctx: Context) -> None:
    """Warn if there are few images for a Frechet distance."""
    fake, real, d = len(ctx.fake), len(ctx.real), ctx.fake.features.shape[1]
    if min(fake, real) >= ENOUGH * d:
        return
    few, cure = (f"{fake} samples", "draw more")
    if real < fake:
        few, cure = (f"{real} real {ctx.test.examples}", "give more of them")
    warnings.warn(
        f"{few} are too few for a Frechet distance in {d} dimensions, which is then biased "
        f"upwards: prefer the kernel distance, or {cure}",
        stacklevel=4,
    )


def fd(ctx: Context) -> Estimate:
    """The Frechet distance (arXiv:1706.08500)."""
    return estimate(*frechet_of(ctx))


def fd_infinity(ctx: Context) -> Estimate:
    """The Frechet distance extrapolated to infinitely many samples and real images."""
    distance, found = frechet_of(ctx)
    least = min(ctx.fakes.n, ctx.reals.n)
    if found is None or least < LEAST_TO_EXTRAPOLATE:
        return Estimate(None, reason=f"{least} {ctx.test.examples} are too few to extrapolate from")
    return estimate(*frechet_infinity(distance, found, ctx.fakes, ctx.reals))


def kd(ctx: Context) -> Estimate:
    """The kernel distance, unbiased squared MMD (arXiv:1801.01401)."""
    with stage("distances"):
        return estimate(*kernel_draws(ctx.fake.features, ctx.real.features, ctx.fakes, ctx.reals))


def kd_within_label(ctx: Context) -> Estimate:
    """Agreement of samples with their labels: the mean over labels of the kernel distance between
    samples and real images of one label (after Miyato & Koyama 2018, arXiv:1802.05637, section 4.1,
    who use the Frechet distance).

    Labels with at least two images on both sides have equal weight; the others are named in a note.
    """
    asked, labels = ctx.both_labels
    distances: list[float] = []
    found: list[Draws | None] = []
    absent, names = [], ctx.test.classes
    for y in torch.cat([asked, labels]).unique().tolist():
        own, others = asked == y, labels == y
        if min(own.sum(), others.sum()) < 2:
            absent.append(names[y] if y < len(names) else str(y))
            continue
        fake, real = ctx.fake.features[own], ctx.real.features[others]
        # subsets of the global groups, so that two models leave out the same real images
        value, some = kernel_draws(fake, real, ctx.fakes.part(own), ctx.reals.part(others))
        distances.append(value)
        found.append(some)
    if not distances:
        return Estimate(None, reason="no label has two samples and two real images")
    note = f"without {', '.join(absent)}: fewer than two images of a side" if absent else ""
    mean = sum(distances) / len(distances)
    return estimate(mean, _mean(found), {"labels": len(distances)}, note=note)


def _mean(found: list[Draws | None]) -> Draws | None:
    """The replicates of the mean of several numbers; None if one has none."""
    every = [some for some in found if some is not None]
    if len(every) < len(found):
        return None
    of_fake, of_real = (
        torch.tensor(side, dtype=torch.float64).mean(0)
        for side in ([d.fake for d in every], [d.real for d in every])
    )
    return draws(of_fake, of_real)
