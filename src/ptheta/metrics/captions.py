"""Agreement of samples with their captions.

A model samples images for the captions of test images. For scenes, the content of a sample is read
from its pixels, without a learned network, and compared with the attributes of the test image. For
any data, a separately trained judge must find the caption among ten. Each number is reported with
that of the real images of the same captions and that of shuffled captions. Captions seen and not
seen in training are evaluated separately.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ptheta.capabilities import Samples, condition_of
from ptheta.conditions import text_of
from ptheta.data.dataset import Dataset
from ptheta.data.scene_reader import SIDE, read_scenes
from ptheta.data.shapes import ATTRIBUTES
from ptheta.measures.intervals import LEAST, Groups, mean_estimate
from ptheta.measures.results import About, Estimate
from ptheta.measures.scenes import KINDS, PARTS, agreement, alike
from ptheta.metrics.conditions import asked_rows
from ptheta.metrics.context import Context, shared
from ptheta.metrics.copies import UNKNOWN
from ptheta.metrics.judge import Judge, judge
from ptheta.tasks.conditions import with_conditions

AMONG = 10  # number of captions, one of which is correct
STREAM = 0xCA97  # seed offset, distinct from that of the samples
ALL, SEEN, UNSEEN = "", "seen", "unseen"  # (captions, suffix of the names of their results)


# -- requirements


def of_captions(ctx: Context) -> bool:
    """The model is conditional on captions, and the test data has captions."""
    asked = text_of(condition_of(ctx.model)) is not None
    return asked and isinstance(ctx.model, Samples) and ctx.test.captions is not None


def of_scenes(ctx: Context) -> bool:
    """As `of_captions`, and the images are scenes, which can be read from pixels."""
    return of_captions(ctx) and shows_scenes(ctx.test)


def shows_scenes(data: Dataset) -> bool:
    """Whether the examples are scenes that can be read from pixels."""
    channels, *sides = data.spec.shape
    large = channels == 3 and len(set(sides)) == 1 and min(sides) >= SIDE
    return large and data.attribute_names == ATTRIBUTES


def training_captions(ctx: Context) -> str:
    """Why the training captions are unknown; "" if they are known."""
    if ctx.train is None:
        return ctx.no_copies or UNKNOWN
    return f"{ctx.train.name} has no captions" if ctx.train.captions is None else ""


def enough_captions(ctx: Context) -> str:
    """Why there are too few captions for retrieval; "" if there are enough."""
    different = set(ctx.test.caption_texts() or ())
    few = len(different) < AMONG
    return f"{len(different)} different captions: want {AMONG} or more" if few else ""


# -- samples


@dataclass(frozen=True)
class Drawn:
    """Samples for captions: uint8 (n, C, H, W).

    rows: int64 (n,), indices of the test images of these captions; real: these images
    unseen: bool (n,), whether the caption was not seen in training; None if unknown
    groups: jackknife groups of the test images, the same for every model
    """

    made: Tensor
    real: Tensor
    rows: Tensor
    unseen: Tensor | None
    groups: Groups


@shared
def drawn(ctx: Context) -> Drawn:
    """The samples of the evaluation, with their captions."""
    test = with_conditions(ctx.the_model, ctx.test)
    rows = asked_rows(test, len(ctx.samples), ctx.seed)
    unseen = unseen_in(test, ctx.train)
    return Drawn(
        ctx.samples,
        test.batch(rows.numpy()).x,
        rows,
        None if unseen is None else torch.from_numpy(unseen)[rows],
        Groups(len(test), "real").part(rows),
    )


def unseen_in(test: Dataset, train: Dataset | None) -> np.ndarray | None:
    """Which test captions were not seen in training: bool (N,). If combinations of attributes were
    held out, those of these combinations; else those that no training image has verbatim. None if
    the training data is unknown."""
    if test.unseen is not None:
        found: np.ndarray = test.unseen[test.rows(slice(None))]
        return found
    if train is None or train.captions is None:
        return None
    known = {_same(text) for text in train.caption_texts() or ()}
    return np.array([_same(text) not in known for text in test.caption_texts() or ()])


def _same(text: str) -> tuple[str, ...]:
    return tuple(text.casefold().split())


# -- fraction of correct samples


@dataclass(frozen=True)
class Right:
    """Whether each of n images is correct, or its probability if ties are broken at random: float64
    (n,).

    made: the samples; real: the real images of the same captions; shuffled: the samples with the
    captions of other images
    """

    made: Tensor
    real: Tensor
    shuffled: Tensor

    def part(self, rows: Tensor) -> Right:
        """The selected rows. rows: bool (n,)"""
        return Right(self.made[rows], self.real[rows], self.shuffled[rows])


def share(right: Right, groups: Groups, which: str = ALL) -> Estimate:
    """The score of the samples, with those of real images and of shuffled captions in the note.
    which: selected captions"""
    if len(right.made) < LEAST or len(groups.of.unique()) < 2:
        captions = f"{which} captions".strip()
        return Estimate(None, reason=f"fewer than {LEAST} {captions} in the test part")
    real, shuffled = right.real.mean().item(), right.shuffled.mean().item()
    about = {"images": len(right.made), "ceiling": round(real, 4), "shuffled": round(shuffled, 4)}
    note = f"{real:.3g} of real images, {shuffled:.3g} for shuffled captions"
    return replace(mean_estimate(right.made, groups, about), note=note)


def by_captions(right: Right, ctx: Context, about: About) -> Mapping[str, Estimate]:
    """The fraction correct for all captions, for those seen in training, and for unseen ones.

    about: additional entries of each protocol
    """
    some = drawn(ctx)
    shares = {ALL: share(right, some.groups)}
    for name, which in ((SEEN, False), (UNSEEN, True)):
        if some.unseen is None:
            shares[name] = Estimate(None, reason=ctx.no_copies or UNKNOWN)
            continue
        rows = some.unseen == which
        groups = replace(some.groups, rows=some.rows[rows])
        shares[name] = share(right.part(rows), groups, name)
    return {name: replace(each, about={**each.about, **about}) for name, each in shares.items()}


# -- attributes read from the pixels


@dataclass(frozen=True)
class Scenes:
    """Attributes of scenes, int8 (n, 14): read from samples, read from real images, and true; and
    the mean error of both readings, out of 255."""

    made: np.ndarray
    real: np.ndarray
    wanted: np.ndarray
    unexplained: tuple[float, float]


@shared
def scenes(ctx: Context) -> Scenes:
    """The attributes that the samples show, and the true ones."""
    some = drawn(ctx)
    assert ctx.test.attributes is not None
    wanted = ctx.test.attributes[ctx.test.rows(some.rows.numpy())]
    made, real = read_scenes(some.made), read_scenes(some.real)
    errors = float(made.error.mean()), float(real.error.mean())
    return Scenes(made.attributes, real.attributes, wanted, errors)


def _compared(ctx: Context, compare: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Right:
    some = scenes(ctx)
    pairs = (
        (some.made, some.wanted),
        (some.real, some.wanted),
        (some.made, np.roll(some.wanted, 1, axis=0)),
    )
    return Right(*(torch.from_numpy(compare(read, wanted)) for read, wanted in pairs))


def whole(read: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether scenes agree in all attributes, with objects compared individually: float64 (N,)."""
    each = agreement(read, wanted).all_of("background", "place", *KINDS)
    same: np.ndarray = each * alike(read, wanted)["objects"]
    return same


