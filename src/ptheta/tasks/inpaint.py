"""Inpainting: needs `Completes`."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, InOrder, device_of
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError, unknown
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort

REGIONS = ("upper", "lower", "left", "right", "border", "centre")


def region(name: str, spec: ImageSpec) -> Tensor:
    """Which pixels a named part of the image holds: bool (C, H, W).

    upper, lower, left, right: a half; centre: the middle half of rows and columns; border: the rest
    Raises PthetaError for another name.
    """
    _, h, w = spec.shape
    part = torch.zeros(h, w, dtype=torch.bool)
    middle = (slice(h // 4, h - h // 4), slice(w // 4, w - w // 4))
    if name == "upper":
        part[: h // 2] = True
    elif name == "lower":
        part[h // 2 :] = True
    elif name == "left":
        part[:, : w // 2] = True
    elif name == "right":
        part[:, w // 2 :] = True
    elif name == "centre":
        part[middle] = True
    elif name == "border":
        part[:] = True
        part[middle] = False
    else:
        raise unknown("region", name, REGIONS)
    return part.expand(spec.shape)


@undisturbed()
@torch.no_grad()
def inpaint(
    model: nn.Module,
    x: Tensor,
    known: Tensor,
    *,
    seed: int = 0,
    labels: Condition | None = None,
    candidates: int = 1,
) -> Tensor:
    """The images x, uint8 (B, C, H, W), with all drawn anew that is not known.

    known: bool, (C, H, W) or (B, C, H, W); labels: int64 (B,) for a conditional model
    candidates: completions to choose from, for known pixels that come late in a model's order
    Raises PthetaError where the model cannot complete images, for labels that it does not take or
    know, and for fewer than one candidate. Warns where one candidate looks only at a part of the
    known pixels.
    """
    if not isinstance(model, Completes):
        raise PthetaError("this model cannot inpaint: it has no `complete`")
    if candidates < 1:
        raise PthetaError(f"candidates = {candidates}: ask for at least one")
    device = device_of(model)
    known, y = known.to(device).expand(x.shape), check_condition(model, labels)
    if candidates == 1:
        _warn_of_late(model, known)
    x, one = x.to(device), None if y is None else y[:1]
    with (
        effort(model, lambda: model.complete(x[:1], known[:1], one), len(x) * candidates),
        seeded(seed),
    ):
        return model.complete(x, known, y, candidates).cpu()


def _warn_of_late(model: nn.Module, known: Tensor) -> None:
    """Says so where some of the known (B, C, H, W) sub-pixels follow unknown ones."""
    if not isinstance(model, InOrder):
        return
    late = int(model.late(known).sum())
    if late:
        warnings.warn(
            f"{late / int(known.sum()):.0%} of the known pixels follow unknown ones in the model's "
            "order, and these are drawn without a look at them: among several candidates "
            "(--candidates 50) those are chosen that meet them",
            stacklevel=3,
        )
