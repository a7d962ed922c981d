"""Evaluation of reconstruction against baselines: needs `Encodes` and `Decodes`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import device_of
from ptheta.compute.streams import undisturbed
from ptheta.config import Entry
from ptheta.errors import PthetaError
from ptheta.specs import from_unit
from ptheta.tasks.denoise.floors import Repairer
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.denoise.score import BATCH, MODEL, Scored, measured
from ptheta.tasks.needs import Autoencodes, require
from ptheta.tasks.reconstruct import reconstruct
from ptheta.terminal.progress import watched


@dataclass(frozen=True, kw_only=True)
class Floor(Entry):
    """A baseline. of: reconstructs images by PCA of training images, with as many components as the
    model's code has dimensions"""

    of: Callable[[Principal, int], Repairer]


def principal(found: Principal, size: int) -> Repairer:
    count = min(size, found.axes.shape[1])
    return Repairer(lambda x: found.image(x, count), f"{count} component{'s' * (count != 1)}")


def mean_image(found: Principal, size: int) -> Repairer:
    return Repairer(lambda x: from_unit(found.mean.expand(len(x), -1)).view_as(x))


FLOORS: dict[str, Floor] = {
    "PCA": Floor(
        of=principal, about="as many principal components as the model's code has dimensions"
    ),
    "mean image": Floor(of=mean_image, about="the mean of the training images, for any input"),
}


@torch.no_grad()
def size_of_code(model: nn.Module, x: Tensor, condition: Condition | None = None) -> int:
    """The number of dimensions of a code. x: uint8 (B, C, H, W), of which one image is encoded

    Raises PthetaError if the model cannot reconstruct.
    """
    coder = require(model, Autoencodes, "reconstruct")
    one = None if condition is None else condition[:1]
    return coder.encode(x[:1].to(device_of(model)), one)[0].numel()


@undisturbed()
def score_reconstruction(
    model: nn.Module,
    x: Tensor,
    train: Principal | None = None,
    *,
    condition: Condition | None = None,
    batch_size: int = BATCH,
) -> list[Scored]:
    """Score the reconstruction of images x, uint8 (N, C, H, W), by the model and then the
    baselines.

    train: principal components of training images; without them there are no baselines
    condition: one per image, for a conditional model; batch_size: images per batch; does not affect
        the result
    Raises PthetaError for no image, and if the model cannot reconstruct.
    """
    if not len(x):
        raise PthetaError("no images to reconstruct: give at least one")
    size = size_of_code(model, x, condition)
    parts = [
        reconstruct(
            *(model, x[start : start + batch_size]),
            None if condition is None else condition[start : start + batch_size],
        )
        for start in watched(range(0, len(x), batch_size), "reconstructing")
    ]
    note = f"code of {size} number{'s' * (size != 1)}"
    found = [measured(MODEL, torch.cat(parts).cpu(), x, note)]
    for name, floor in FLOORS.items() if train is not None else ():
        assert train is not None
        ready = floor.of(train, size)
        found.append(measured(name, ready.repair(x), x, ready.note))
    return found
