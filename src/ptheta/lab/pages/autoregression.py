"""Autoregression: the chain rule, what each prediction sees, drawing pixel by pixel, its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

import ptheta
from ptheta import tasks
from ptheta.batch import Batch
from ptheta.compute.streams import seeded
from ptheta.dynamics import DYNAMICS
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label
from ptheta.lab.pages.autoregression_drawing import chosen, cost, drawing
from ptheta.lab.pages.autoregression_masks import contexts, masks
from ptheta.lab.pages.autoregression_models import (
    EXACT,
    NETS,
    SE,
    SINGLE,
    Options,
    every_image,
    noise_images,
    random_model,
)
from ptheta.lab.parts import Figure, Number, Numbers, Page, Section
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.specs import ImageSpec, quantise, to_levels
from ptheta.training.engine import Engine
from ptheta.training.group import Group


def page(asked: Asked) -> Page:
    run = chosen(asked)
    return Page(
        "Autoregression",
        "An image is drawn one pixel after the other, each from a distribution given the pixels "
        "before it. By the chain rule, the product of these distributions is an exact "
        "probability of the whole image.",
        [
            _chain_rule(asked),
            masks(asked),
            contexts(asked),
            drawing(run, asked),
            cost(asked),
            _colours(asked),
        ],
        [
            "van den Oord et al. 2016, arXiv:1601.06759 (PixelCNN, PixelRNN) and "
            "arXiv:1606.05328 (Gated PixelCNN, the blind spot)",
            "Larochelle & Murray 2011 (NADE); Germain et al. 2015, arXiv:1502.03509 (MADE)",
            "Song et al. 2021, arXiv:2002.03629 (sampling by fixed-point iteration)",
        ],
    )


# -- the chain rule


SMALL = ImageSpec(1, 2, 3, 2)


def _chain_rule(asked: Asked) -> Section:
    every = every_image(SMALL)
    table = asked.rng("table").dirichlet(np.full(len(every), 0.5)).reshape((2,) * SMALL.dims)
    order = asked.rng("order").permutation(SMALL.dims).tolist()
    orders = (list(range(SMALL.dims)), order)
    rows = [
        Number(
            f"largest error of a probability, pixels in the order {', '.join(map(str, o))}",
            _error(table, o),
            0.0,
            EXACT,
        )
        for o in orders
    ]
    rows += [_whole(name, options, every, asked) for name, options in NETS.items()]
    model = random_model("nade", SMALL, asked, NETS["nade"])
    rows += _prefix(model, every, asked)
    return Section(
        "The chain rule, by enumeration",
        [
            f"Any distribution is a product of conditionals, in any order of its variables: of a "
            f"random table over all {len(every)} black and white images of 2 x 3 pixels, the "
            "conditionals are ratios of sums, and their product gives the table again.",
            "A model works the other way round. It has a network for the conditionals, and "
            "whatever its weights are, its probabilities of all images add up to 1, since each "
            "conditional does. No normalisation constant is needed, and $\\log p(x)$ is exact. "
            "The models below have random weights.",
        ],
        ["p(x) = \\prod_{i=1}^{D} p(x_i | x_1, \\dots, x_{i-1})"],
        [Figure(_bars(table), "The random table: a probability for each image."), Numbers(rows)],
        "ptheta train nade --data digits --levels 2 --minutes 2 --out runs/nade\n"
        "ptheta density runs/nade",
    )


def _product(table: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The product of the conditionals of a table in an order of its axes."""
    product = np.ones_like(table)
    for i, axis in enumerate(order):
        later = tuple(order[i + 1 :])
        joint = table.sum(later, keepdims=True)
        whole = joint.sum(axis, keepdims=True)
        # where the earlier values never occur, the product is 0 already
        product = product * np.divide(joint, whole, out=np.zeros_like(joint), where=whole > 0)
    return product


def _whole(name: str, options: Options, every: Tensor, asked: Asked) -> Number:
    with torch.no_grad():
        log_p = random_model(name, SMALL, asked, options).log_prob(every).double()
    what = f"`{name}`: sum of the probabilities of all images"
    return Number(what, float(log_p.exp().sum()), 1.0, SINGLE)


