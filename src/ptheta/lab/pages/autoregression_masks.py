"""Masks, and what each model sees: two sections of the page on autoregression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import nn

from ptheta import tasks
from ptheta.lab.asked import Asked
from ptheta.lab.draw import figure
from ptheta.lab.pages.autoregression_models import (
    NETS,
    Options,
    noise_images,
    random_model,
)
from ptheta.lab.parts import Figure, Film, Frame, Number, Numbers, Section
from ptheta.nets.masked import MaskedConv2d
from ptheta.specs import ImageSpec
from ptheta.tasks.context import Context

DEPTHS = (1, 2, 3, 4, 5)
FIELD = ImageSpec(1, 17, 21, 2)


def masks(asked: Asked) -> Section:
    rng = asked.rng("pixel")
    pixel = (int(rng.integers(8, 11)), int(rng.integers(8, 13)))
    found = {depth: _of_depth(depth, pixel, asked) for depth in DEPTHS}
    return Section(
        "Masked convolutions, and their blind spot",
        [
            "A convolution is made autoregressive by setting to zero all weights that look at the "
            "pixel itself and at what comes after it (mask A). The layers that follow may look at "
            "their own position as well (mask B), which by then holds earlier pixels alone.",
            "A stack of r such layers of 3 x 3 has the reach r, r rows and columns, but does not "
            "see all pixels within it. From the row above it looks one column to the right for "
            "every layer, but the mask of the next layer cannot go right in its own row. What is "
            "missing on the right grows to a quarter of the field. The Gated PixelCNN has a "
            "vertical stack without a mask in its rows, and a horizontal stack for the current "
            f"row. The pixel is in row {pixel[0]}, column {pixel[1]} here (both from 0), and what "
            "it depends on was measured by gradients.",
        ],
        [],
        [
            Figure(_kernels(asked), "Weights of a kernel of 5 x 5: filled ones may differ from 0."),
            Film(
                [_frame(depth, *two) for depth, two in found.items()],
                "What the orange pixel depends on (blue), by the number of layers: one stack of "
                "masked layers (`pixelcnn`), and two stacks (`gated-pixelcnn`).",
            ),
            Numbers([row for depth, two in found.items() for row in _counts(depth, *two)]),
        ],
        "ptheta train pixelcnn --data digits --levels 4 --minutes 2 --out runs/pixelcnn\n"
        "ptheta context runs/pixelcnn --out context.png",
    )


def _counts(r: int, stack: Context, two: Context) -> list[Number]:
    """Pixels seen with a reach of r layers, against their numbers by construction."""
    one, both = _layers(r, "masked layer"), f"{_layers(r, 'layer')} of two stacks"
    return [
        Number(
            f"{one}: pixels seen, $\\tfrac32 r (r + 1) + r$",
            int(stack.seen.sum()),
            3 * r * (r + 1) // 2 + r,
        ),
        Number(f"{both}: pixels seen, $r (2 r + 1) + r$", int(two.seen.sum()), r * (2 * r + 1) + r),
        Number(
            f"{one}: blind spot, $r (r - 1) / 2$",
            int((two.seen & ~stack.seen).sum()),
            r * (r - 1) // 2,
        ),
    ]


def _frame(depth: int, stack: Context, two: Context) -> Frame:
    blind, window = int((two.seen & ~stack.seen).sum()), int(two.seen.sum())
    name = f"{_layers(depth, 'layer')}: {blind} of {window} pixels in the blind spot"
    return Frame(_two(stack, two, name), name)


def _layers(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count > 1)}"


def _of_depth(depth: int, pixel: tuple[int, int], asked: Asked) -> tuple[Context, Context]:
    """The contexts of a pixel for one masked stack, and for two stacks, of a reach `depth`."""
    x = noise_images(FIELD, 8, asked)
    # as many features as are needed for a path that no inactive unit cuts, whatever the weights
    options: Options = {"features": 24, "head": 24, "first_kernel": 3}
    two = random_model("gated-pixelcnn", FIELD, asked, {**options, "layers": depth, "kernel": 3})
    if depth == 1:  # without any block, the first masked layer alone
        first = random_model("pixelcnn", FIELD, asked, {**options, "blocks": 1, "kernel": 1})
        return tasks.context(first, x, pixel), tasks.context(two, x, pixel)
    stack = random_model("pixelcnn", FIELD, asked, {**options, "blocks": depth - 1})
    return tasks.context(stack, x, pixel), tasks.context(two, x, pixel)


def _kernels(asked: Asked) -> Callable[[], str]:
    kernels = []
    for kind in ("A", "B"):
        whole = np.zeros((5, 5))
        conv = MaskedConv2d(1, 1, 5, "A" if kind == "A" else "B")
        nn.init.normal_(conv.weight, generator=asked.generator("kernel"))
        whole[:3] = (conv.kernel()[0, 0] != 0).numpy()
        kernels.append(whole)

    def draw(axes: Sequence[Axes]) -> None:
        for axis, kernel, kind in zip(axes, kernels, "AB", strict=True):
            _cells(axis, np.where(kernel > 0, 1, 0))
            axis.set_title(f"mask {kind}", fontsize=9)

    return figure(draw, "The masks A and B of a kernel of 5 x 5", count=2, height=2.2)


PALETTE = ("#e4e7eb", "#3b6fb6", "#d99a9a", "#d1603d")  # none, seen, blind, the pixel


def _cells(axis: Axes, kinds: np.ndarray) -> None:
    """Squares in the colours of `PALETTE`."""
    axis.imshow(np.array([to_rgb(colour) for colour in PALETTE])[kinds], interpolation="none")
    for edge in range(1, kinds.shape[0]):
        axis.axhline(edge - 0.5, color="white", lw=0.5)
    for edge in range(1, kinds.shape[1]):
        axis.axvline(edge - 0.5, color="white", lw=0.5)
    axis.axis("off")


def _kinds(found: Context, *, blind: bool = True) -> np.ndarray:
    """Of each pixel: after it or out of reach, seen, blind, or the pixel itself."""
    kinds = np.zeros(found.before.shape, dtype=int)
    kinds[found.seen.numpy()] = 1
    if blind:
        kinds[found.blind.numpy()] = 2
    kinds[found.row, found.column] = 3
    return kinds


def _two(stack: Context, two: Context, about: str) -> Callable[[], str]:
    kinds = _kinds(stack, blind=False)
    kinds[(two.seen & ~stack.seen).numpy()] = 2

    def draw(axes: Sequence[Axes]) -> None:
        for axis, each, title in (
            (axes[0], kinds, "one masked stack; blind spot in red"),
            (axes[1], _kinds(two, blind=False), "two stacks"),
        ):
            _cells(axis, each)
            axis.set_title(title, fontsize=9)

    return figure(draw, about, count=2, width=6.4, height=2.7)


# -- the contexts of all models


GRID = ImageSpec(1, 9, 11, 2)
SEERS: dict[str, Options] = {
    **{name: NETS[name] for name in ("fvsbn", "nade", "image-transformer")},
    "made": {"hidden": (400,)},
    "gated-pixelcnn": {"features": 8, "layers": 10, "first_kernel": 3, "kernel": 3, "head": 8},
    "pixelcnn": {"features": 16, "blocks": 12, "first_kernel": 3, "head": 8},
    "row-lstm": {"features": 12, "layers": 1, "first_kernel": 3, "kernel": 3, "head": 8},
    "diagonal-bilstm": {"features": 12, "layers": 1, "first_kernel": 3, "head": 8},
}


def contexts(asked: Asked) -> Section:
    rng = asked.rng("place")
    pixel = (int(rng.integers(4, 8)), int(rng.integers(2, 8)))
    x = noise_images(GRID, 12, asked)
    found = {
        name: tasks.context(random_model(name, GRID, asked, options), x, pixel)
        for name, options in SEERS.items()
    }
    rows = [
        Number(f"`{name}`: earlier pixels seen", int(c.seen.sum()), _expected(name, pixel))
        for name, c in found.items()
    ]
    ahead = sum(c.ahead for c in found.values())
    rows.append(Number("all models: later pixels seen", ahead, 0))
    return Section(
        "What each model sees",
        [
            f"The context of a pixel in row {pixel[0]}, column {pixel[1]} of 9 x 11 pixels: all "
            "earlier pixels for a model with a weight or a path for each pair (`fvsbn`, `nade`, "
            "`made`, `image-transformer`) and for two deep stacks; a growing triangle for a Row "
            "LSTM; for a Diagonal BiLSTM of one layer all but the last pixel of the row above, "
            "unless the pixel is close to it. A deep masked stack never sees what lies further to "
            "the right than above. No model sees a pixel that comes later, else the product of "
            "its conditionals would not be a probability.",
        ],
        [],
        [
            Figure(_gallery(found), "Seen pixels in blue, blind spots in red."),
            Numbers(rows),
        ],
        "ptheta train made --data digits --levels 2 --minutes 1 --out runs/made\n"
        "ptheta context runs/made --pixel 20,8 --out made.png",
    )


def _expected(name: str, pixel: tuple[int, int]) -> int:
    """How many pixels a model sees by its construction."""
    row, column = pixel
    width = GRID.width
    if name == "row-lstm":  # one column more on each side for each row up, one further left
        return sum(
            min(width, column + up + 1) - max(0, column - up - 2) if up else min(column, 2)
            for up in range(row + 1)
        )
    if name == "pixelcnn":  # one column more to the right for each row up
        return column + sum(min(width, column + up + 1) for up in range(1, row + 1))
    before = row * width + column
    return before - (column < width - 2) if name == "diagonal-bilstm" else before


def _gallery(found: dict[str, Context]) -> Callable[[], str]:
    def draw(axes: Sequence[Axes]) -> None:
        axes[0].axis("off")
        for i, (name, context) in enumerate(found.items()):
            inset = axes[0].inset_axes((i % 4 * 0.25, 0.5 - i // 4 * 0.52, 0.24, 0.44))
            _cells(inset, _kinds(context))
            inset.set_title(name, fontsize=8)

    return figure(draw, "The context of a pixel in eight models", width=7.2, height=3.4)
