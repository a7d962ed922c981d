"""Conditions for the evaluation of conditional models: those of the held-out images.

A model of p(x | y) is evaluated as a sampler of sum over y of p(y) p(x | y), with p(y) of the
held-out images. With uniform labels even a perfect model would have a large distance to data with
unbalanced classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import condition_of, device_of, some_conditions
from ptheta.conditions import Image, Labels, parts_of
from ptheta.data.dataset import Dataset
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.sample import BATCH, sample, sample_batches

STREAM = 0xC0DE  # seed offset, distinct from that of the samples


def conditions_like(model: nn.Module, data: Dataset, n: int, seed: int = 0) -> Condition | None:
    """n conditions in the proportions of those of `data`; None for an unconditional model. The same
    for the same seed.

    Labels are apportioned by the largest remainders, in a random order; other conditions are those
    of rows drawn without replacement, repeated if n exceeds their number. If `data` has no
    conditions that the model supports, the model's example conditions are used in turn.
    """
    spec = condition_of(model)
    if spec is None:
        return None
    generator = torch.Generator().manual_seed(seed ^ STREAM)
    there = with_conditions(model, data)
    found = (
        _labels_like(spec, there, n, generator)
        if isinstance(spec, Labels)
        else _rows_like(there, n, generator)
    )
    return some_conditions(model, n) if found is None else found.to(device_of(model))


def _labels_like(
    spec: Labels, data: Dataset, n: int, generator: torch.Generator
) -> Condition | None:
    if data.labels is None:
        return None
    labels = torch.from_numpy(data.labels[data.rows(slice(None))].astype("int64"))
    known = labels[(labels >= 0) & (labels < len(spec))]
    if not len(known):
        return None
    counts = apportioned(torch.bincount(known, minlength=len(spec)), n)
    every = torch.arange(len(spec)).repeat_interleave(counts)
    return every[torch.randperm(n, generator=generator)]


def asked_rows(data: Dataset, n: int, seed: int = 0) -> Tensor:
    """Indices of the examples whose conditions `conditions_like` returns, for conditions other than
    labels: int64 (n,), all once before any is repeated."""
    return _rows(data, n, torch.Generator().manual_seed(seed ^ STREAM))


def _rows(data: Dataset, n: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(data), generator=generator)
    return order[torch.arange(n) % len(order)]


def _rows_like(data: Dataset, n: int, generator: torch.Generator) -> Condition | None:
    # conditions only: no image is read
    return data.conditions(_rows(data, n, generator).numpy())


def image_part(model: object) -> Image | None:
    """The image part of a model's condition, alone or among others; None if there is none."""
    spec = condition_of(model)
    parts = [] if spec is None else parts_of(spec)
    return next((part for part in parts if isinstance(part, Image)), None)


def answers_wanted(model: nn.Module, data: Dataset, n: int) -> int:
    """The number of samples to draw for n requested ones: for image-conditional models at most the
    number of images in `data`, so that no condition is repeated."""
    paired = image_part(model) is not None and with_conditions(model, data).has_conditions
    return min(n, len(data)) if paired else n


def apportioned(counts: Tensor, n: int) -> Tensor:
    """Apportion n in the proportions of counts (K,), by the largest remainders: int64 (K,)."""
    shares = counts.double() * n / counts.sum()
    seats = shares.floor().long()
    order = torch.argsort(shares - seats, descending=True, stable=True)
    seats[order[: n - int(seats.sum())]] += 1
    return seats


def sampled_conditions(model: nn.Module, data: Dataset) -> str:
    """Description of the conditions of `conditions_like`, for the protocol."""
    spec = condition_of(model)
    if spec is None:
        return "none"
    if isinstance(spec, Labels):
        proportions = "labels in the proportions of the test labels"
        return "all labels in turn" if data.labels is None else proportions
    there = with_conditions(model, data).has_conditions
    if there and image_part(model) is not None:
        return f"{spec.kind} of the test images, each at most once"
    return f"{spec.kind} of the test images" if there else f"{spec.kind} in turn"


def draw(
    model: nn.Module, data: Dataset, n: int, seed: int = 0, *, first: int | None = None
) -> Tensor:
    """Sample n images for the evaluation on `data`. Raises as `ptheta.tasks.sample` does.

    first: draw only about the first `first` of these n; default: all
    """
    condition = conditions_like(model, data, n, seed)
    if first is None or first >= n:
        return sample(model, n, seed=seed, condition=condition)
    parts = sample_batches(model, n, seed=seed, condition=condition)
    some = [next(parts) for _ in range(0, first, BATCH)]
    return torch.cat([part.x for part in some])