def _prefix(model: Autoregressive, every: Tensor, asked: Asked) -> list[Number]:
    """The marginal of the first pixels is the product of their conditionals alone."""
    known = 3
    image = every[int(asked.rng("prefix").integers(len(every)))]
    with torch.no_grad():
        p = model.log_prob(every).double().exp()
        each = model.conditionals(image[None]).log_prob(image[None]).double().flatten()
    same = (every == image).flatten(1)[:, :known].all(1)
    first = Number(
        f"`nade`: probability of the first {known} pixels, as the product of {known} conditionals",
        float(each[:known].sum().exp()),
        float(p[same].sum()),
        SINGLE,
        how=f"theory: sum over the {int(same.sum())} images that begin so",
    )
    u = torch.rand(20_000, *SMALL.shape, generator=asked.generator("samples"))
    return [first, _drawn(model.sample_from_noise(u), every, p)]


def _drawn(drawn: Tensor, every: Tensor, p: Tensor) -> Number:
    """How often the most probable image is drawn."""
    best = int(p.argmax())
    share = float((drawn == every[best]).flatten(1).all(1).float().mean())
    error = math.sqrt(float(p[best] * (1 - p[best])) / len(drawn))
    name = "`nade`: share of the most probable image among 20,000 samples"
    return Number(name, share, float(p[best]), SE * error, how="theory: its probability")


def _bars(table: np.ndarray) -> Callable[[], str]:
    def draw(axes: Sequence[Axes]) -> None:
        axes[0].bar(range(table.size), table.flatten(), color=COLOURS[0])
        label(axes[0], "image", "p(x)")

    return figure(draw, "The probabilities of all images of 2 x 3 pixels", height=2.2)


# -- R, G, B


COLOUR = ImageSpec(3, 1, 1, 4)
PIXELS = 4000


def _colours(asked: Asked) -> Section:
    x = _pixels(asked)
    model = _learned(x, asked)
    return Section(
        "Red, green, blue",
        [
            "A colour pixel is three numbers, and the chain rule orders these as well: green given "
            "red, blue given both. Treating them as independent given the earlier pixels would "
            f"lose what they tell of each other. {len(x):,} pixels of the `shapes` data, of 4 "
            "levels per channel, are learned here by `made` as images of one pixel.",
        ],
        [
            "p(x_i | x_{<i}) = p(r_i | x_{<i}) \\, p(g_i | x_{<i}, r_i) \\, "
            "p(b_i | x_{<i}, r_i, g_i)"
        ],
        [
            Figure(
                _swatches(x, model, asked),
                "Colours of the data, drawn from the chained model, and drawn channel by channel.",
            ),
            Numbers([*_chained(x, model), *_own_colours(asked)]),
        ],
        "ptheta train pixelcnn --data shapes --size 16 --levels 16 --minutes 3 --out runs/colour\n"
        "ptheta context runs/colour --out colour.png",
    )


def _chained(x: Tensor, model: Autoregressive) -> list[Number]:
    """A table of colours and a model of it, against independent channels."""
    levels = to_levels(x, COLOUR.levels).flatten(1).numpy()
    table = np.zeros((COLOUR.levels,) * 3)
    np.add.at(table, tuple(levels.T), 1 / len(levels))
    entropy = _entropy(table)
    alone = sum(_entropy(table.sum(tuple({0, 1, 2} - {c}))) for c in range(3))
    with torch.no_grad():
        cross = float(-model.log_prob(x).double().mean())
        every = float(model.log_prob(every_image(COLOUR)).double().exp().sum())
    orders = {"p(r) p(g | r) p(b | r, g)": (0, 1, 2), "p(b) p(g | b) p(r | g, b)": (2, 1, 0)}
    learned = "`made`, trained: negative log-likelihood, nats per pixel"
    return [
        *(
            Number(f"largest error of ${name}$", _error(table, order), 0.0, EXACT)
            for name, order in orders.items()
        ),
        Number("entropy of the colours, nats per pixel", entropy),
        Number("sum of the entropies of the three channels", alone, entropy, EXACT, ">="),
        Number(learned, cross, entropy, SINGLE, ">=", "theory: the entropy of the colours"),
        Number(
            "the same, against independent channels",
            cross,
            alone,
            0.0,
            "<=",
            "theory: the least that any model of independent channels can reach",
        ),
        Number("`made`: sum of the probabilities of all 64 colours", every, 1.0, SINGLE),
    ]


