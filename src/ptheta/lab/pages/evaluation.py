"""Evaluation without a likelihood: what each score compares, and what it does not see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from sklearn.cluster import KMeans
from torch import Tensor

import ptheta
from ptheta.capabilities import Samples
from ptheta.data.dataset import Dataset
from ptheta.extractors.classifiers import Trained, to_grey
from ptheta.extractors.features import extract
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Section, Table
from ptheta.lab.trained import given
from ptheta.measures import frechet
from ptheta.measures.inception_score import class_score
from ptheta.measures.kernel import kernel_distance
from ptheta.measures.memorisation import copied_share, nearest
from ptheta.measures.two_sample import two_sample
from ptheta.models.mixtures.kde import WINDOWS
from ptheta.report.plots import picture
from ptheta.runs.folder import Run
from ptheta.tasks.neighbours import nearest_pairs
from ptheta.tasks.sample import sample

N = 1000  # images of each set
FITTED = 5000  # training images that distances are taken to
EXAMPLE = "example:gan"
REAL, COPIES, ONE, NOISE, FOOLING = (
    "test digits",
    "copies of training digits",
    "one image of each class",
    "noise",
    "noise made for the classifier",
)
OTHERS = ("Gaussian draws", "k-means centres")
REAL_SCORE = "theory: of test digits"
WIDTHS = (0.08, 0.11, 0.15, 0.2, 0.27)  # of Parzen windows, white - black = 1


@dataclass(frozen=True)
class Judged:
    """A set of images, and what the classifier says about them.

    Attributes:
        images: uint8 (N, 1, H, W).
        features: Of the layer before the last, (N, 64).
        logits: Of the classes, (N, 10).
    """

    images: Tensor
    features: Tensor
    logits: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Judged:
        found = extract(images, Trained("digits"))
        assert found.logits is not None
        return cls(images, found.features, found.logits)

    @property
    def p(self) -> Tensor:
        """p(y | x), (N, 10)."""
        return self.logits.double().softmax(1)

    @property
    def entropies(self) -> tuple[float, float]:
        """Mean entropy of p(y | x), and entropy of p(y): nats."""
        p = self.p
        within = torch.special.entr(p).sum(1).mean()
        return float(within), float(torch.special.entr(p.mean(0)).sum())

    @property
    def score(self) -> float:
        return class_score(self.logits, 1)[0]


def page(asked: Asked) -> Page:
    train, test = (ptheta.open_data("digits", part, levels=4) for part in ("train", "test"))
    sets = _sets(asked, train, test)
    judged = {name: Judged.of(images) for name, images in sets.items()}
    real = Judged.of(train.shuffled(asked.number("fitted")).batch(slice(0, FITTED)).x)
    return Page(
        "Evaluation without a likelihood",
        "Scores of samples compare a few properties of two distributions. Each has blind spots, "
        "which can be made and seen.",
        [
            _score(judged, asked),
            _blind(judged),
            _frechet(judged, real, asked),
            _memorised(judged, train, test, asked),
            _parzen(judged, train, test, asked),
        ],
        [
            "Salimans et al. 2016, arXiv:1606.03498 (the Inception score)",
            "Barratt & Sharma 2018, arXiv:1801.01973 (its blind spots)",
            "Heusel et al. 2017, arXiv:1706.08500 (the Frechet distance)",
            "Theis, van den Oord, Bethge 2016, arXiv:1511.01844 (Parzen windows)",
        ],
    )


def _sets(asked: Asked, train: Dataset, test: Dataset) -> dict[str, Tensor]:
    source = asked if asked.runs else Asked(runs=[Run.open(EXAMPLE)])
    own = (REAL, COPIES, ONE, NOISE, FOOLING, *OTHERS)
    runs = given(source, "evaluation", Samples, "draw samples", train, own)
    rng = asked.rng("sets")
    seed = int(rng.integers(2**31))
    ones = train.shuffled(seed).batch(slice(0, N))
    noise = torch.from_numpy(rng.integers(0, 4, (N, *train.spec.shape)) * 85).to(torch.uint8)
    return {
        REAL: test.shuffled(seed).batch(slice(0, N)).x,
        COPIES: ones.x,
        ONE: clearest(ones.x).repeat(N // 10, 1, 1, 1),
        NOISE: noise,
        FOOLING: fooling(noise[:200]).repeat(N // 200, 1, 1, 1),
        **{one.name: sample(one.model, N, seed=seed) for one in runs},
    }


def clearest(x: Tensor) -> Tensor:
    """The image of each class that the classifier is most certain of, (10, 1, H, W)."""
    return x[Judged.of(x).logits.log_softmax(1).argmax(0)]


def fooling(noise: Tensor) -> Tensor:
    """Images of which a classifier of digits is certain, by gradient ascent from noise: each gets a
    class in turn. uint8 (N, 1, H, W)."""
    network = Trained("digits").network
    u = to_grey(noise).clone().requires_grad_()
    wanted = torch.arange(len(u)) % 10
    for _ in range(30):
        _, logits = network(u)
        loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
        (slope,) = torch.autograd.grad(loss, u)
        u = (u - 0.04 * slope.sign()).clamp(0, 1).detach().requires_grad_()
    return (u.detach() * 255).round().to(torch.uint8)


# -- the score


def _score(judged: Mapping[str, Judged], asked: Asked) -> Section:
    numbers = []
    for name, one in judged.items():
        within, marginal = one.entropies
        numbers.append(
            Number(
                f"{name}: score",
                one.score,
                math.exp(marginal - within),
                1e-6,
                how="theory: by the two entropies",
            )
        )
    numbers += [
        Number("largest score of all", max(j.score for j in judged.values()), 10.0, 1e-6, "<="),
        Number("smallest score of all", min(j.score for j in judged.values()), 1.0, 1e-6, ">="),
    ]
    rows = [
        (name, f"{one.entropies[0]:.3f}", f"{one.entropies[1]:.3f}", f"{one.score:.2f}")
        for name, one in judged.items()
    ]
    shown = [name for name in judged if name not in (ONE, COPIES)][:4]
    return Section(
        "p(y | x) and p(y)",
        [
            "A classifier reads each sample. A good sample has a clear class, so that p(y | x) has "
            "little entropy. Varied samples have all classes equally often, so that p(y), the mean "
            "of p(y | x), has much. The score is the exponential of the difference, which is the "
            "information of a sample about its class: between 1 and the number of classes.",
            *([] if asked.runs else [f"The samples named gan are those of the run `{EXAMPLE}`."]),
        ],
        [
            "\\mathrm{score} = \\exp E_x \\mathrm{KL}(p(y | x), p(y)) = "
            "\\exp\\left(H(p(y)) - E_x H(p(y | x))\\right)",
        ],
        [
            Figure(
                figure(
                    partial(_draw_bars, [(name, judged[name]) for name in shown]),
                    "p(y | x) of one image and p(y) of each set",
                    count=len(shown),
                    width=2.7 * len(shown),
                    height=2.7,
                ),
                "Blue: p(y | x) of the first image of the set. Grey: p(y) of the set.",
            ),
            Table(("images", "mean H(p(y | x)), nats", "H(p(y)), nats", "score"), rows),
            Numbers(numbers),
        ],
        "ptheta evaluate example:gan    # score_digits, classes, missing_classes",
    )


def _draw_bars(shown: Sequence[tuple[str, Judged]], axes: Sequence[Axes]) -> None:
    for axis, (name, one) in zip(axes, shown, strict=True):
        axis.bar(np.arange(10), one.p.mean(0), color=GREY, width=0.9)
        axis.bar(np.arange(10), one.p[0], color=COLOURS[0], width=0.4)
        axis.set(ylim=(0, 1.03), xticks=range(10))
        label(axis, "class y", "", name)


# -- its blind spots


def _blind(judged: Mapping[str, Judged]) -> Section:
    real = judged[REAL].score
    error = class_score(judged[REAL].logits, 10)[1] + class_score(judged[COPIES].logits, 10)[1]
    shown = (REAL, ONE, FOOLING, COPIES)
    rows = torch.cat([judged[name].images[:10] for name in shown])
    return Section(
        "What the score does not see",
        [
            "One image of each class, repeated, has the highest possible score if the classifier "
            "is certain of each, as it is of these: the score does not see variety within a class. "
            "Copies of the training images score as new images do: it does not see memorisation. "
            "And it only knows what its classifier knows: noise that was changed until the "
            "classifier is certain scores better than real digits.",
        ],
        [],
        [
            Figure(
                lambda: picture(rows, 10, 420, captions=list(shown)),
                "The first ten images of four sets.",
            ),
            Numbers(
                [
                    Number(f"{ONE}: score", judged[ONE].score, real, 0.0, ">=", REAL_SCORE),
                    Number(f"{FOOLING}: score", judged[FOOLING].score, real, 0.0, ">=", REAL_SCORE),
                    Number(
                        f"{COPIES}: score",
                        judged[COPIES].score,
                        real,
                        max(4.5 * error, 0.25),
                        how="theory: of new real images",
                    ),
                    Number(f"{NOISE}: score", judged[NOISE].score, real, 0.0, "<="),
                ]
            ),
        ],
        "ptheta evaluate example:gan    # rows of the baselines: training set, copied",
    )


# -- the Frechet distance


def _frechet(judged: Mapping[str, Judged], real: Judged, asked: Asked) -> Section:
    target = frechet.fit(real.features)
    distances = {
        name: frechet.frechet(frechet.fit(one.features), target) for name, one in judged.items()
    }
    twin = alike(judged[REAL].features, asked.number("alike"))
    named = {n: one.features for n, one in judged.items() if n in (REAL, *[*judged][5:])}
    named["Gaussian draws"] = twin
    rows = [
        (name, f"{value:.3f}", f"{judged[name].score:.2f}") for name, value in distances.items()
    ]
    return Section(
        "What the Frechet distance compares",
        [
            "The distance takes the features of a classifier, and of these only the mean and the "
            "covariance: it is the distance between two Gaussians. It sees missing variety, "
            "which the score does not see. It does not see how features are distributed beyond "
            "their covariance: draws of a Gaussian that were given the mean and the covariance of "
            "real images have distance 0 from them, and a nearest-neighbour test separates the "
            "two. With fewer images it is larger, although nothing else changes.",
        ],
        [
            "d^2 = |m_1 - m_2|^2 + \\mathrm{tr}\\left(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\\right)",
        ],
        [
            Figure(
                figure(
                    partial(_draw_features, named),
                    "Two features of real images, samples, and Gaussian draws, with ellipses",
                    count=len(named),
                    width=3.1 * len(named),
                    height=3.1,
                ),
                "Two principal directions of the features. The ellipse of two standard deviations "
                "is all that the distance sees.",
            ),
            Table(("images", "Frechet distance to training digits", "score"), rows),
            Numbers(_frechet_numbers(judged, distances, twin, asked)),
        ],
        "ptheta evaluate example:gan    # fd_digits, kd_digits",
    )


def _frechet_numbers(
    judged: Mapping[str, Judged], distances: Mapping[str, float], twin: Tensor, asked: Asked
) -> list[Number]:
    h = judged[REAL].features.double()
    own, rng = frechet.fit(h), asked.rng("moved")
    moved, factor = torch.from_numpy(rng.normal(size=h.shape[1])), float(rng.uniform(1.1, 1.5))
    spread = float(own.mean.square().sum() + own.root.square().sum())
    apart = two_sample(_whitened(twin, h), _whitened(h, h), permutations=0)
    kernel, error = kernel_distance(twin.double(), h)
    few = frechet.frechet(frechet.fit(h[:100]), frechet.fit(judged[COPIES].features))
    many = frechet.frechet(own, frechet.fit(judged[COPIES].features))
    tolerance = 1e-6 * spread
    return [
        Number(
            "test digits, all features moved by a vector v",
            frechet.frechet(own, frechet.fit(h + moved)),
            float(moved.square().sum()),
            tolerance,
            how="theory: $|v|^2$",
        ),
        Number(
            f"test digits, all features times s = {factor:.3f}",
            frechet.frechet(own, frechet.fit(factor * h)),
            (factor - 1) ** 2 * spread,
            tolerance,
            how="theory: $(s - 1)^2 (|m|^2 + \\mathrm{tr}\\, C)$",
        ),
        Number("Gaussian draws", frechet.frechet(own, frechet.fit(twin)), 0.0, tolerance),
        Number(
            "Gaussian draws: kernel distance, which sees third moments",
            kernel,
            0.0,
            0.0,
            ">=",
            f"standard error {error:.2g}",
        ),
        Number(
            "Gaussian draws: area under the curve of a nearest-neighbour test",
            apart.scores.auc,
            0.5,
            0.0,
            ">=",
            "theory: 0.5 if nothing separates them",
        ),
        Number(
            f"{ONE}: distance", distances[ONE], distances[REAL], 0.0, ">=", "theory: of real images"
        ),
        Number(
            "100 real images against 1,000 others",
            few,
            many,
            0.0,
            ">=",
            "theory: of 1,000 against these",
        ),
    ]


def alike(h: Tensor, seed: int) -> Tensor:
    """Gaussian draws (N, d) with exactly the mean and the covariance of features h (N, d)."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(h.shape, generator=generator, dtype=torch.float64)
    z = z - z.mean(0)
    white = torch.linalg.solve_triangular(_lower(z.T.cov()), z.T, upper=False).T
    h = h.double()
    made: Tensor = h.mean(0) + white @ _lower(h.T.cov()).T
    return made


