"""What a conditional model is asked for where it is measured: what the held-out images are of.

A model of p(x | y) is measured as the sampler of sum over y of p(y) p(x | y), with the p(y) of the
held-out images: asked for every label alike it would be far from data that has some more often,
however good it is.
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

STREAM = 0xC0DE  # other random numbers than those of the samples themselves


def conditions_like(model: nn.Module, data: Dataset, n: int, seed: int = 0) -> Condition | None:
    """n conditions in the proportions of those of `data`; None for an unconditional model. The same
    for the same seed.

    Labels are apportioned by the largest remainders, in a random order; other conditions are those
    of rows drawn without replacement, all of them again where n is more. Where `data` has none, or
    none that the model knows, the model's examples in turn.
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
    """The examples of `data` whose conditions `conditions_like` gives, where they are no labels:
    int64 (n,) positions, each once before any comes again."""
    return _rows(data, n, torch.Generator().manual_seed(seed ^ STREAM))


def _rows(data: Dataset, n: int, generator: torch.Generator) -> Tensor:
    order = torch.randperm(len(data), generator=generator)
    return order[torch.arange(n) % len(order)]


def _rows_like(data: Dataset, n: int, generator: torch.Generator) -> Condition | None:
    # the conditions alone: no image is read for them
    return data.conditions(_rows(data, n, generator).numpy())


def image_part(model: object) -> Image | None:
    """The image that a model is asked for, alone or beside other things, if it is."""
    spec = condition_of(model)
    parts = [] if spec is None else parts_of(spec)
    return next((part for part in parts if isinstance(part, Image)), None)


def answers_wanted(model: nn.Module, data: Dataset, n: int) -> int:
    """How many samples are drawn where n are asked for: of what answers an image no more than there
    are images in `data`, so that none is asked for twice."""
    paired = image_part(model) is not None and with_conditions(model, data).has_conditions
    return min(n, len(data)) if paired else n


def apportioned(counts: Tensor, n: int) -> Tensor:
    """n seats in the proportions of counts (K,), by the largest remainders: int64 (K,)."""
    shares = counts.double() * n / counts.sum()
    seats = shares.floor().long()
    order = torch.argsort(shares - seats, descending=True, stable=True)
    seats[order[: n - int(seats.sum())]] += 1
    return seats


def sampled_conditions(model: nn.Module, data: Dataset) -> str:
    """What `conditions_like` gives, for the protocol."""
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
    """n samples to measure on `data`, image batch. Raises as `ptheta.tasks.sample` does.

    first: of these n, at least so many and not many more; default: all
    """
    condition = conditions_like(model, data, n, seed)
    if first is None or first >= n:
        return sample(model, n, seed=seed, condition=condition)
    parts = sample_batches(model, n, seed=seed, condition=condition)
    some = [next(parts) for _ in range(0, first, BATCH)]
    return torch.cat([part.x for part in some])
