"""Sampling: needs `Samples`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ptheta.capabilities import Decodes, Samples, device_of, some_conditions
from ptheta.errors import PthetaError
from ptheta.pixels import seeded
from ptheta.tasks.conditions import check_labels

BATCH = 256  # images that are drawn at a time


@torch.no_grad()
def sample(
    model: nn.Module,
    n: int,
    *,
    seed: int = 0,
    labels: Sequence[int] | None = None,
    attributes: Sequence[float] | None = None,
    condition: Tensor | None = None,
    batch_size: int = BATCH,
) -> Tensor:
    """n images, uint8 (n, C, H, W); the same for the same seed, n and batch_size.

    labels: what a conditional model is asked for, repeated to n; default: all labels in turn
    attributes: the one vector that a model of attributes is asked for; default: each alone
    condition: what each image is asked for, int64 (n,) or float (n, A), in place of either
    Raises PthetaError where the model cannot sample, takes no such condition, or does not know it.
    """
    if not isinstance(model, Samples):
        cure = "; fit a prior to its codes first (ptheta fit)" if isinstance(model, Decodes) else ""
        raise PthetaError(f"this model cannot sample: it has no `sample`{cure}")
    if n < 1:
        raise PthetaError(f"n = {n}: ask for at least one image")
    classes: int = getattr(model, "classes", 0)
    size: int = getattr(model, "attributes", 0)
    if labels is not None and not labels:
        raise PthetaError("labels is empty: give at least one, or leave it out for all in turn")
    if attributes is not None and len(attributes) != size:
        raise PthetaError(f"{len(attributes)} attributes: this model takes {size}")
    check_labels(classes, labels or ())
    if condition is not None:
        _check(condition, n, classes, size, labels is not None or attributes is not None)
        condition = condition.to(device_of(model))
    else:
        condition = some_conditions(model, n)
    if labels:
        condition = torch.tensor(list(labels))[torch.arange(n) % len(labels)].to(device_of(model))
    elif attributes is not None and size:
        condition = torch.tensor(attributes, device=device_of(model)).float().expand(n, -1)
    with seeded(seed):
        parts = [
            model.sample(
                min(batch_size, n - start),
                None if condition is None else condition[start : start + batch_size],
            ).cpu()
            for start in range(0, n, batch_size)
        ]
    return torch.cat(parts)


def _check(condition: Tensor, n: int, classes: int, size: int, twice: bool) -> None:
    """Raises PthetaError where a condition is not one of n images for such a model."""
    if twice:
        raise PthetaError("a condition beside labels or attributes: give one of them")
    wanted = (n,) if classes else (n, size)
    if not (classes or size) or tuple(condition.shape) != wanted:
        takes = f"wants {wanted}" if classes or size else "takes none"
        raise PthetaError(f"a condition of shape {tuple(condition.shape)}: this model {takes}")
    if classes and not 0 <= int(condition.min()) <= int(condition.max()) < classes:
        raise PthetaError(
            f"labels {int(condition.min())} to {int(condition.max())}: this model knows 0 to "
            f"{classes - 1}"
        )
