"""An image being drawn, and its cost: two sections of the page on autoregression."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from torch import Tensor

from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.pixels import Bernoulli, Categorical, PixelDistribution
from ptheta.errors import PthetaError
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label
from ptheta.lab.pages.autoregression_models import (
    SE,
    SINGLE,
    random_model,
)
from ptheta.lab.parts import Figure, Film, Frame, Number, Numbers, Section
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.walk import Stepper
from ptheta.report.plots import plain_number
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec, to_levels

RUN = "example:pixelcnn"
FRAMES = 12
SURE = 0.2  # bits, below which the pixels of a row are as good as certain


# -- an image being drawn


class Drawn(NamedTuple):
    """An image that a model has drawn.

    model: with conditionals in an order; spec: of its images; name: what it is called
    image: (1, C, H, W); log_probs: (C, H, W, K), of every level of every sub-pixel
    """

    model: Autoregressive
    spec: ImageSpec
    name: str
    image: Tensor
    log_probs: Tensor

    @property
    def entropy(self) -> Tensor:
        """Of each pixel, all its colours, bits: (H, W)."""
        each = -(self.log_probs.exp() * self.log_probs.clamp_min(-1e9)).sum(-1)
        return each.sum(0) / math.log(2)


def drawing(run: Run, asked: Asked) -> Section:
    drawn = _one_image(run, asked)
    row, column = divmod(int(drawn.entropy.argmax()), drawn.spec.width)
    return Section(
        "An image being drawn, and the softmax of one pixel",
        [
            f"The model is the run `{drawn.name}`, of {drawn.spec.levels} levels. The network "
            "gives a probability to each level of the next pixel (a softmax), one level is drawn, "
            "and the result becomes an input of all later predictions. Each step of the slider "
            "shows the least certain pixel of a row, where the strokes before it leave more than "
            "one continuation open. With 256 levels the softmax has 256 bars.",
            "A temperature T below 1 raises all probabilities to the power 1 / T, which makes the "
            "probable levels more probable.",
        ],
        [
            "p(x_i = k | x_{<i}) = \\frac{\\exp l_k}{\\sum_j \\exp l_j}, \\qquad "
            "p_T(k) = \\frac{p(k)^{1/T}}{\\sum_j p(j)^{1/T}}"
        ],
        [
            Film(_steps(drawn), "The image as far as it is drawn, and the softmax of a pixel."),
            Numbers(_softmax(drawn, row, column, asked)),
        ],
        "ptheta sample example:pixelcnn --temperature 0.7 --out grid.png\n"
        "ptheta surprise example:pixelcnn --out bits.png",
    )


def _one_image(run: Run, asked: Asked) -> Drawn:
    model, spec = run.model(), run.spec
    assert isinstance(model, Autoregressive)
    assert isinstance(spec, ImageSpec)
    u = torch.rand(1, *spec.shape, generator=asked.generator("image"))
    with torch.no_grad():
        image = model.sample_from_noise(u)
        found = model.conditionals(image)
        assert isinstance(found, PixelDistribution)
        log_probs = found.log_probs()[0].double()
    return Drawn(model, spec, run.name if asked.runs else RUN, image, log_probs)


def chosen(asked: Asked) -> Run:
    """The run that was given, or the one that the package brings along. Raises PthetaError for
    several, and for a run of another kind."""
    if not asked.runs:
        return Run.open(RUN)
    run = asked.runs[0]
    start = f"--runs {run.called}: the page autoregression shows"
    if len(asked.runs) > 1:
        raise PthetaError(f"{start} one run, and {len(asked.runs)} are given")
    if not isinstance(run.spec, ImageSpec) or not isinstance(run.model(), Autoregressive):
        raise PthetaError(f"{start} an autoregressive model of images, such as pixelcnn")
    if run.condition is not None:
        raise PthetaError(f"{start} a model without conditions, and this one is conditional")
    return run


def _steps(drawn: Drawn) -> list[Frame]:
    order = drawn.model.order
    rank = {p: t for t, p in enumerate(order)}
    least = [
        row * drawn.spec.width + int(entropy.argmax())
        for row, entropy in enumerate(drawn.entropy)
        if row == 0 or float(entropy.max()) > SURE
    ]
    frames = []
    least = sorted(least, key=rank.__getitem__)
    some = range(0, len(least), 1 + len(least) // FRAMES)
    for place in (least[i] for i in some):
        row, column = divmod(place, drawn.spec.width)
        bits = float(drawn.entropy[row, column])
        name = f"row {row}, column {column}: entropy {bits:.2f} bits"
        frames.append(Frame(_step(drawn, order[: rank[place]], row, column, name), name))
    whole = f"all {len(order)} pixels"
    last = divmod(order[-1], drawn.spec.width)
    return [*frames, Frame(_step(drawn, order, *last, whole), whole)]


def _step(
    drawn: Drawn, before: Sequence[int], row: int, column: int, about: str
) -> Callable[[], str]:
    known = np.zeros(drawn.spec.height * drawn.spec.width, dtype=bool)
    known[list(before)] = True
    shades = drawn.image[0].permute(1, 2, 0).numpy() / 255
    shades = shades.repeat(3, 2) if drawn.spec.channels == 1 else shades[:, :, :3]
    seen = np.where(known.reshape(*shades.shape[:2], 1), shades, np.array((0.78, 0.83, 0.90)))
    p = drawn.log_probs[0, row, column].exp().numpy()
    level = int(to_levels(drawn.image[0, 0, row, column], drawn.spec.levels))

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].imshow(seen)
        axes[0].plot(column, row, "s", mfc="none", mec=COLOURS[1], mew=1.6, ms=8)
        axes[0].axis("off")
        colours = [COLOURS[1] if k == level else COLOURS[0] for k in range(len(p))]
        axes[1].bar(range(len(p)), p, color=colours)
        axes[1].set(ylim=(0, 1.02))
        if len(p) <= 16:
            axes[1].set_xticks(range(len(p)))
        label(axes[1], "level (orange: drawn)", "probability")

    return figure(draw, about, count=2, width=5.6, height=2.7)


def _softmax(drawn: Drawn, row: int, column: int, asked: Asked) -> list[Number]:
    """At the least certain pixel of the image."""
    logs = drawn.log_probs[0, row, column]
    p = logs.exp()
    best, draws = int(p.argmax()), 20_000
    with torch.no_grad():
        u = torch.rand(draws, generator=asked.generator("pixel of the image")).double()
        share = float((torch.searchsorted(p.cumsum(0), u, right=True) == best).double().mean())
        one = drawn.model.conditionals(drawn.image)
        half = drawn.log_probs  # at a temperature of 1 / 2
        if isinstance(one, Bernoulli | Categorical):
            half = one.tempered(0.5).log_probs()[0].double()
        in_turn = _by_steps(drawn)
        whole = float(drawn.model.log_prob(drawn.image).double())
    error = SE * math.sqrt(float(p[best] * (1 - p[best])) / draws)
    rows = [
        Number("sum of the softmax at the least certain pixel", float(p.sum()), 1.0, SINGLE),
        Number(
            f"share of its most probable level in {draws:,} draws",
            share,
            float(p[best]),
            error,
            how="theory: its probability",
        ),
        Number(
            "log p(x) added up pixel by pixel while drawing, nats",
            in_turn,
            whole,
            1e-4 * abs(whole),
            how="theory: `log_prob`, one pass over the whole image",
        ),
    ]
    if half is not drawn.log_probs:
        sharper = float(half[0, row, column, best].exp())
        theory = float(p[best] ** 2 / p.square().sum())
        rows.append(Number("probability of this level at T = 0.5", sharper, theory, SINGLE))
    return rows


def _by_steps(drawn: Drawn) -> float:
    """log p of the image by the sampler's own conditionals, one sub-pixel after the other."""
    stepper, total = drawn.model.stepper(1), 0.0
    for t, place in enumerate(drawn.model.order):
        pixel = drawn.image[:, :, place // drawn.spec.width, place % drawn.spec.width]
        for c in range(drawn.spec.channels):
            known = pixel.clone()
            known[:, c:] = 0
            found = stepper.conditional(t, c, known)
            total += float(found.log_prob(pixel[:, c].view(found.shape)))
        stepper.observe(t, pixel)
    return total


# -- cost


NET = {"features": 16, "blocks": 3, "first_kernel": 3, "head": 16}
SIDES = (4, 6, 8, 12)


class Cost(NamedTuple):
    """Of drawing one image.

    naive, cached: seconds; passes: of the naive sampler; steps: of the cached one
    rounds: of the fixed-point iteration; wrong: sub-pixels in which the three images differ
    """

    naive: float
    cached: float
    passes: int
    steps: int
    rounds: int
    wrong: int


def cost(asked: Asked) -> Section:
    costs = {side: _costs(side, asked) for side in SIDES}
    rows = []
    for side in (SIDES[0], SIDES[-1]):
        cost, pixels = costs[side], side * side
        rows += [
            Number(f"{side} x {side}: passes over the image, naive", cost.passes, pixels),
            Number(f"{side} x {side}: evaluations of one pixel, cached", cost.steps, pixels),
            Number(
                f"{side} x {side}: passes of the fixed-point iteration",
                cost.rounds,
                pixels,
                0.0,
                "<=",
            ),
            Number(f"{side} x {side}: pixels in which the images differ", cost.wrong, 0),
            Number(f"{side} x {side}: seconds, naive", cost.naive),
            Number(f"{side} x {side}: seconds, cached", cost.cached),
        ]
    return Section(
        "The cost of drawing: naive and cached",
        [
            "In training, all D conditionals of a known image come from one pass of the network. "
            "In sampling, a pixel must be known before the next can be predicted. The naive "
            "sampler evaluates the whole network again for each pixel: D passes of D pixels each. "
            "The samplers of ptheta keep every activation and evaluate each pixel once. Both give "
            "the same image from the same random numbers.",
            "The fixed-point iteration redraws all pixels at once until nothing changes: it needs "
            "at most D passes, and often far fewer.",
        ],
        ["\\text{naive: } D \\cdot D \\text{ pixels}, \\qquad \\text{cached: } D \\text{ pixels}"],
        [
            Figure(_curves(costs), "Pixels evaluated and time for one image, by its side."),
            Numbers(rows, "A PixelCNN with random weights, one processor"),
        ],
        "ptheta sample example:pixelcnn -n 16 --out grid.png",
    )


def _costs(side: int, asked: Asked) -> Cost:
    spec = ImageSpec(1, side, side, 2)
    model = random_model("pixelcnn", spec, asked, NET)
    u = torch.rand(1, *spec.shape, generator=asked.generator(f"noise {side}"))
    passes, stepped = _Counted(model), _Stepped(model.stepper(1))
    with torch.no_grad():
        slow, naive = _timed(lambda: _naive(passes, model.order, u))
        fast, cached = _timed(lambda: model.sample_from_noise(u))
        again = model.drawn(stepped, u)
        by_rounds, rounds = model.fixed_point_sample(u)
    wrong = sum(int((x != slow).sum()) for x in (fast, again, by_rounds))
    return Cost(naive, cached, passes.count, stepped.count, rounds, wrong)


def _timed(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """The result, and the seconds that it took."""
    begun = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begun


class _Counted:
    """Counts the passes of a model over whole images."""

    def __init__(self, model: Autoregressive) -> None:
        self.model, self.count = model, 0

    def icdf(self, x: Tensor, u: Tensor) -> Tensor:
        self.count += 1
        return self.model.conditionals(x).icdf(u)


class _Stepped(Stepper):
    """Counts the pixels that a stepper evaluates."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper, self.count = stepper, 0

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        self.count += 1
        return self.stepper.conditional(t, c, pixel)

    def observe(self, t: int, pixel: Tensor) -> None:
        self.stepper.observe(t, pixel)


def _naive(passes: _Counted, order: Sequence[int], u: Tensor) -> Tensor:
    """Draws by one pass over the whole image for each pixel."""
    x = torch.zeros(u.shape, dtype=torch.uint8)
    for place in order:
        row, column = divmod(place, u.shape[3])
        x[:, :, row, column] = passes.icdf(x, u)[:, :, row, column]
    return x


def _curves(costs: dict[int, Cost]) -> Callable[[], str]:
    sides = list(costs)
    counted = {
        "naive": [c.passes * side**2 for side, c in costs.items()],
        "cached": [c.steps for c in costs.values()],
        "fixed point": [c.rounds * side**2 for side, c in costs.items()],
    }
    taken = {
        "naive": [c.naive for c in costs.values()],
        "cached": [c.cached for c in costs.values()],
    }

    def draw(axes: Sequence[Axes]) -> None:
        _lines(axes[0], sides, counted, "pixels evaluated")
        _lines(axes[1], sides, taken, "seconds")
        axes[0].legend(fontsize=8, frameon=False)

    return figure(draw, "Cost of one image by its side", count=2, width=6.4, height=2.8)


def _lines(
    axis: Axes, sides: Sequence[int], lines: Mapping[str, Sequence[float]], what: str
) -> None:
    for (name, values), colour in zip(lines.items(), COLOURS, strict=False):
        axis.plot(sides, values, "o-", ms=3, color=colour, label=name)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(plain_number)
    axis.yaxis.set_minor_formatter("")
    label(axis, "side, pixels", what)