def _lower(covariance: Tensor) -> Tensor:
    ridge = 1e-12 * covariance.diag().mean() * torch.eye(len(covariance), dtype=torch.float64)
    lower: Tensor = torch.linalg.cholesky(covariance + ridge)
    return lower


def _whitened(x: Tensor, by: Tensor) -> Tensor:
    return (x.double() - by.double().mean(0)) / by.double().std(0).clamp_min(1e-9)


def _draw_features(named: Mapping[str, Tensor], axes: Sequence[Axes]) -> None:
    first = next(iter(named.values())).double()
    _, vectors = torch.linalg.eigh(first.T.cov())
    plane, centre = vectors[:, -2:].flip(1), first.mean(0)
    limit = 1.2 * float(((first - centre) @ plane).abs().max())
    for axis, (name, h), colour in zip(axes, named.items(), COLOURS, strict=False):
        points = (h.double() - centre) @ plane
        axis.scatter(points[:, 0], points[:, 1], s=3, color=colour, lw=0, rasterized=True)
        values, turned = torch.linalg.eigh(points.T.cov())
        angle = math.degrees(math.atan2(float(turned[1, 1]), float(turned[0, 1])))
        size = (4 * values.sqrt()).tolist()
        middle = points.mean(0).tolist()
        axis.add_patch(
            Ellipse(
                (middle[0], middle[1]), size[1], size[0], angle=angle, fill=False, color=GREY, lw=2
            )
        )
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit))
        label(axis, "", "", name)