def caption_match(ctx: Context) -> Mapping[str, Estimate]:
    """The fraction of samples that show everything in their caption and nothing else."""
    made, real = scenes(ctx).unexplained
    about = {"unexplained": round(made, 3), "unexplained_of_real": round(real, 3)}
    return by_captions(_compared(ctx, whole), ctx, about)


def caption_parts(ctx: Context) -> Mapping[str, Estimate]:
    """The fraction of samples in which a part matches the caption, by part."""
    groups = drawn(ctx).groups
    return {part: share(_compared(ctx, partial(_part, part)), groups) for part in PARTS}


def _part(name: str, read: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return alike(read, wanted)[name]


# -- retrieval among ten captions


@shared
def retrieved(ctx: Context) -> tuple[Right, str]:
    """Whether the judge retrieves the caption of each sample, and the key of the judge."""
    assert ctx.train is not None
    some, by = drawn(ctx), judge(ctx.train)
    texts = ctx.test.caption_texts() or []
    asked = [texts[row] for row in some.rows.tolist()]
    generator = np.random.default_rng([ctx.seed, STREAM])
    return found_among(by, some.made, some.real, asked, sorted(set(texts)), generator), by.key


def found_among(
    by: Judge,
    made: Tensor,
    real: Tensor,
    asked: list[str],
    texts: list[str],
    generator: np.random.Generator,
) -> Right:
    """Whether the judge scores the caption of each image highest of `AMONG`.

    made, real: uint8 (n, C, H, W), for n captions `asked`; texts: distinct captions, including
        these
    """
    place = {text: i for i, text in enumerate(texts)}
    own = np.array([place[text] for text in asked])
    others = [generator.choice(len(texts) - 1, AMONG - 1, replace=False) for _ in asked]
    rest = np.stack(others)
    rest += rest >= own[:, None]  # never the correct one
    among = torch.from_numpy(np.concatenate([own[:, None], rest], 1))
    captions = by.captions(texts)
    a, b = by.images(made), by.images(real)
    cases = ((a, among), (b, among), (a, among.roll(1, 0)))
    return Right(*(_first(torch.einsum("nw,nkw->nk", x, captions[k])) for x, k in cases))


def _first(scores: Tensor) -> Tensor:
    """1 if the first of scores (n, k) is the largest, 1 / m if it is tied with m - 1 others, else
    0."""
    best = scores == scores.amax(1, keepdim=True)
    return best[:, 0].double() / best.sum(1)


def caption_retrieval(ctx: Context) -> Mapping[str, Estimate]:
    """The fraction of samples whose caption the judge retrieves among ten test captions."""
    right, key = retrieved(ctx)
    return by_captions(right, ctx, {"among": AMONG, "judge": key})
