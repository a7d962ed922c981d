"""Decoding from holes, and interpolation: two sections of the page on autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from scipy.spatial import ConvexHull, Delaunay, Voronoi, cKDTree
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.pages.autoencoders_codes import Coded
from ptheta.lab.parts import Figure, Number, Numbers, Section
from ptheta.measures.memorisation import nearest
from ptheta.report.plots import picture
from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.midway import cross_fade

PATH = (0.0, 0.25, 0.5, 0.75, 1.0)  # from a hole to the nearest code


# -- holes


def holes(coded: dict[str, Coded]) -> Section:
    shown = [one for one in coded.values() if one.name != "KL only"]
    rows, holes, numbers = [], [], []
    for one in shown:
        points = one.seen.points
        places, radius = hole(points.numpy())
        holes.append((places[0], radius))
        middle = torch.from_numpy(places[:1])
        code = points[(points - middle).square().sum(1).argmin()][None]
        rows.append(one.decoded(torch.cat([torch.lerp(middle, code, t) for t in PATH])))
        at_codes = one.lost(points[:500])
        numbers += [
            Number(f"{one.name}: radius of the largest hole, in deviations", radius / one.spread),
            Number(f"{one.name}: lost on a round trip from codes", at_codes),
            Number(
                f"{one.name}: lost on a round trip from the ten largest holes",
                one.lost(torch.from_numpy(places)),
                at_codes,
                0.0,
                ">=",
                "theory: at least that from codes",
            ),
        ]
    return Section(
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
                    partial(_draw_holes, shown, holes),
                    "Codes of each model, with the largest empty circle among them",
                    count=len(shown),
                    width=3.3 * len(shown),
                    height=3.4,
                ),
                "The largest empty circle among the codes.",
            ),
            Figure(
                lambda: picture(
                    torch.cat(rows), len(PATH), 420, captions=[one.name for one in shown]
                ),
                "Left: decoded in the middle of that circle. Then on the way to the nearest code, "
                "at the right.",
            ),
            Numbers(numbers),
        ],
        "ptheta manifold runs/both --out manifold.png",
    )


def hole(points: np.ndarray, count: int = 10) -> tuple[np.ndarray, float]:
    """The middles (count, 2) of the largest empty circles, the largest first, and the radius of
    that one. Their middles lie among the nearer 90 % of the points (N, 2)."""
    centred = points - points.mean(0)
    inverse = np.linalg.inv(np.cov(centred.T))
    far = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    inner = points[far <= np.quantile(far, 0.9)]
    hull = Delaunay(inner[ConvexHull(inner).vertices])
    corners = Voronoi(points).vertices
    corners = corners[hull.find_simplex(corners) >= 0]
    radii, _ = cKDTree(points).query(corners)
    order = np.argsort(-radii)[:count]
    return corners[order], float(radii[order[0]])


def _draw_holes(
    shown: Sequence[Coded], holes: Sequence[tuple[np.ndarray, float]], axes: Sequence[Axes]
) -> None:
    for axis, one, (place, radius) in zip(axes, shown, holes, strict=True):
        points = one.seen.points
        axis.scatter(points[:, 0], points[:, 1], s=3, color=GREY, lw=0, rasterized=True)
        size = 2 * radius
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
    seed = asked.number("between")
    mixed = test.shuffled(seed).batch(slice(None))
    assert isinstance(mixed.condition, Tensor)
    ends = tuple(mixed.x[mixed.condition == k][:PAIRS] for k in (1, 2))
    walks = {
        one.name: interpolate(one.model, PAIRS, STEPS, ends=(ends[0], ends[1]), straight=True)
        for one in shown
    }
    walks["pixels"] = cross_fade(ends[0], ends[1], STEPS).flatten(0, 1)
    middles = {
        name: walk.unflatten(0, (PAIRS, STEPS))[:, STEPS // 2] for name, walk in walks.items()
    }
    apart = {name: _apart(middle, train) for name, middle in middles.items()}
    numbers = [
        Number(f"{name}: distance to the nearest training image half-way", far)
        for name, far in apart.items()
        if name != "pixels"
    ]
    numbers.append(
        Number(
            "pixels: distance to the nearest training image half-way",
            apart.pop("pixels"),
            max(apart.values()),
            0.0,
            ">=",
            "theory: at least that of every model",
        )
    )
    rows = torch.cat([walk[: 2 * STEPS] for walk in walks.values()])
    captions = [text for name in walks for text in (name, "")]
    return Section(
        "Interpolation from 1 to 2",
        [
            f"{PAIRS} pairs of a 1 and a 2 are encoded, and what lies on the line between their "
            "codes is decoded. A cross-fade of the pixels shows both digits at once and makes "
            "them grey. Between codes, the image changes its shape. The distance to the nearest "
            "training image is the root mean square over pixels, of 255.",
        ],
        ["z_t = (1 - t) z_1 + t z_2, \\qquad x_t = \\mathrm{decode}(z_t)"],
        [
            Figure(
                lambda: picture(rows, STEPS, 420, captions=captions),
                "Two pairs for each model, and at the bottom the cross-fade of the pixels.",
            ),
            Numbers(numbers),
        ],
        "ptheta interpolate runs/both --from 1 --to 2 --out walk.png",
    )
