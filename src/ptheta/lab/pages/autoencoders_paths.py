"""Decoding from holes, and interpolation: two sections of the page on autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from scipy.spatial import ConvexHull, Delaunay, Voronoi, cKDTree
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.pages.autoencoders_codes import Coded, is_given
from ptheta.lab.parts import Figure, Number, Numbers, Section
from ptheta.measures.memorisation import nearest
from ptheta.report.plots import picture
from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.midway import cross_fade

PATH = (0.0, 0.25, 0.5, 0.75, 1.0)  # from a hole to the nearest code


# -- holes


class Hole(NamedTuple):
    """The largest empty circles among the codes of a model.

    one: the model; places: their middles, the largest first, (N, 2); radius: of that one
    """

    one: Coded
    places: Tensor
    radius: float

    def numbers(self) -> list[Number]:
        one, at_codes = self.one, self.one.lost(self.one.seen.points[:500])
        bound = None if one.given else at_codes
        how = "" if one.given else "theory: at least that from codes"
        name = f"{one.name}: lost on a round trip from the ten largest holes"
        radius = self.radius / one.spread
        return [
            Number(f"{one.name}: radius of the largest hole, in deviations", radius),
            Number(f"{one.name}: lost on a round trip from codes", at_codes),
            Number(name, one.lost(self.places), bound, 0.0, ">=", how),
        ]

    def row(self) -> Tensor:
        """Images from the middle of the largest hole to the nearest code."""
        points, middle = self.one.seen.points, self.places[:1]
        code = points[(points - middle).square().sum(1).argmin()][None]
        return self.one.decoded(torch.cat([torch.lerp(middle, code, t) for t in PATH]))


def holes(coded: dict[str, Coded]) -> list[Section]:
    """None if the codes of no model fill a plane."""
    found = [
        Hole(one, torch.from_numpy(places), radius)
        for one in coded.values()
        if one.name != "KL only"
        for places, radius in hole(one.seen.points.numpy())
    ]
    if not found:
        return []
    rows = torch.cat([each.row() for each in found])
    section = Section(
        "Decoding from a hole",
        [
            "The largest empty circle among the codes is a region on which the decoder was not "
            "trained. A code in a hole is decoded, and the image encoded again. If it were the "
            "code of such an image, it would come back. The table gives the median distance "
            "between both codes, in standard deviations of the codes.",
        ],
        ["|\\mathrm{encode}(\\mathrm{decode}(z)) - z|"],
        [
            Figure(
                figure(
                    partial(_draw_holes, found),
                    "Codes of each model, with the largest empty circle among them",
                    count=len(found),
                    width=3.3 * len(found),
                    height=3.4,
                ),
                "The largest empty circle among the codes.",
            ),
            Figure(
                lambda: picture(rows, len(PATH), 420, captions=[each.one.name for each in found]),
                "Left: decoded in the middle of that circle. Then on the way to the nearest code, "
                "at the right.",
            ),
            Numbers([n for each in found for n in each.numbers()]),
        ],
        "ptheta manifold runs/both --out manifold.png",
    )
    return [section]


def hole(points: np.ndarray, count: int = 10) -> list[tuple[np.ndarray, float]]:
    """The middles (count, 2) of the largest empty circles, the largest first, and the radius of
    that one. Their middles lie among the nearer 90 % of the points (N, 2). Empty for points on a
    line, which have no such circles."""
    centred = points - points.mean(0)
    covariance = np.cov(centred.T)
    if np.linalg.matrix_rank(covariance, hermitian=True, rtol=1e-9) < 2:
        return []
    inverse = np.linalg.inv(covariance)
    far = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    inner = points[far <= np.quantile(far, 0.9)]
    hull = Delaunay(inner[ConvexHull(inner).vertices])
    corners = Voronoi(points).vertices
    corners = corners[hull.find_simplex(corners) >= 0]
    radii, _ = cKDTree(points).query(corners)
    order = np.argsort(-radii)[:count]
    return [(corners[order], float(radii[order[0]]))]


def _draw_holes(found: Sequence[Hole], axes: Sequence[Axes]) -> None:
    for axis, (one, places, radius) in zip(axes, found, strict=True):
        points = one.seen.points
        axis.scatter(points[:, 0], points[:, 1], s=3, color=GREY, lw=0, rasterized=True)
        size, place = 2 * radius, places[0].tolist()
        axis.add_patch(
            Ellipse((place[0], place[1]), size, size, fill=False, color=COLOURS[1], lw=1.6)
        )
        axis.set_aspect("equal", "datalim")
        label(axis, "", "", one.name)


def _apart(images: Tensor, train: Dataset) -> float:
    """Mean distance to the nearest training image."""
    return float(nearest(images, train)[1].mean())


# -- from 1 to 2

PAIRS, STEPS = 40, 9


def between(coded: dict[str, Coded], asked: Asked, train: Dataset, test: Dataset) -> Section:
    shown = [one for one in coded.values() if one.name != "KL only"]
    ends = _ends(asked, test)
    pairs, (start, end) = len(ends[0]), train.classes[1:3]
    walks = {
        one.name: interpolate(one.model, pairs, STEPS, ends=ends, straight=True) for one in shown
    }
    walks["pixels"] = cross_fade(*ends, STEPS).flatten(0, 1)
    middles = {
        name: walk.unflatten(0, (pairs, STEPS))[:, STEPS // 2] for name, walk in walks.items()
    }
    apart = {name: _apart(middle, train) for name, middle in middles.items()}
    rows = torch.cat([walk[: 2 * STEPS] for walk in walks.values()])
    captions = [text for name in walks for text in (name, "")]
    return Section(
        f"Interpolation from {start} to {end}",
        [
            f"{pairs} pairs of a {start} and a {end} are encoded, and what lies on the line "
            "between their codes is decoded. A cross-fade of the pixels shows both images at once "
            "and makes them grey. Between codes, the image changes its shape. The distance to the "
            "nearest training image is the root mean square over pixels, of 255.",
        ],
        ["z_t = (1 - t) z_1 + t z_2, \\qquad x_t = \\mathrm{decode}(z_t)"],
        [
            Figure(
                lambda: picture(rows, STEPS, 420, captions=captions),
                "Two pairs for each model, and at the bottom the cross-fade of the pixels.",
            ),
            Numbers(_half_way(apart, known=not is_given(coded))),
        ],
        f"ptheta interpolate runs/both --from {start} --to {end} --out walk.png",
    )


def _ends(asked: Asked, test: Dataset) -> tuple[Tensor, Tensor]:
    """As many images of class 1 as of class 2, at most `PAIRS`."""
    mixed = test.shuffled(asked.number("between")).batch(slice(None))
    assert isinstance(mixed.condition, Tensor)
    each = [mixed.x[mixed.condition == k][:PAIRS] for k in (1, 2)]
    pairs = min(map(len, each))
    return each[0][:pairs], each[1][:pairs]


def _half_way(apart: dict[str, float], *, known: bool) -> list[Number]:
    """apart: the distances by model; known: whether a cross-fade is known to be further away"""
    what = "distance to the nearest training image half-way"
    models = {name: far for name, far in apart.items() if name != "pixels"}
    bound = max(models.values()) if known else None
    how = "theory: at least that of every model" if known else ""
    return [
        *(Number(f"{name}: {what}", far) for name, far in models.items()),
        Number(f"pixels: {what}", apart["pixels"], bound, 0.0, ">=", how),
    ]
