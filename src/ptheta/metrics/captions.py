"""Whether what a model draws shows what its caption says.

A model is asked for the captions of test images. Where the data are scenes, what a picture shows is
read off its pixels and held against the attributes of the image that the caption is of: nothing
learned is between. Of any data, a judge that was trained apart must find the caption among ten.
Beside each number stand what the real images of the same captions get, and what the samples get for
captions of others. Captions that training had, and those it had not, are counted apart.
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
STREAM = 0xCA97  # other random numbers than those of samples
ALL, SEEN, UNSEEN = "", "seen", "unseen"  # captions; the names of their results


# -- what an evaluation must have


def of_captions(ctx: Context) -> bool:
    """The model is asked for captions, and the test data have some."""
    asked = text_of(condition_of(ctx.model)) is not None
    return asked and isinstance(ctx.model, Samples) and ctx.test.captions is not None


def of_scenes(ctx: Context) -> bool:
    """And the images are scenes, which can be read off a picture."""
    return of_captions(ctx) and shows_scenes(ctx.test)


def shows_scenes(data: Dataset) -> bool:
    """Whether the examples are scenes that can be read off a picture."""
    channels, *sides = data.spec.shape
    large = channels == 3 and len(set(sides)) == 1 and min(sides) >= SIDE
    return large and data.attribute_names == ATTRIBUTES


def training_captions(ctx: Context) -> str:
    """Why nothing is known of the captions of training; "" where it is."""
    if ctx.train is None:
        return ctx.no_copies or UNKNOWN
    return f"{ctx.train.name} has no captions" if ctx.train.captions is None else ""


def enough_captions(ctx: Context) -> str:
    """Why there are no ten captions to find one among; "" where there are."""
    different = set(ctx.test.caption_texts() or ())
    few = len(different) < AMONG
    return f"{len(different)} different captions: want {AMONG} or more" if few else ""


# -- what was drawn


@dataclass(frozen=True)
class Drawn:
    """Samples of captions: uint8 (n, C, H, W).

    rows: int64 (n,), the test images whose captions they were asked for; real: these images
    unseen: bool (n,), whether training had no such caption; None where that is not known
    groups: the test images, to leave out some at a time: the same ones for every model
    """

    made: Tensor
    real: Tensor
    rows: Tensor
    unseen: Tensor | None
    groups: Groups


@shared
def drawn(ctx: Context) -> Drawn:
    """The samples of the evaluation, with what they were asked for."""
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
    """Which test captions training had not: bool (N,). Where combinations of attributes were held
    out of it, those of these combinations; else those that no training image has, word for word.
    None where it is not known what was trained on."""
    if test.unseen is not None:
        found: np.ndarray = test.unseen[test.rows(slice(None))]
        return found
    if train is None or train.captions is None:
        return None
    known = {_same(text) for text in train.caption_texts() or ()}
    return np.array([_same(text) not in known for text in test.caption_texts() or ()])


def _same(text: str) -> tuple[str, ...]:
    return tuple(text.casefold().split())


# -- the share of samples that are right


@dataclass(frozen=True)
class Right:
    """Whether each of n is right, as far as there is a choice by chance alone: float64 (n,).

    made: of the samples; real: of the real images of the same captions; shuffled: of the samples,
    held against captions of others
    """

    made: Tensor
    real: Tensor
    shuffled: Tensor

    def part(self, rows: Tensor) -> Right:
        """Where bool (n,) is true."""
        return Right(self.made[rows], self.real[rows], self.shuffled[rows])


def share(right: Right, groups: Groups, which: str = ALL) -> Estimate:
    """The score of the samples, with those of real images and of shuffled captions in the note.
    which: captions"""
    if len(right.made) < LEAST or len(groups.of.unique()) < 2:
        captions = f"{which} captions".strip()
        return Estimate(None, reason=f"fewer than {LEAST} {captions} in the test part")
    real, shuffled = right.real.mean().item(), right.shuffled.mean().item()
    about = {"images": len(right.made), "ceiling": round(real, 4), "shuffled": round(shuffled, 4)}
    note = f"{real:.3g} of real images, {shuffled:.3g} for shuffled captions"
    return replace(mean_estimate(right.made, groups, about), note=note)


def by_captions(right: Right, ctx: Context, about: About) -> Mapping[str, Estimate]:
    """The share of all captions, of those that training had, and of those that it had not.

    about: what the protocol of each says beside
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


# -- read off the pixels


@dataclass(frozen=True)
class Scenes:
    """Attributes of scenes, int8 (n, 14): read off samples and off real images, and wanted; and the
    mean error of both readings, of 255."""

    made: np.ndarray
    real: np.ndarray
    wanted: np.ndarray
    unexplained: tuple[float, float]


@shared
def scenes(ctx: Context) -> Scenes:
    """What the samples show, and should."""
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
    """Whether scenes agree in everything, each object by itself: float64 (N,)."""
    each = agreement(read, wanted).all_of("background", "place", *KINDS)
    same: np.ndarray = each * alike(read, wanted)["objects"]
    return same


def caption_match(ctx: Context) -> Mapping[str, Estimate]:
    """The share of samples that show all that their caption says, and nothing else."""
    made, real = scenes(ctx).unexplained
    about = {"unexplained": round(made, 3), "unexplained_of_real": round(real, 3)}
    return by_captions(_compared(ctx, whole), ctx, about)


def caption_parts(ctx: Context) -> Mapping[str, Estimate]:
    """The share of samples in which one part is as the caption says, by the part."""
    groups = drawn(ctx).groups
    return {part: share(_compared(ctx, partial(_part, part)), groups) for part in PARTS}


def _part(name: str, read: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return alike(read, wanted)[name]


# -- found among ten


@shared
def retrieved(ctx: Context) -> tuple[Right, str]:
    """Whether the judge finds the caption of each sample, and which judge it was."""
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
    """Whether the judge holds the caption of each image to be the best of `AMONG`.

    made, real: uint8 (n, C, H, W), of n captions asked; texts: different captions, these among them
    """
    place = {text: i for i, text in enumerate(texts)}
    own = np.array([place[text] for text in asked])
    others = [generator.choice(len(texts) - 1, AMONG - 1, replace=False) for _ in asked]
    rest = np.stack(others)
    rest += rest >= own[:, None]  # never the right one
    among = torch.from_numpy(np.concatenate([own[:, None], rest], 1))
    captions = by.captions(texts)
    a, b = by.images(made), by.images(real)
    cases = ((a, among), (b, among), (a, among.roll(1, 0)))
    return Right(*(_first(torch.einsum("nw,nkw->nk", x, captions[k])) for x, k in cases))


def _first(scores: Tensor) -> Tensor:
    """Whether the first of scores (n, k) is the largest, and of m equal ones a m-th of that."""
    best = scores == scores.amax(1, keepdim=True)
    return best[:, 0].double() / best.sum(1)


def caption_retrieval(ctx: Context) -> Mapping[str, Estimate]:
    """The share of samples whose caption the judge finds among ten of the test captions."""
    right, key = retrieved(ctx)
    return by_captions(right, ctx, {"among": AMONG, "judge": key})