# -- memorisation


def _memorised(
    judged: Mapping[str, Judged], train: Dataset, test: Dataset, asked: Asked
) -> Section:
    names = [REAL, COPIES, *[*judged][5:]]
    distances = {name: nearest(judged[name].images[:300], train)[1] for name in names}
    others = test.shuffled(asked.number("others")).batch(slice(0, 500)).x
    unseen = nearest(others, train)[1]
    numbers = []
    for name, found in distances.items():
        share, _ = copied_share(found, unseen)
        theory = {COPIES: 1.0, REAL: 0.01}.get(name)
        numbers += [
            Number(f"{name}: median distance to the nearest", float(found.median())),
            Number(f"{name}: share of copies", share, theory, 0.0 if name == COPIES else 0.035),
        ]
    pairs = [nearest_pairs(judged[name].images[:8], train).flatten(0, 1) for name in names]
    rows = torch.cat([torch.cat([p[0::2], p[1::2]]) for p in pairs])
    captions = [text for name in names for text in (name, "nearest in training")]
    return Section(
        "Nearest neighbours and memorisation",
        [
            "A sample is a copy if it is as near to a training image as only 1 % of new images "
            "are. The share of copies is 1 for copies, 0.01 for new images, and should be no more "
            "for a model. Distances are root mean squares over pixels, of 255.",
        ],
        [],
        [
            Figure(
                lambda: picture(rows, 8, 420, captions=captions),
                "Samples, and below each the nearest training image.",
            ),
            Numbers(numbers),
        ],
        "ptheta neighbours example:gan --out pairs.png",
    )


