"""Example inputs, outputs and targets for image-to-image models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.batch import Condition, Together
from ptheta.capabilities import Samples, Translates, condition_of, device_of, some_conditions
from ptheta.conditions import Image, parts_of
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError

BLANK = 255  # fill value for unknown targets
NO_PAIRS = "give pairs, as the model was trained on"


@dataclass(frozen=True)
class Asked:
    """Inputs for a model, with conditions and targets.

    x: uint8 (N, C, H, W)
    condition: conditions of the inputs; None for a model that translates between domains
    to: int64 (N,), target domain of each input; None for pairs
    targets: uint8 (N, C', H, W), blank where `known`, bool (N,), is False
    """

    x: Tensor
    condition: Condition | None
    to: Tensor | None
    targets: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.x)


def makes_of_images(model: nn.Module) -> bool:
    """Whether a model is image-to-image: it translates, or is conditional on an image."""
    return isinstance(model, Translates) or image_part(model) is not None


def can_ask(model: nn.Module, data: Dataset) -> bool:
    """Whether a data set has inputs for an image-to-image model."""
    if isinstance(model, Translates) and model.domains():
        return data.labels is not None and len(data.present_classes()) > 1
    return image_part(model) is not None and data.has_conditions


def image_part(model: nn.Module) -> Image | None:
    """The image part of a model's condition."""
    parts = parts_of(condition_of(model))
    return next((part for part in parts if isinstance(part, Image)), None)


def asked(
    model: nn.Module, data: Dataset, n: int, *, to: int | None = None, seed: int = 0
) -> Asked:
    """The first n inputs of a data set, in a random order by the seed; fewer if it has fewer.

    to: target domain of a model with several, with inputs from the others; None for the other one
        of two, or the next one of more
    Raises PthetaError if the data has no inputs for the model.
    """
    if isinstance(model, Translates) and model.domains():
        return _of_domains(data.shuffled(seed), n, to, len(model.domains()))
    return _of_pairs(data.shuffled(seed), n)


def _of_pairs(data: Dataset, n: int) -> Asked:
    batch = data.batch(slice(0, n))
    given = batch.condition
    x = given.parts.get(Image.kind) if isinstance(given, Together) else given
    if x is None or x.ndim != 4:
        raise PthetaError(f"{data.name} ({data.split}) has no inputs: {NO_PAIRS}")
    return Asked(x, given, None, batch.x, torch.ones(len(x), dtype=torch.bool))


def _of_domains(data: Dataset, n: int, to: int | None, domains: int) -> Asked:
    if data.labels is None:
        raise PthetaError(
            f"{data.name} ({data.split}) has no labels for the domains: give --data with a "
            "folder for each"
        )
    labels = data.labels[data.rows(slice(None))]
    places = np.flatnonzero((labels >= 0) & (labels != (-1 if to is None else to)))[:n]
    if not len(places):
        raise PthetaError(
            f"{data.name} ({data.split}) has only images of the target domain: give --data with "
            "images of another one"
        )
    x, own = data.batch(places).x, torch.from_numpy(labels[places].astype(np.int64))
    wanted = (own + 1) % domains if to is None else torch.full_like(own, to)
    return Asked(x, None, wanted, *_partners(data, places, wanted, x))


def _partners(
    data: Dataset, places: np.ndarray, wanted: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """The paired images in the target domain: uint8 (N, C, H, W), and where they are known."""
    targets, known = torch.full_like(x, BLANK), torch.zeros(len(x), dtype=torch.bool)
    if data.partners is None or data.labels is None:
        return targets, known
    rows = data.partners[data.rows(places)]
    known = torch.from_numpy(rows >= 0)
    known &= torch.from_numpy(data.labels[np.maximum(rows, 0)].astype(np.int64)) == wanted
    if known.any():
        there = replace(data, index=rows[known.numpy()])
        targets[known] = there.batch(slice(None)).x
    return targets, known


def conditions_shown(
    model: nn.Module, n: int, data: Callable[[], Dataset], seed: int = 0
) -> Condition | None:
    """n example conditions for a model, determined by the seed: images of a data set (cycled
    through) for an image-conditional model, else examples of the spec. None for an unconditional
    model.

    data: opened only if needed
    """
    if image_part(model) is None:
        return some_conditions(model, n)
    there = data().shuffled(seed)
    found = there.conditions(np.arange(n) % len(there))
    if found is None:
        raise PthetaError(f"{there.name} ({there.split}) has no inputs: {NO_PAIRS}")
    return found.to(device_of(model))


def answers(model: nn.Module, inputs: Asked) -> Tensor:
    """One output for each input: uint8 (N, C', H, W), on the CPU. Noise is drawn from torch's
    current random stream."""
    device = device_of(model)
    if isinstance(model, Translates):
        to = None if inputs.to is None else inputs.to.to(device)
        return model.translate(inputs.x.to(device), to).cpu()
    assert isinstance(model, Samples)
    assert inputs.condition is not None
    return model.sample(len(inputs), inputs.condition.to(device)).cpu()


def rows_of(columns: list[Tensor]) -> Tensor:
    """Image batches (N, C, H, W) side by side, row by row: (N * columns, C, H, W). Grey ones are
    converted to colour if any is in colour."""
    channels = max(column.shape[1] for column in columns)
    alike = [column.expand(-1, channels, -1, -1) for column in columns]
    return torch.stack(alike, 1).flatten(0, 1)


def headings(outputs: int, *more: str) -> tuple[str, ...]:
    """Column heads: input, outputs, and more."""
    numbered = ["output"] if outputs == 1 else [f"output {k}" for k in range(1, outputs + 1)]
    return ("input", *numbered, *more)
