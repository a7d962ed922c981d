"""Codes by class and their posteriors: two sections of the page on autoencoders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from torch import Tensor, nn

from ptheta.capabilities import Decodes
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.distributions.kl import kl_standard_normal
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Part, Section
from ptheta.measures.planes import by_neighbour
from ptheta.models.variational.vae import VAE
from ptheta.tasks.codes import encode
from ptheta.tasks.scatter import Scatter

ELLIPSES = 150
SE = 4.5  # standard errors within which a share lies


@dataclass(frozen=True)
class Coded:
    """A model and the codes of the test images.

    Attributes:
        name: What the page calls it.
        model: Encodes and decodes.
        seen: Codes in a plane.
        labels: Of the images, (N,).
        given: Whether it is a run that was given, about which theory says less.
    """

    name: str
    model: nn.Module
    seen: Scatter
    labels: Tensor
    given: bool = False

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


# -- codes by class


def is_given(coded: dict[str, Coded]) -> bool:
    """Whether the models are given runs."""
    return any(one.given for one in coded.values())


def codes(coded: dict[str, Coded], train: Dataset) -> Section:
    parts: list[Part] = [
        Figure(
            figure(
                partial(_draw_codes, list(coded.values())),
                "Codes of test images coloured by class, for each model",
                count=len(coded),
                width=2.9 * len(coded),
                height=3.3,
            ),
            "Codes of test images, coloured by class; the circle holds 95 % of N(0, I). The axes "
            "have different scales.",
        ),
        Numbers([n for one in coded.values() for n in _shares(one)]),
    ]
    if terms := _terms(coded, train):
        parts.append(Numbers(terms, "Both terms of the loss after training"))
    four = (
        "Four models with a code of two numbers: an autoencoder, and a VAE trained with the "
        "reconstruction term only, the KL term only, and both."
    )
    shown = "The given runs, and what their training says of them."
    return Section(
        "Codes by class" + ("" if is_given(coded) else ": reconstruction only, KL only, both"),
        [
            f"{shown if is_given(coded) else four} With the reconstruction alone "
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


def _shares(one: Coded) -> list[Number]:
    """How many codes have a neighbour of their class, and how many lie where the prior does."""
    share = by_neighbour(one.seen.drawn, one.labels)
    chance = float((torch.bincount(one.labels).double() / len(one.labels)).square().sum())
    known = chance if one.name == "KL only" else None
    error = SE * math.sqrt(chance * (1 - chance) / len(one.labels))
    how = "theory: by chance" if known is not None else ""
    name = f"{one.name}: nearest code has the same class"
    numbers = [Number(name, share.value, known, error, "=", how)]
    overlap = one.seen.overlap()
    if overlap is not None:
        name = f"{one.name}: share of codes in the region that holds 95 % of the prior"
        known = 0.95 if one.name == "KL only" else None
        numbers.append(Number(name, overlap[0].value, known, 0.03))
    return numbers


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


def ellipses(coded: dict[str, Coded]) -> list[Section]:
    """None for models without posteriors."""
    shown = [one for one in coded.values() if one.seen.codes.std is not None]
    if not shown:
        return []
    drawing = figure(
        partial(_draw_ellipses, shown),
        "Posteriors as ellipses of two standard deviations, coloured by class",
        count=len(shown),
        width=3.6 * len(shown),
        height=3.6,
    )
    caption = (
        f"The posteriors of {ELLIPSES} images: ellipses of two standard deviations, coloured by "
        "class. With the reconstruction alone they are points."
    )
    section = Section(
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
        [Figure(drawing, caption), Numbers([n for one in shown for n in _posteriors(one)])],
        "ptheta latents runs/both --out latents.png\nptheta scatter runs/both --out scatter.png",
    )
    return [section]


def _posteriors(one: Coded) -> list[Number]:
    mean, std = one.seen.codes.z, one.seen.codes.std
    assert std is not None
    within = float(std.square().mean())
    total = float(mean.var(0).mean()) + within
    theory = {"KL only": (1.0, 0.01), "reconstruction only": (0.0, 0.01)}.get(one.name)
    return [
        Number(f"{one.name}: largest |mean| of a posterior", float(mean.abs().max())),
        Number(f"{one.name}: median standard deviation of a posterior", float(std.median())),
        Number(
            f"{one.name}: share of the variance of q(z) that is within posteriors",
            within / total,
            None if theory is None else theory[0],
            0.0 if theory is None else theory[1],
        ),
    ]


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