# -- Parzen windows


def parzen(
    centres: Tensor, x: Tensor, chosen: Tensor, widths: Sequence[float]
) -> tuple[float, float]:
    """(mean log p of points x (M, D), nats; the width) by Gaussian windows around centres (N, D),
    of the width that gives other points `chosen` the largest likelihood."""
    window, unit = WINDOWS["gaussian"], torch.ones(centres.shape[1], dtype=centres.dtype)

    def mean_of(points: Tensor, width: float) -> float:
        distance, there = window.distances(points, centres, unit)
        each = window.log_kernel(distance, there, torch.tensor(width, dtype=centres.dtype))
        return float((each.logsumexp(1) - math.log(len(centres))).mean())

    best = max(widths, key=lambda width: mean_of(chosen, width))
    return mean_of(x, best), best


def _parzen(judged: Mapping[str, Judged], train: Dataset, test: Dataset, asked: Asked) -> Section:
    seed = asked.number("parzen")
    x, chosen = _flat(test.shuffled(seed).batch(slice(0, 1000)).x).split(500)
    every = _flat(train.batch(slice(None)).x)
    means = KMeans(N, init="random", n_init=1, max_iter=5, random_state=seed).fit(every.numpy())
    centres = {name: _flat(judged[name].images) for name in (COPIES, *[*judged][5:])}
    centres["k-means centres"] = torch.from_numpy(means.cluster_centers_)
    found = {name: parzen(c, x, chosen, WIDTHS)[0] for name, c in centres.items()}
    numbers = [
        Number(
            "k-means centres: log-likelihood, nats",
            found["k-means centres"],
            found[COPIES],
            0.0,
            ">=",
            "theory: of real images",
        ),
        *(
            Number(
                f"{name}: log-likelihood, nats",
                found[name],
                None if asked.runs else found[COPIES],  # blurred samples may have more
                0.0,
                "<=",
                "" if asked.runs else "theory: of real images",
            )
            for name in [*judged][5:]
        ),
    ]
    shown = torch.from_numpy(means.cluster_centers_[:10]).clamp(0, 1)
    rows = torch.cat([judged[name].images[:10] for name in (COPIES, *[*judged][5:])])
    rows = torch.cat([rows, (255 * shown).round().to(torch.uint8).view(-1, *train.spec.shape)])
    return Section(
        "Parzen windows rank nonsense",
        [
            f"A Gaussian window around each of {N:,} samples gives a density, and the mean log p "
            "of test images under it was long used as a likelihood of models without one. By this "
            "number, the centres that k-means finds are better than real images: there "
            "is no better model than the data, so that the number does not measure the model.",
            "Below, the density is known: a Gaussian in D dimensions. The windows are "
            "around its own draws, with the best width. On average the estimate is below the "
            "truth, and the gap grows with the number of dimensions.",
        ],
        ["\\log p(x) \\approx \\log \\frac1N \\sum_{i=1}^N \\mathcal{N}(x; x_i, h^2 I)"],
        [
            Figure(
                lambda: picture(rows, 10, 420, captions=[*found]),
                "The first ten centres of each set.",
            ),
            Numbers(numbers, "Mean log p of test digits by Parzen windows"),
            Numbers(_known(asked), "Where the truth is known"),
        ],
        "ptheta train kde --data digits --out runs/kde",
    )


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).float() / 255


def _known(asked: Asked) -> list[Number]:
    """Parzen estimates of a Gaussian's own mean log-likelihood, which is minus its entropy."""
    generator = asked.generator("known")
    numbers = []
    for dims in (1, 5, 20, 50):
        deviation = 0.5 + torch.rand(dims, generator=generator, dtype=torch.float64)
        drawn = deviation * torch.randn(4500, dims, generator=generator, dtype=torch.float64)
        centres, x, chosen = drawn.split([2000, 2000, 500])
        found, _ = parzen(centres, x, chosen, np.geomspace(0.05, 1.5, 12).tolist())
        truth = -float((0.5 * math.log(2 * math.pi * math.e) + deviation.log()).sum())
        error = 4.5 * math.sqrt(dims / 2 / 2000)
        numbers.append(
            Number(f"D = {dims}: Parzen estimate of the true model", found, truth, error, "<=")
        )
    return numbers
