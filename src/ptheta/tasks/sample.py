"""Sampling: needs `Samples`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptheta.capabilities import Samples, device_of
from ptheta.errors import PthetaError
from ptheta.pixels import seeded


@torch.no_grad()
def sample(
    model: nn.Module,
    n: int,
    *,
    seed: int = 0,
    labels: Sequence[int] | None = None,
    batch_size: int = 256,
) -> Tensor:
    """n images, uint8 (n, C, H, W); the same for the same seed, n and batch_size.

    labels: what a conditional model is asked for, repeated to n; default: all labels in turn
    Raises PthetaError where the model cannot sample, takes no labels, or does not know one.
    """
    if not isinstance(model, Samples):
        raise PthetaError("this model cannot sample: it has no `sample`")
    if n < 1:
        raise PthetaError(f"n = {n}: ask for at least one image")
    classes: int = getattr(model, "classes", 0)
    if labels is not None and not classes:
        raise PthetaError(f"label {labels[0]}: this model is unconditional; leave the label out")
    for label in labels or ():
        if not 0 <= label < classes:
            raise PthetaError(f"unknown label {label}: this model knows 0 to {classes - 1}")
    condition = None
    if classes:
        asked = torch.tensor(list(labels) if labels else list(range(classes)))
        condition = asked[torch.arange(n) % len(asked)].to(device_of(model))
    with seeded(seed):
        parts = [
            model.sample(
                min(batch_size, n - start),
                None if condition is None else condition[start : start + batch_size],
            ).cpu()
            for start in range(0, n, batch_size)
        ]
    return torch.cat(parts)