def _error(table: np.ndarray, order: Sequence[int]) -> float:
    """Of the product of the conditionals in this order."""
    return float(np.abs(_product(table, order) - table).max())


def _own_colours(asked: Asked) -> list[Number]:
    sees = tasks.context(_sighted(asked), noise_images(ImageSpec(3, 5, 5, 4), 8, asked)).colours
    earlier, later = int(sees.tril(-1).sum()), int(sees.triu().sum())
    return [
        Number("`pixelcnn`: pairs of an earlier and a later colour of a pixel, seen", earlier, 3),
        Number("`pixelcnn`: own or later colours seen", later, 0),
    ]


def _pixels(asked: Asked) -> Tensor:
    """Pixels of scenes, uint8 (n, 3, 1, 1), of 4 levels; the empty background is left out."""
    rng = asked.rng("colours")
    scenes = ptheta.open_data("shapes")
    x = scenes.batch(rng.choice(len(scenes), 500, replace=False)).x
    flat = quantise(x, COLOUR.levels).permute(0, 2, 3, 1).reshape(-1, 3)
    flat = flat[(flat != flat[:, :1]).any(1)]  # not grey
    return flat[torch.from_numpy(rng.choice(len(flat), PIXELS, replace=False))][:, :, None, None]


def _entropy(p: np.ndarray) -> float:
    there = p[p > 0]
    return float(-(there * np.log(there)).sum())


def _learned(x: Tensor, asked: Asked) -> Autoregressive:
    """A model of single pixels, trained by the engine."""
    rng = asked.rng("batches")
    with seeded(int(asked.rng("made of colours").integers(2**31))):
        model = ptheta.create("made", COLOUR, hidden=(64,), lr=2e-2)
        assert isinstance(model, Autoregressive)
        game = model.game()
        engine = Engine(model, game, Group())
        for step in range(1, 151):
            batch = Batch(x[torch.from_numpy(rng.integers(0, len(x), 256))])
            DYNAMICS["alternating"].rule(engine, game, step, batch)
    return model.eval()


def _sighted(asked: Asked) -> Autoregressive:
    options = {"features": 12, "blocks": 2, "first_kernel": 3, "head": 12}
    return random_model("pixelcnn", ImageSpec(3, 5, 5, 4), asked, options)


def _swatches(x: Tensor, model: Autoregressive, asked: Asked) -> Callable[[], str]:
    count = 40
    rng = asked.rng("swatches")
    u = torch.rand(count, 3, 1, 1, generator=asked.generator("swatches"))
    some = x[torch.from_numpy(rng.integers(0, len(x), count))]
    mixed = [x[torch.from_numpy(rng.integers(0, len(x), count)), c] for c in range(3)]
    rows = {
        "data": some,
        "chained": model.sample_from_noise(u),
        "independent": torch.stack(mixed, 1),
    }

    def draw(axes: Sequence[Axes]) -> None:
        for i, colours in enumerate(rows.values()):
            for j, colour in enumerate(colours.flatten(1) / 255):
                axes[0].add_patch(Rectangle((j, -i), 0.95, 0.9, color=colour.tolist()))
        axes[0].set(xlim=(0, count), ylim=(-2, 1), xticks=(), yticks=(0.45, -0.55, -1.55))
        axes[0].set_yticklabels(rows)
        axes[0].spines[["left", "bottom"]].set_visible(False)

    return figure(draw, "Colours of single pixels", width=7, height=1.3)
