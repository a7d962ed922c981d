"""What a conditional model is asked for where it is measured: what the held-out images are of.

A model of p(x | y) is measured as the sampler of sum over y of p(y) p(x | y), with the p(y) of the
held-out images: asked for every label alike it would be far from data that has some more often,
however good it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.capabilities import classes_of, conditional, device_of, some_conditions
from ptheta.data.dataset import Dataset
from ptheta.tasks.sample import sample

STREAM = 0xC0DE  # other random numbers than those of the samples themselves


def conditions_like(model: nn.Module, data: Dataset, n: int, seed: int = 0) -> Tensor | None:
    """n conditions in the proportions of those of `data`: int64 (n,) labels, or (n, A) attributes;
    None for an unconditional model. The same for the same seed.

    Labels are apportioned by the largest remainders, in a random order; attributes are those of
    rows drawn without replacement, all of them again where n is more. Where `data` has none, or
    none that the model knows, all labels (or attributes) in turn.
    """
    if not conditional(model):
        return None
    generator = torch.Generator().manual_seed(seed ^ STREAM)
    classes = classes_of(model)
    rows = data.rows(slice(None))
    found = None
    if classes and data.labels is not None:
        labels = torch.from_numpy(data.labels[rows].astype("int64"))
        known = labels[(labels >= 0) & (labels < classes)]
        if len(known):
            counts = apportioned(torch.bincount(known, minlength=classes), n)
            found = torch.arange(classes).repeat_interleave(counts)
            found = found[torch.randperm(n, generator=generator)]
    elif not classes and data.attributes is not None:
        order = torch.randperm(len(rows), generator=generator)
        some = order[torch.arange(n) % len(rows)]
        found = torch.from_numpy(data.attributes[rows[some.numpy()]].astype("float32"))
    return some_conditions(model, n) if found is None else found.to(device_of(model))


def apportioned(counts: Tensor, n: int) -> Tensor:
    """n seats in the proportions of counts (K,), by the largest remainders: int64 (K,)."""
    shares = counts.double() * n / counts.sum()
    seats = shares.floor().long()
    order = torch.argsort(shares - seats, descending=True, stable=True)
    seats[order[: n - int(seats.sum())]] += 1
    return seats


def said(model: nn.Module, data: Dataset) -> str:
    """What `conditions_like` gives, for the protocol."""
    if not conditional(model):
        return "none"
    if classes_of(model):
        return (
            "all labels in turn"
            if data.labels is None
            else "labels in the proportions of the test labels"
        )
    return "attributes in turn" if data.attributes is None else "attributes of the test images"


def draw(model: nn.Module, data: Dataset, n: int, seed: int = 0) -> Tensor:
    """n samples to measure on `data`, uint8 (n, C, H, W). Raises as `ptheta.tasks.sample` does."""
    return sample(model, n, seed=seed, condition=conditions_like(model, data, n, seed))
