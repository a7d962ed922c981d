"""Translations between unpaired domains: test images of all other domains, translated to each.

Their distance to the real images of the domain measures realism; translated back they should equal
the input (cycle consistency); and if the data has true counterparts in the other domain, they are
compared with these. The notes give the same numbers for unchanged inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ptheta.capabilities import Translates
from ptheta.data.dataset import Dataset
from ptheta.data.scene_reader import SIDE, read_scenes
from ptheta.data.shapes import ATTRIBUTES
from ptheta.extractors.features import Features, extract
from ptheta.measures import errors
from ptheta.measures.frechet import fit, frechet, frechet_draws
from ptheta.measures.intervals import Groups, estimate, mean_estimate
from ptheta.measures.kernel import kernel_distance, kernel_draws
from ptheta.measures.results import Draws, Estimate
from ptheta.measures.scenes import agreement
from ptheta.measures.similarity import scales, ssim
from ptheta.metrics.context import Context, shared, together
from ptheta.tasks.translate import translate
from ptheta.terminal.progress import stage

STREAM = 0xD0BE  # seed offset, distinct from that of the samples
LOOK, KEPT = ("background", "fills"), ("place", "shape", "colour")  # attributes of a scene


@dataclass(frozen=True)
class Carried:
    """Test images of other domains, translated to one: uint8 (n, C, H, W).

    name: name of the target domain
    rows: int64 (n,), their indices among the test images; x: the inputs; made: their translations;
    back: these translated back to the original domain
    real: bool (N,), which test images are of the target domain
    """

    name: str
    rows: Tensor
    x: Tensor
    made: Tensor
    back: Tensor
    real: Tensor

    @property
    def groups(self) -> Groups:
        """Jackknife groups of the images, the same for every model."""
        return Groups(len(self.rows), "real")


def of_domains(ctx: Context) -> bool:
    """The model translates between domains, which are labels of the test data."""
    if not isinstance(ctx.model, Translates) or ctx.test.labels is None:
        return False
    return len(set(ctx.model.domains()) & set(ctx.test.present_classes())) > 1


def of_partners(ctx: Context) -> bool:
    """The data has true counterparts in other domains."""
    return of_domains(ctx) and ctx.test.partners is not None


def of_scenes(ctx: Context) -> bool:
    """As `of_partners`, and the images are scenes, which can be read from pixels."""
    channels, *sides = ctx.test.spec.shape
    large = channels == 3 and min(sides) >= SIDE and len(set(sides)) == 1
    return of_partners(ctx) and ctx.test.attribute_names == ATTRIBUTES and large


@together
def carried(ctx: Context) -> Mapping[str, Carried]:
    """Translated images by target domain; domains without at least two own test images and two of
    other domains are left out."""
    model = ctx.the_model
    assert isinstance(model, Translates)
    names = model.domains()
    of = _domains(ctx.test, names)
    order = torch.randperm(len(of), generator=torch.Generator().manual_seed(ctx.seed ^ STREAM))
    found = {}
    for number, name in enumerate(names):
        rows = order[(of[order] >= 0) & (of[order] != number)][: ctx.n]
        real = of == number
        if min(len(rows), int(real.sum())) < 2:
            continue
        x = ctx.test.batch(rows.numpy()).x
        with stage(f"to {name}"):
            made = _carry(ctx, x, torch.full((len(rows),), number))
            back = _carry(ctx, made, of[rows])
        found[name] = Carried(name, rows, x, made, back, real)
    return found


def _domains(data: Dataset, names: tuple[str, ...]) -> Tensor:
    """The index in `names` of the domain of each example: int64 (N,); -1 for another domain."""
    assert data.labels is not None
    number = {name: i for i, name in enumerate(names)}
    known = np.array([number.get(name, -1) for name in data.classes] or [-1])
    return torch.from_numpy(known[data.labels[data.rows(slice(None))]])


def _carry(ctx: Context, x: Tensor, to: Tensor) -> Tensor:
    """Translate images to their target domains, with noise by the seed of the evaluation."""
    return ctx.test.spec.check(translate(ctx.the_model, x, to, seed=ctx.seed))


Of = Callable[[Context, Carried], Estimate]


def each_domain(what: Of, ctx: Context) -> Mapping[str, Estimate]:
    """An estimate for each target domain."""
    return {name: what(ctx, some) for name, some in carried(ctx).items()}


# -- distance to the domain


@together
def _features(ctx: Context) -> Mapping[str, Features]:
    """Features of the translated images, by target domain."""
    return {
        name: extract(some.made, ctx.extractor, processes=ctx.processes)
        for name, some in carried(ctx).items()
    }


@dataclass(frozen=True)
class Distance:
    """A distance of two sets of features, (n, d) and (m, d), with its jackknife over groups of both
    sides."""

    value: Callable[[Tensor, Tensor], float]
    draws: Callable[[Tensor, Tensor, Groups, Groups], Draws | None]


FRECHET = Distance(lambda x, y: frechet(fit(x), fit(y)), frechet_draws)
KERNEL = Distance(
    lambda x, y: kernel_distance(x, y)[0], lambda x, y, *groups: kernel_draws(x, y, *groups)[1]
)


def _distance(distance: Distance, ctx: Context, some: Carried) -> Estimate:
    real, reals = ctx.real.features[some.real], ctx.reals.part(some.real)
    fakes = Groups(len(some.rows), "fake")
    made, before = _features(ctx)[some.name].features, ctx.real.features[some.rows]
    return distance_of(distance, made, before, real, (fakes, reals))


def distance_of(
    distance: Distance, made: Tensor, before: Tensor, real: Tensor, groups: tuple[Groups, Groups]
) -> Estimate:
    """The distance of translated images to the real images of the domain, with that of the inputs
    in the note. made, before, real: features (n, d), (n, d) and (m, d)

    groups: of the translated images, and of real images
    """
    copy = distance.value(before, real)
    about = {"copy": round(copy, 6), "images": len(made)}
    note = f"{copy:.4g} for the input copied"
    found = distance.draws(made, real, *groups)
    return estimate(distance.value(made, real), found, about, note=note)


translation_fd = partial(each_domain, partial(_distance, FRECHET))
translation_kd = partial(each_domain, partial(_distance, KERNEL))


# -- cycle consistency and true counterparts


def _cycle(ctx: Context, some: Carried) -> Estimate:
    return mean_estimate(errors.l1(some.back, some.x), some.groups)


cycle_l1 = partial(each_domain, _cycle)
PixelError = Callable[[Tensor, Tensor], Tensor]


def _partners(ctx: Context, some: Carried) -> tuple[Tensor, Dataset] | None:
    """Indices of the images that have a counterpart in the domain, int64 (m,), and the
    counterparts; None if there are fewer than two."""
    test = ctx.test
    assert test.partners is not None
    partner = test.partners[test.rows(some.rows.numpy())]
    inside = np.isin(partner, test.rows(slice(None))[some.real.numpy()])
    there = np.flatnonzero(inside & (partner >= 0))
    if len(there) < 2:
        return None
    return torch.from_numpy(there), replace(test, index=partner[there])


def _to_partner(error: PixelError, ctx: Context, some: Carried) -> Estimate:
    """Error against the true counterpart in the domain, with that of the unchanged images in the
    note."""
    known = _partners(ctx, some)
    if known is None:
        return Estimate(None, reason="fewer than two images have a partner there")
    there, partners = known
    wanted = partners.batch(slice(None)).x
    copy = error(some.x[there], wanted).mean().item()
    about = {"copy": round(copy, 6), "images": len(there)}
    groups = Groups(len(some.rows), "real").part(there)
    found = mean_estimate(error(some.made[there], wanted), groups, about)
    return replace(found, note=f"{copy:.4g} for the input copied")


def _similar(ctx: Context, some: Carried) -> Estimate:
    height, width = some.made.shape[2:]
    if not scales(height, width):
        return Estimate(None, reason=f"images of {height}x{width} are smaller than its window")
    return _to_partner(ssim, ctx, some)


partner_l1 = partial(each_domain, partial(_to_partner, errors.l1))
partner_psnr = partial(each_domain, partial(_to_partner, errors.psnr))
partner_ssim = partial(each_domain, _similar)


def _scenes(what: tuple[str, ...], ctx: Context, some: Carried) -> Estimate:
    """Fraction of images whose attributes `what`, read from pixels, all agree with their
    counterpart."""
    known = _partners(ctx, some)
    if known is None:
        return Estimate(None, reason="fewer than two images have a partner there")
    there, partners = known
    assert partners.attributes is not None
    wanted = partners.attributes[partners.rows(slice(None))]
    right = agreement(_read(ctx)[some.name][there.numpy()], wanted).all_of(*what)
    groups = Groups(len(some.rows), "real").part(there)
    return mean_estimate(torch.from_numpy(right), groups, {"images": len(there)})


@shared
def _read(ctx: Context) -> Mapping[str, np.ndarray]:
    """The attributes read from the translated images, by target domain."""
    return {name: read_scenes(some.made).attributes for name, some in carried(ctx).items()}


scene_look = partial(each_domain, partial(_scenes, LOOK))
scene_kept = partial(each_domain, partial(_scenes, KEPT))
