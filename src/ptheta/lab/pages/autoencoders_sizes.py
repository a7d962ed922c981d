"""Error against the size of the code: a section of the page on autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from matplotlib.axes import Axes
from torch import Tensor

import ptheta
from ptheta.capabilities import Generates
from ptheta.data.dataset import Dataset
from ptheta.lab.asked import Asked
from ptheta.lab.draw import COLOURS, figure, label
from ptheta.lab.pages.autoencoders_codes import Coded, is_given
from ptheta.lab.parts import Figure, Number, Numbers, Section, Table
from ptheta.lab.trained import Training
from ptheta.models.base import Model
from ptheta.specs import to_unit
from ptheta.tasks.codes import encode
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.needs import Autoencodes
from ptheta.tasks.reconstruct import reconstruct

SIZES = (1, 2, 4, 8, 16, 32)
DEEP = Training("ae", {"hidden": (256, 128), "lr": 3e-3}, 700)
LINEAR = Training("ae", {"net": "linear", "lr": 2e-3}, 1500)
PRINCIPAL, HIDDEN = "principal components", "two hidden layers"


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


def sizes(coded: dict[str, Coded], asked: Asked, train: Dataset, test: Dataset) -> Section:
    found = _given_sizes(coded, train, test) if is_given(coded) else _sized(asked)
    numbers = _numbers(found)
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
            "Principal components are the linear code with the least squared error, of images "
            "minus their mean, and a linear autoencoder can do no better on the images it was "
            "fitted to. It finds them slowly: gradient descent learns directions of little "
            "variance last.",
            *([] if is_given(coded) else [_compared(found)]),
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


def _numbers(found: Sized) -> list[Number]:
    numbers = []
    for size, least in found.principal.items():
        above = f"{100 * (found.linear[size] / least - 1):.1f} % above principal components"
        name = f"linear autoencoder, code of {size}: error per pixel"
        numbers.append(Number(name, found.linear[size], least, 0.0, ">=", above))
    if found.linear:
        name = "linear autoencoder: middle of two codes, minus the mean of both images"
        how = "largest of all pixels: its interpolation is a cross-fade"
        numbers.append(Number(name, found.fade, 0.0, 1e-4, how=how))
    return numbers


def _compared(found: Sized) -> str:
    """Which sizes of a code pay for hidden layers, in words."""
    deep, principal = found.test[HIDDEN], found.test[PRINCIPAL]
    better = [size for size in SIZES if deep[size] < principal[size]]
    rest = [size for size in SIZES if size not in better]
    words = f"Here codes of {_listed(better)} have a smaller error with hidden layers than "
    words += "principal components"
    return (
        f"{words}, and with this short training those of {_listed(rest)} do not."
        if rest
        else f"{words}."
    )


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes)) or "no size"


def _sized(asked: Asked) -> Sized:
    train, test = (ptheta.open_data("digits", part) for part in ("train", "test"))
    x, held = train.batch(slice(None)).x, test.batch(slice(None)).x
    components = Principal.of(x)
    u, mean, axes = to_unit(x).flatten(1).double(), components.mean, components.axes
    whole = float((u - mean).square().mean())
    along = ((u - mean) @ axes).square().mean(0) / u.shape[1]
    principal = {size: whole - float(along[:size].sum()) for size in SIZES}
    errors: dict[str, dict[int, float]] = {PRINCIPAL: {}}
    for size in SIZES:
        errors[PRINCIPAL][size] = _error(components.image(held, size), held)
    linear, fade = {}, 0.0
    for name, training in (("linear autoencoder", LINEAR), (HIDDEN, DEEP)):
        errors[name] = {}
        for size in SIZES:
            model = training.sized(size).run(
                train, asked.number(f"{name}{size}"), f"{name}, code of {size}"
            )
            errors[name][size] = _error(reconstruct(model, held), held)
            if training is LINEAR:
                linear[size], fade = _linear(model, x)
    return Sized(principal, linear, errors, fade)


def _given_sizes(coded: dict[str, Coded], train: Dataset, test: Dataset) -> Sized:
    """Of the runs, and principal components of the same sizes."""
    held = test.batch(slice(None)).x
    components = Principal.of(train.batch(slice(None)).x)
    errors: dict[str, dict[int, float]] = {PRINCIPAL: {}}
    for name, one in coded.items():
        size = encode(one.model, held[:2]).z.shape[1]
        errors[name] = {size: _error(reconstruct(one.model, held), held)}
        errors[PRINCIPAL][size] = _error(components.image(held, size), held)
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
