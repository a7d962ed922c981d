"""Inpainting: needs `Completes`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, InOrder, device_of
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError, unknown
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require

Box = tuple[slice, slice]  # rows and columns
ALL = slice(None)


def _middle(n: int) -> slice:
    return slice(n // 4, n - n // 4)


# name -> the part of an image of (height, width); a half, or the middle half of rows and columns
BOXES: Mapping[str, Callable[[int, int], Box]] = {
    "upper": lambda h, w: (slice(h // 2), ALL),
    "lower": lambda h, w: (slice(h // 2, None), ALL),
    "left": lambda h, w: (ALL, slice(w // 2)),
    "right": lambda h, w: (ALL, slice(w // 2, None)),
    "centre": lambda h, w: (_middle(h), _middle(w)),
}
REST = {"border": "centre"}  # all but another part
REGIONS = ("upper", "lower", "left", "right", "border", "centre")


def region(name: str, spec: ImageSpec) -> Tensor:
    """Which pixels a named part of the image holds: bool (C, H, W).

    upper, lower, left, right: a half; centre: the middle half of rows and columns; border: the rest
    Raises PthetaError for another name.
    """
    if name not in REGIONS:
        raise unknown("region", name, REGIONS)
    _, h, w = spec.shape
    part = torch.zeros(h, w, dtype=torch.bool)
    part[BOXES[REST.get(name, name)](h, w)] = True
    return (~part if name in REST else part).expand(spec.shape)


@undisturbed()
@torch.no_grad()
def inpaint(
    model: nn.Module,
    x: Tensor,
    known: Tensor,
    *,
    seed: int = 0,
    condition: Condition | None = None,
    candidates: int = 1,
) -> Tensor:
    """The images x, uint8 (B, C, H, W), with all drawn anew that is not known.

    known: bool, (C, H, W) or (B, C, H, W); condition: of each, for a conditional model
    candidates: completions to choose from, for known pixels that come late in a model's order
    Raises PthetaError where the model cannot complete images, for a condition that it does not
    take or know, and for fewer than one candidate. Warns where one candidate looks only at a part
    of the known pixels.
    """
    completer = require(model, Completes, "inpaint")
    if candidates < 1:
        raise PthetaError(f"candidates = {candidates}: ask for at least one")
    device = device_of(model)
    known, y = known.to(device).expand(x.shape), check_condition(model, condition)
    if candidates == 1:
        _warn_of_late(model, known)
    x, one = x.to(device), None if y is None else y[:1]
    with (
        effort(model, lambda: completer.complete(x[:1], known[:1], one), len(x) * candidates),
        seeded(seed),
    ):
        return completer.complete(x, known, y, candidates).cpu()


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
