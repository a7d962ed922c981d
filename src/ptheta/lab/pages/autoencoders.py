"""From autoencoders to the VAE: what the KL term does to codes, and what a code keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from scipy.spatial import ConvexHull, Delaunay, Voronoi, cKDTree
from torch import Tensor, nn

import ptheta
from ptheta.capabilities import Decodes, Generates
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.distributions.kl import kl_standard_normal
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Part, Section, Table
from ptheta.lab.trained import Training, given, labelled
from ptheta.measures.memorisation import nearest
from ptheta.measures.planes import by_neighbour
from ptheta.models.base import Model
from ptheta.models.variational.vae import VAE
from ptheta.report.plots import picture
from ptheta.specs import to_unit
from ptheta.tasks.codes import encode
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.midway import cross_fade
from ptheta.tasks.needs import Autoencodes
from ptheta.tasks.reconstruct import reconstruct
from ptheta.tasks.scatter import Scatter, scatter

SHOWN = 1500  # test images whose codes are drawn
ELLIPSES = 150
PATH = (0.0, 0.25, 0.5, 0.75, 1.0)  # from a hole to the nearest code
PLANE: dict[str, object] = {"latent": 2, "hidden": (256, 128), "lr": 4e-3}
TRAININGS: dict[str, Training] = {
    "autoencoder": Training("ae", PLANE | {"loss": "cross-entropy", "lr": 2e-3}, 800),
    "reconstruction only": Training("vae", PLANE, 1500, beta=0.0),
    "KL only": Training("vae", PLANE | {"kl_only": True}, 300),
    "both": Training("vae", PLANE, 1500),
}
SIZES = (1, 2, 4, 8, 16, 32)
DEEP = Training("ae", {"hidden": (256, 128), "lr": 3e-3}, 700)
LINEAR = Training("ae", {"net": "linear", "lr": 2e-3}, 1500)
SE = 4.5  # standard errors within which a share lies


@dataclass(frozen=True)
class Coded:
    """A model and the codes of the test images.

    Attributes:
        name: What the page calls it.
        model: Encodes and decodes.
        seen: Codes in a plane.
        labels: Of the images, (N,).
    """

    name: str
    model: nn.Module
    seen: Scatter
    labels: Tensor

    @property
    def spread(self) -> float:
        """Root mean variance of the codes in the plane."""
        return float(self.seen.points.var(0).mean().sqrt())

    def lost(self, points: Tensor) -> float:
        """Median distance in the plane between points and the codes of what is decoded there, in
        standard deviations of the codes."""
        back = self.seen.plane.of(encode(self.model, self.decoded(points)).z)
        return float((back - points).norm(dim=1).median()) / self.spread

    def decoded(self, points: Tensor) -> Tensor:
        """The images at points of the plane, (N, 2)."""
        assert isinstance(self.model, Decodes)
        plane = self.seen.plane
        with torch.no_grad():
            return self.model.decode((plane.center + points.double() @ plane.axes.T).float())


def page(asked: Asked) -> Page:
    train, test = labelled(asked, "autoencoders")
    models = _models(asked, train)
    seed = asked.number("codes")
    some = test.shuffled(seed).subset(slice(0, SHOWN)).batch(slice(None))
    assert isinstance(some.condition, Tensor)
    coded = {
        name: Coded(name, model, scatter(model, some.x, seed=seed), some.condition)
        for name, model in models.items()
    }
    return Page(
        "From autoencoders to the VAE",
        "An autoencoder learns a code that can be decoded. The KL term of a VAE makes the codes "
        "overlap and fill the prior, so that any draw of the prior can be decoded.",
        [
            _codes(coded, train),
            _ellipses(coded),
            _holes(coded),
            _between(coded, asked, train, test),
            _sizes(asked, train, test),
        ],
        [
            "Hinton & Salakhutdinov 2006 (autoencoders and principal components)",
            "Baldi & Hornik 1989 (the linear autoencoder spans the principal subspace)",
            "Kingma & Welling 2014, arXiv:1312.6114",
        ],
    )


def _models(asked: Asked, train: Dataset) -> dict[str, nn.Module]:
    """The four that the page trains, or the given ones by their names."""
    if asked.runs:
        runs = given(asked, "autoencoders", Autoencodes, "encode and decode", train)
        return {f"{one.name} ({one.run.plan.model})": one.model for one in runs}
    return {
        name: one.run(train, asked.number(name), f"training {name}")
        for name, one in TRAININGS.items()
    }


# -- codes by class


def _codes(coded: dict[str, Coded], train: Dataset) -> Section:
    numbers = []
    for one in coded.values():
        share = by_neighbour(one.seen.drawn, one.labels)
        chance = float((torch.bincount(one.labels).double() / len(one.labels)).square().sum())
        known = chance if one.name == "KL only" else None
        error = SE * math.sqrt(chance * (1 - chance) / len(one.labels))
        how = "theory: by chance" if known is not None else ""
        numbers.append(
            Number(
                f"{one.name}: nearest code has the same class", share.value, known, error, "=", how
            )
        )
        overlap = one.seen.overlap()
        if overlap is not None:
            numbers.append(
                Number(
                    f"{one.name}: share of codes in the region that holds 95 % of the prior",
                    overlap[0].value,
                    0.95 if one.name == "KL only" else None,
                    0.03,
                )
            )
    parts: list[Part] = [
        Figure(
            figure(
                partial(_draw_codes, list(coded.values())),
                "Codes of test digits coloured by class, for each model",
                count=len(coded),
                width=2.9 * len(coded),
                height=3.3,
            ),
            "Codes of test digits, coloured by class; the circle holds 95 % of the prior. The axes "
            "have different scales.",
        ),
        Numbers(numbers),
        Numbers(_terms(coded, train), "Both terms of the loss after training"),
    ]
    return Section(
        "Codes by class: reconstruction only, KL only, both",
        [
            "Four models with a code of two numbers: an autoencoder, and a VAE trained with the "
            "reconstruction term only, the KL term only, and both. With the reconstruction alone "
            "the classes separate, but their codes lie anywhere. With the KL alone every image "
            "has the same distribution of codes, the prior, and the codes say nothing. With both "
            "the classes stay separate and are packed around 0.",
            "A minimum of the sum has a larger reconstruction error than the minimum of that term "
            "alone, and a larger KL than the minimum of the KL alone.",
        ],
        [
            "\\underbrace{-E_{q(z | x)} \\log p(x | z)}_{\\text{reconstruction}} + "
            "\\underbrace{\\mathrm{KL}(q(z | x), N(0, I))}_{\\text{KL}}",
        ],
        parts,
        "ptheta train vae --data digits --levels 2 --latent 2 --beta 0 --out runs/free\n"
        "ptheta train vae --data digits --levels 2 --latent 2 --kl-only --out runs/kl\n"
        "ptheta train vae --data digits --levels 2 --latent 2 --out runs/both\n"
        "ptheta learn autoencoders --runs runs/free --runs runs/kl --runs runs/both "
        "--out page.html",
    )


def _terms(coded: dict[str, Coded], train: Dataset) -> list[Number]:
    """Reconstruction and KL of training images, whose sum was minimised, and their order."""
    x = train.batch(slice(0, 2000)).x
    found = {
        one.name: _measured(one.model, x) for one in coded.values() if isinstance(one.model, VAE)
    }
    numbers = []
    order = {"reconstruction": ("reconstruction only", "both"), "KL": ("KL only", "both")}
    for i, (term, (alone, together)) in enumerate(order.items()):
        least = found[alone][i] if alone in found else None
        for name, values in found.items():
            bound = least if name == together else None
            how = f"theory: that of {alone}" if bound is not None else ""
            numbers.append(Number(f"{name}: {term}, nats", values[i], bound, 0.0, ">=", how))
    return numbers


@torch.no_grad()
def _measured(model: VAE, x: Tensor) -> tuple[float, float]:
    """Means of both terms, nats."""
    with seeded(0):
        q = model.posterior(x)
        terms = model.negative_elbo(x, q)
    kl = kl_standard_normal(q.mean, q.log_var).sum(1)
    return float(terms["reconstruction"].mean()), float(kl.mean())


def _draw_codes(coded: Sequence[Coded], axes: Sequence[Axes]) -> None:
    for axis, one in zip(axes, coded, strict=True):
        points, labels = one.seen.plane.of(one.seen.drawn), one.labels
        for k in range(int(labels.max()) + 1):
            some = points[labels == k]
            colour = COLOURS[k % len(COLOURS)]
            axis.scatter(some[:, 0], some[:, 1], s=4, color=colour, lw=0, rasterized=True)
            middle = some.median(0).values
            axis.text(
                float(middle[0]),
                float(middle[1]),
                str(k),
                fontsize=11,
                weight="bold",
                color="black",
            )
        _prior_circle(axis, one)
        label(axis, "", "", one.name)


def _prior_circle(axis: Axes, one: Coded) -> None:
    if one.seen.prior is not None and one.seen.plane.dims is not None:
        radius = 2 * math.sqrt(-2 * math.log(0.05))  # the diameter that holds 95 % of N(0, I)
        axis.add_patch(Ellipse((0, 0), radius, radius, fill=False, color=GREY, lw=1.2))


# -- posteriors


def _ellipses(coded: dict[str, Coded]) -> Section:
    shown = [one for one in coded.values() if one.seen.codes.std is not None]
    numbers = []
    for one in shown:
        mean, std = one.seen.codes.z, one.seen.codes.std
        assert std is not None
        within = float(std.square().mean())
        total = float(mean.var(0).mean()) + within
        theory = {"KL only": (1.0, 0.01), "reconstruction only": (0.0, 0.01)}.get(one.name)
        numbers += [
            Number(f"{one.name}: largest |mean| of a posterior", float(mean.abs().max())),
            Number(f"{one.name}: median standard deviation of a posterior", float(std.median())),
            Number(
                f"{one.name}: share of the variance of q(z) that is within posteriors",
                within / total,
                None if theory is None else theory[0],
                0.0 if theory is None else theory[1],
            ),
        ]
    parts: list[Part] = [Numbers(numbers)]
    if shown:
        drawing = figure(
            partial(_draw_ellipses, shown),
            "Posteriors as ellipses of two standard deviations, coloured by class",
            count=len(shown),
            width=3.6 * len(shown),
            height=3.6,
        )
        caption = (
            f"The posteriors of {ELLIPSES} images: ellipses of two standard deviations, coloured "
            "by class. With the reconstruction alone they are points."
        )
        parts.insert(0, Figure(drawing, caption))
    return Section(
        "What the encoder ends up with",
        [
            "Without the KL term nothing stops the encoder from moving the means apart and making "
            "the deviations small: the VAE becomes an autoencoder. The KL term charges for both. "
            "Posteriors of similar images then overlap, and the decoder must give similar images "
            "for all codes in the overlap.",
            "The variance of all codes is that of the means plus the mean variance of a "
            "posterior. The second share is 0 for an autoencoder and 1 if codes say nothing.",
        ],
        [
            "\\mathrm{KL}(N(\\mu, \\sigma^2), N(0, 1)) = "
            "\\tfrac12 (\\mu^2 + \\sigma^2 - \\log \\sigma^2 - 1)",
            "\\mathrm{Var}[z] = \\mathrm{Var}[\\mu(x)] + E[\\sigma^2(x)]",
        ],
        parts,
        "ptheta latents runs/both --out latents.png\nptheta scatter runs/both --out scatter.png",
    )


def _draw_ellipses(shown: Sequence[Coded], axes: Sequence[Axes]) -> None:
    for axis, one in zip(axes, shown, strict=True):
        std = one.seen.codes.std
        assert std is not None
        places = one.seen.points[:ELLIPSES]
        covariances = one.seen.plane.covariances(std[:ELLIPSES])
        for place, covariance, k in zip(places, covariances, one.labels, strict=False):
            values, vectors = torch.linalg.eigh(covariance)
            angle = math.degrees(math.atan2(float(vectors[1, 1]), float(vectors[0, 1])))
            size = (4 * values.clamp_min(0).sqrt()).tolist()
            colour = COLOURS[int(k) % len(COLOURS)]
            axis.add_patch(
                Ellipse(
                    (float(place[0]), float(place[1])),
                    size[1],
                    size[0],
                    angle=angle,
                    color=colour,
                    alpha=0.35,
                    lw=0,
                )
            )
        axis.plot(places[:, 0], places[:, 1], ".", color=GREY, ms=2)
        _prior_circle(axis, one)
        axis.autoscale()
        label(axis, "", "", one.name)


# -- holes


def _holes(coded: dict[str, Coded]) -> Section:
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


def _between(coded: dict[str, Coded], asked: Asked, train: Dataset, test: Dataset) -> Section:
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
            "theory: no code is further away",
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


# -- the size of the code


@dataclass(frozen=True)
class Sized:
    """Mean squared errors of a pixel, white - black = 1, by the size of the code.

    Attributes:
        principal: Of principal components, on training images.
        linear: Of the linear autoencoder, on training images.
        test: By model, on test images.
        fade: Largest difference between what the linear autoencoder makes of the middle of two
            codes and the mean of what it makes of both.
    """

    principal: dict[int, float]
    linear: dict[int, float]
    test: dict[str, dict[int, float]]
    fade: float


def _sizes(asked: Asked, train: Dataset, test: Dataset) -> Section:
    found = _given_sizes(asked, train, test) if asked.runs else _sized(asked)
    numbers = []
    for size, least in found.principal.items():
        numbers.append(
            Number(
                f"linear autoencoder, {size} numbers: error per pixel",
                found.linear[size],
                least,
                0.0,
                ">=",
                f"{100 * (found.linear[size] / least - 1):.1f} % above principal components",
            )
        )
    if found.linear:
        name = "linear autoencoder: middle of two codes, minus the mean of both images"
        how = "largest of all pixels: its interpolation is a cross-fade"
        numbers.append(Number(name, found.fade, 0.0, 1e-4, how=how))
    rows = [
        [
            str(size),
            *(f"{errors[size]:.4f}" if size in errors else "" for errors in found.test.values()),
        ]
        for size in sorted({size for errors in found.test.values() for size in errors})
    ]
    return Section(
        "Error against the size of the code",
        [
            "Principal components are the linear code with the least squared error, and a linear "
            "autoencoder can do no better on the images it was fitted to. It finds them slowly: "
            "gradient descent learns directions of little variance last. With hidden layers, a "
            "short code has a smaller error than principal components. With a long code and this "
            "short training the difference vanishes.",
        ],
        [
            "\\min_{W, V} \\sum_i |x_i - V W x_i|^2 = n \\sum_{j > k} \\lambda_j, \\qquad "
            "\\lambda_j \\text{: eigenvalues of the covariance}",
        ],
        [
            Figure(
                figure(
                    partial(_draw_sizes, found.test),
                    "Error of test images against the size of the code",
                    width=5.6,
                ),
                "Mean squared error of a pixel of test images, white - black = 1.",
            ),
            Table(("numbers", *found.test), rows, "Mean squared error of test images"),
            *([Numbers(numbers, "On training images")] if numbers else []),
        ],
        "ptheta train ae --data digits --latent 8 --out runs/ae-8\n"
        "ptheta train ae --recipe pca --data digits --latent 8 --out runs/linear-8\n"
        "ptheta reconstruct runs/ae-8 --out pairs.png    # its error, and that of PCA",
    )


def _sized(asked: Asked) -> Sized:
    train, test = (ptheta.open_data("digits", part) for part in ("train", "test"))
    x, held = train.batch(slice(None)).x, test.batch(slice(None)).x
    components = Principal.of(x)
    u, mean, axes = to_unit(x).flatten(1).double(), components.mean, components.axes
    whole = float((u - mean).square().mean())
    along = ((u - mean) @ axes).square().mean(0) / u.shape[1]
    principal = {size: whole - float(along[:size].sum()) for size in SIZES}
    errors: dict[str, dict[int, float]] = {"principal components": {}}
    for size in SIZES:
        errors["principal components"][size] = _error(components.image(held, size), held)
    linear, fade = {}, 0.0
    for name, training in (("linear autoencoder", LINEAR), ("two hidden layers", DEEP)):
        errors[name] = {}
        for size in SIZES:
            model = training.sized(size).run(
                train, asked.number(f"{name}{size}"), f"{name}, {size} numbers"
            )
            errors[name][size] = _error(reconstruct(model, held), held)
            if training is LINEAR:
                linear[size], fade = _linear(model, x)
    return Sized(principal, linear, errors, fade)


def _given_sizes(asked: Asked, train: Dataset, test: Dataset) -> Sized:
    """Of the runs, and principal components of the same sizes."""
    held = test.batch(slice(None)).x
    components = Principal.of(train.batch(slice(None)).x)
    errors: dict[str, dict[int, float]] = {"principal components": {}}
    for run in asked.runs:
        model = run.model()
        size = encode(model, held[:2]).z.shape[1]
        errors[run.name] = {size: _error(reconstruct(model, held), held)}
        errors["principal components"][size] = _error(components.image(held, size), held)
    return Sized({}, {}, errors, 0.0)


@torch.no_grad()
def _linear(model: Model, x: Tensor) -> tuple[float, float]:
    """Error before rounding; and `Sized.fade`."""
    assert isinstance(model, Autoencodes)
    assert isinstance(model, Generates)
    z = model.encode(x)
    made = (model.generated(z) + 1) / 2
    error = float((made.double() - to_unit(x).double()).square().mean())
    middle = (model.generated((z[:50] + z[50:100]) / 2) + 1) / 2
    return error, float((middle - (made[:50] + made[50:100]) / 2).abs().max())


def _error(a: Tensor, b: Tensor) -> float:
    return float((to_unit(a) - to_unit(b)).square().mean())


def _draw_sizes(errors: dict[str, dict[int, float]], axes: Sequence[Axes]) -> None:
    for (name, found), colour in zip(errors.items(), COLOURS, strict=False):
        axes[0].plot([*found], [*found.values()], "o-", ms=4, color=colour, label=name)
    axes[0].set_xscale("log", base=2)
    axes[0].set_xticks(SIZES, [str(size) for size in SIZES])
    axes[0].set_ylim(bottom=0)
    axes[0].legend(fontsize=8, frameon=False)
    label(axes[0], "numbers in the code", "error per pixel")
