"""Codes of a VAE: which dimensions collapse, what the others do, and the manifold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from ptheta.capabilities import Decodes, HasLayers, HasPosterior
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.distributions.kl import kl_standard_normal
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, GREY, figure, label
from ptheta.lab.parts import Figure, Number, Numbers, Page, Part, Section
from ptheta.lab.trained import Training, given, labelled
from ptheta.report.plots import picture
from ptheta.specs import to_unit
from ptheta.tasks.needs import HasKL
from ptheta.tasks.traverse import traverse
from ptheta.tasks.walks import manifold

LOOKED_AT = 500  # test images by which the KL is averaged
USED = 0.1  # nats, from which a dimension counts as used
DEPTHS = (1, 3, 5, 7)
DEEP = Training("vae", {"latent": 16, "lr": 2e-3}, 700)
FLAT = Training("vae", {"latent": 2, "hidden": (256, 128), "lr": 4e-3}, 1200)
LAYERS: dict[str, object] = {"layers": (16, 8, 4), "hidden": (128,), "units": (64, 32, 16)}
LADDER = Training("ladder-vae", LAYERS | {"lr": 2e-3}, 700)
WIDTH = 0.08  # of p(x | z) of the linear VAE, white - black = 1
DEVIATIONS = (0.16, 0.112, 0.08 * 0.8, *[0.024] * 13)  # of its data, along their axes
LINEAR = Training(
    "vae",
    {
        "net": "linear",
        "likelihood": "gaussian",
        "sigma": "fixed",
        "scale": WIDTH,
        "latent": 6,
        "lr": 5e-2,
    },
    700,
)


def page(asked: Asked) -> Page:
    train, test = labelled(asked, "collapse")
    models = _models(asked, train)
    x = test.shuffled(asked.number("test")).batch(slice(0, LOOKED_AT)).x
    used = {name: use(model, x) for name, model in models.items()}
    sections = [_depth(used, given=bool(asked.runs))]
    if not asked.runs:
        sections += [_linear(asked), _ladder(asked, train, x)]
    name = [*models][min(1, len(models) - 1)]  # of those trained, one with unused dimensions
    sections += [_dimensions(name, models[name], x, used[name], known=not asked.runs)]
    sections += [_manifold(asked, train)]
    return Page(
        "Collapse, dimensions and the manifold",
        "The KL term switches off dimensions of the code that do not pay for themselves. Deeper "
        "networks use fewer, and so do the upper layers of several.",
        sections,
        [
            "Lucas et al. 2019, arXiv:1911.02469 (collapse of linear VAEs, in closed form)",
            "Sonderby et al. 2016, arXiv:1602.02282 (ladder VAE)",
            "Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519 (active units)",
            "Kingma & Welling 2014, arXiv:1312.6114 (figure 4: the manifold)",
        ],
    )


def _models(asked: Asked, train: Dataset) -> dict[str, nn.Module]:
    """VAEs by depth, or the given ones by their names."""
    if asked.runs:
        runs = given(asked, "collapse", HasKL, "give the KL of each dimension", train)
        return {one.name: one.model for one in runs}
    found: dict[str, nn.Module] = {}
    for depth in DEPTHS:
        name = f"{depth} hidden layer{'s' * (depth > 1)}"
        one = replace(DEEP, options=DEEP.options | {"hidden": (128,) * depth})
        found[name] = one.run(train, asked.number(name), name)
    return found


@torch.no_grad()
def use(model: nn.Module, x: Tensor) -> Tensor:
    """Mean KL of each dimension from the prior, nats: (L,)."""
    assert isinstance(model, HasPosterior)
    q = model.posterior(x)
    return kl_standard_normal(q.mean, q.log_var).mean(0)


# -- by depth


def _depth(used: dict[str, Tensor], *, given: bool) -> Section:
    numbers = []
    for name, kl in used.items():
        numbers += [
            Number(f"{name}: KL of all dimensions, nats", float(kl.sum())),
            Number(f"{name}: dimensions with more than 0.1 nats", int((kl > USED).sum())),
        ]
    names = [*used]
    if not given:
        first, last = used[names[0]], used[names[-1]]
        numbers += [
            Number(
                f"dimensions used with {names[-1]}, at most those with {names[0]}",
                int((last > USED).sum()),
                int((first > USED).sum()),
                0.0,
                "<=",
            ),
            Number("the same in nats", float(last.sum()), float(first.sum()), 0.0, "<="),
        ]
    deeper = (
        "VAEs with more hidden layers of 128 units in encoder and decoder, trained for the same "
        f"{DEEP.steps} steps, use fewer dimensions."
    )
    return Section(
        "What each dimension says" if given else "Components collapse with depth",
        [
            "The mean KL of each dimension of the code, sorted. A dimension with a KL of 0 has the "
            "same distribution for every image: it says nothing, and the decoder ignores it. "
            + ("These are the given runs." if given else deeper),
        ],
        ["\\mathrm{KL}_j = E_x\\, \\mathrm{KL}(q(z_j | x), N(0, 1))"],
        [
            Figure(
                figure(
                    partial(_draw_use, used),
                    "KL of each dimension, sorted, for each model",
                    count=len(used),
                    width=2.6 * len(used),
                    height=2.7,
                ),
                "KL of each dimension, sorted; grey below 0.1 nats.",
            ),
            Numbers(numbers),
        ],
        "ptheta train vae --data digits --levels 2 --hidden 128,128,128,128,128 --out runs/deep\n"
        "ptheta train vae --data digits --levels 2 --hidden 128 --out runs/shallow\n"
        "ptheta learn collapse --runs runs/shallow --runs runs/deep --out page.html",
    )


def _draw_use(used: dict[str, Tensor], axes: Sequence[Axes]) -> None:
    top = 1.05 * max(float(kl.max()) for kl in used.values())
    for axis, (name, kl) in zip(axes, used.items(), strict=True):
        values = kl.sort(descending=True).values
        colours = [COLOURS[0] if value > USED else GREY for value in values.tolist()]
        axis.bar(np.arange(len(values)), values, color=colours)
        axis.set(ylim=(0, top))
        label(axis, "dimension", "KL, nats", name)


# -- the linear VAE


def _linear(asked: Asked) -> Section:
    data = linear_data(asked)
    x = data.batch(slice(None)).x
    model = LINEAR.run(data, asked.number("linear"), "linear VAE")
    found = use(model, x).sort(descending=True).values.tolist()
    variances = torch.linalg.eigvalsh(to_unit(x).flatten(1).double().T.cov()).flip(0)
    numbers = []
    for j, value in enumerate(found):
        variance = float(variances[j])
        theory = max(0.0, 0.5 * math.log(variance / WIDTH**2))
        name = f"KL of dimension {j + 1}: $\\lambda / s^2$ = {variance / WIDTH**2:.2f}"
        numbers.append(Number(name, value, theory, 0.03))
    return Section(
        "When a dimension pays: the linear VAE",
        [
            "For a linear VAE whose p(x | z) has the standard deviation s, the best codes are "
            "known in closed form: those of probabilistic PCA. A principal direction of the data "
            "with variance $\\lambda$ gets a dimension of the code if $\\lambda > s^2$; all other "
            "dimensions collapse, and no training can avoid it. The data are images of 4 x 4 "
            "pixels, three directions of which vary.",
        ],
        ["\\mathrm{KL}_j = \\max\\left(0, \\tfrac12 \\log \\frac{\\lambda_j}{s^2}\\right)"],
        [Numbers(numbers)],
        "ptheta train vae --data digits --net linear --likelihood gaussian --sigma fixed "
        "--scale 1 --out runs/linear",
    )


def linear_data(asked: Asked) -> ImageDataset:
    """Images of 4 x 4 pixels with the standard deviations `DEVIATIONS` along random axes."""
    rng = asked.rng("linear data")
    axes, _ = np.linalg.qr(rng.normal(size=(16, 16)))
    u = 0.5 + (rng.normal(size=(5000, 16)) * np.array(DEVIATIONS)) @ axes.T
    images = (255 * u.clip(0, 1)).round().astype(np.uint8).reshape(-1, 1, 4, 4)
    return ImageDataset("linear", "train", images)


# -- layers of codes


def _ladder(asked: Asked, train: Dataset, x: Tensor) -> Section:
    found: dict[str, Tensor] = {}
    for name, up in (("inference from x up", True), ("ladder: from the top down", False)):
        one = replace(LADDER, options=LADDER.options | {"bottom_up": up})
        model = one.run(train, asked.number("ladder"), name)
        assert isinstance(model, HasLayers)
        with torch.no_grad():
            found[name] = model.layer_kl(x).mean(0)
    numbers = [
        Number(f"{name}: KL of layer {i + 1}, nats", float(value))
        for name, kl in found.items()
        for i, value in enumerate(kl)
    ]
    numbers += [
        Number(
            f"{name}: KL of the top layer, at most that of the layer next to x",
            float(kl[-1]),
            float(kl[0]),
            0.0,
            "<=",
        )
        for name, kl in found.items()
    ]
    return Section(
        "Layers of codes",
        [
            "A VAE with three layers of codes. The upper layers say less than the layer next to "
            "x, which can do without them. If inference goes from x up, each layer has to be "
            "inferred from the one below. A ladder VAE infers from the top down, so that each "
            "layer starts from its prior and only corrects it.",
            _compared(*found.values()),
        ],
        ["p(x, z) = p(x | z_1)\\, p(z_1 | z_2)\\, p(z_2 | z_3)\\, p(z_3)"],
        [
            Figure(
                figure(
                    partial(_draw_layers, found),
                    "KL of each layer of codes",
                    count=2,
                    width=6,
                    height=2.7,
                ),
                "KL of each layer; layer 1 is next to x.",
            ),
            Numbers(numbers),
        ],
        "ptheta train ladder-vae --data digits --levels 2 --bottom-up --out runs/up\n"
        "ptheta train ladder-vae --data digits --levels 2 --out runs/ladder\n"
        "ptheta layers runs/ladder --out layers.png",
    )


def _compared(up: Tensor, down: Tensor) -> str:
    """The KL of the layers of both models, (layers,) each, in words."""
    shares = [f"{100 * float(kl[1:].sum() / kl.sum()):.0f} %" for kl in (up, down)]
    return (
        f"After {LADDER.steps} steps the two upper layers have {shares[0]} of the nats if "
        f"inference goes up, and {shares[1]} with a ladder, which has {float(down.sum()):.1f} nats "
        f"in all against {float(up.sum()):.1f}. Sonderby et al. train for hundreds of epochs, with "
        "batch normalisation and with a weight of the KL that rises from 0 (`--batch-norm "
        "--beta-warmup`)."
    )


def _draw_layers(found: dict[str, Tensor], axes: Sequence[Axes]) -> None:
    top = 1.05 * max(float(kl.max()) for kl in found.values())
    for axis, (name, kl) in zip(axes, found.items(), strict=True):
        axis.bar([str(i + 1) for i in range(len(kl))], kl, color=COLOURS[0], width=0.6)
        axis.set(ylim=(0, top))
        label(axis, "layer", "KL, nats", name)


# -- what each dimension does


def _dimensions(
    name: str, model: nn.Module, x: Tensor, kl: Tensor, *, known: bool = True
) -> Section:
    """known: whether the model was trained for long enough that theory says something of it"""
    assert isinstance(model, HasPosterior)
    assert isinstance(model, Decodes)
    order = kl.argsort(descending=True).tolist()
    shown = [*order[:4], order[-1]]
    with torch.no_grad():
        z = model.posterior(x[:1]).mean[0]
        rows = traverse(model, z, shown, steps=9)
        changes = [change(model, z, j) for j in range(len(kl))]
    captions = [f"z{j}: {float(kl[j]):.2f} nats" for j in shown]
    most, least = changes[order[0]], changes[order[-1]]
    return Section(
        "What each dimension of a code does",
        [
            f"One image is encoded by the VAE with {name}, one dimension of its code is changed "
            "from -3 to 3, and the result decoded. The first rows are the dimensions with the "
            "largest KL, the last row the one with the smallest. What a dimension with a KL of 0 "
            "holds does not matter to the image.",
        ],
        [],
        [
            Figure(
                lambda: picture(rows, 9, 420, captions=captions),
                "Each row changes one dimension.",
            ),
            Numbers(
                [
                    Number("root mean square change of a pixel by the first", most),
                    Number("the same by the last", least, most if known else None, 0.0, "<="),
                    Number(
                        "rank correlation of KL and change over all dimensions",
                        _ranked(kl, torch.tensor(changes)),
                        0.0 if known else None,
                        0.0,
                        ">=",
                    ),
                ]
            ),
        ],
        "ptheta traverse runs/vae --out dimensions.png\nptheta latents runs/vae --out kl.png",
    )


def change(model: Decodes, z: Tensor, j: int) -> float:
    """Root mean square difference of the images with -1 and with 1 in dimension j."""
    ends = z.repeat(2, 1)
    ends[0, j], ends[1, j] = -1.0, 1.0
    a, b = to_unit(model.decode(ends))
    return float((a - b).square().mean().sqrt())


def _ranked(a: Tensor, b: Tensor) -> float:
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


# -- the manifold


def _manifold(asked: Asked, train: Dataset) -> Section:
    model: nn.Module = FLAT.run(train, asked.number("manifold"), "two dimensions")
    side = 14
    images = manifold(model, side)
    u = to_unit(images).flatten(1).view(side, side, -1)
    near = float((u[:, 1:] - u[:, :-1]).square().mean().sqrt())
    generator = asked.generator("pairs")
    pairs = torch.randint(side * side, (2, 400), generator=generator)
    flat = u.flatten(0, 1)
    far = float((flat[pairs[0]] - flat[pairs[1]]).square().mean().sqrt())
    parts: list[Part] = [
        Figure(
            lambda: picture(images, side, 480),
            "Images decoded at a grid of two dimensions, with equal prior mass in each cell.",
        ),
        Numbers(
            [
                Number("root mean square difference of neighbours", near, far, 0.0, "<="),
                Number("the same of two cells at random", far),
            ]
        ),
    ]
    return Section(
        "The manifold",
        [
            "A VAE with a code of two numbers maps a plane into the space of images. The grid "
            "divides the prior into cells of equal mass, by quantiles. Neighbours look alike, and "
            "each class has a region.",
        ],
        ["z = (\\Phi^{-1}(a), \\Phi^{-1}(b)), \\qquad a, b \\in (0, 1)"],
        parts,
        "ptheta train vae --data digits --levels 2 --latent 2 --out runs/plane\n"
        "ptheta manifold runs/plane --out manifold.png",
    )
