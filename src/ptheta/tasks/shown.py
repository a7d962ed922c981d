"""Translations of a data set's inputs, with their targets and nearest training targets."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.capabilities import Translates
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.measures.memorisation import nearest
from ptheta.tasks.sample import sample
from ptheta.tasks.translate import translate
from ptheta.training.translations import Asked, asked, headings, rows_of


class Shown(NamedTuple):
    """Rows of images for display.

    rows: uint8 (N * columns, C, H, W), row by row; headings: one per column
    inputs, outputs: of the rows; several outputs of an input follow one another
    """

    rows: Tensor
    headings: tuple[str, ...]
    inputs: Asked
    outputs: list[Tensor]

    @property
    def error(self) -> float | None:
        """Mean absolute error of the outputs, out of 255; None without targets."""
        known = self.inputs.known
        if not known.any():
            return None
        wanted = self.inputs.targets[known].float()
        off = [(x[known].float() - wanted).abs().mean().item() for x in self.outputs]
        return sum(off) / len(off)


@undisturbed()
@torch.no_grad()
def shown(
    model: nn.Module,
    test: Dataset,
    train: Dataset | None,
    n: int,
    *,
    to: int | None = None,
    styles: int = 1,
    seed: int = 0,
) -> Shown:
    """Rows for n inputs of a data set: input, outputs, target, and the training target nearest in
    pixels to the first output; the last two if available.

    train: the training data; to: see `asked`; styles: number of outputs per input
    """
    inputs = asked(model, test, n, to=to, seed=seed)
    outputs = [_answers(model, inputs, seed + k) for k in range(styles)]
    columns, texts = [inputs.x, *outputs], list[str]()
    if inputs.known.any():
        columns, texts = [*columns, inputs.targets], ["target"]
    near = None if train is None else _nearest(train, inputs, outputs[0])
    if near is not None:
        columns, texts = [*columns, near], [*texts, "nearest training target"]
    return Shown(rows_of(columns), headings(styles, *texts), inputs, outputs)


def _answers(model: nn.Module, inputs: Asked, seed: int) -> Tensor:
    if isinstance(model, Translates):
        return translate(model, inputs.x, inputs.to, seed=seed)
    return sample(model, len(inputs), seed=seed, condition=inputs.condition)


def _nearest(train: Dataset, inputs: Asked, made: Tensor) -> Tensor | None:
    """The nearest training targets; None if the target domain has no training images."""
    if train.spec.shape != tuple(made.shape[1:]):
        return None
    if inputs.to is None:
        return _closest(train, made)
    near = torch.empty_like(made)
    for number in inputs.to.unique().tolist():
        of_domain = _of_label(train, number)
        if of_domain is None:
            return None
        here = inputs.to == number
        near[here] = _closest(of_domain, made[here])
    return near


def _of_label(data: Dataset, number: int) -> Dataset | None:
    if data.labels is None:
        return None
    mask = data.labels[data.rows(slice(None))] == number
    return data.subset(mask) if mask.any() else None


def _closest(train: Dataset, x: Tensor) -> Tensor:
    where, _ = nearest(x, train)
    return train.with_fixed_binarisation().batch(where).x
