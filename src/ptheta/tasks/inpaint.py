"""Inpainting: needs `Completes`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Completes, InOrder, Searches, device_of, varied
from ptheta.compute.streams import own, seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.masks import area
from ptheta.specs import ImageSpec
from ptheta.tasks.conditions import check_condition
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require


def region(name: str, spec: ImageSpec, seed: int = 0) -> Tensor:
    """The mask of this name: bool (C, H, W).

    name: an entry of `ptheta.masks.MASKS`; seed: for a random mask
    Raises PthetaError for an unknown name.
    """
    return regions(name, 1, spec.shape, seed)[0]


@undisturbed()
def regions(name: str, n: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """The mask of this name for n images (C, H, W): bool (n, C, H, W)."""
    c, h, w = shape
    with seeded(seed):
        return area(name, n, h, w)[:, None].expand(n, c, h, w)


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
    search_steps: int | None = None,
    numbers: Sequence[int] | None = None,
) -> Tensor:
    """Inpaint images x, uint8 (B, C, H, W): sample all unknown pixels; known ones are unchanged.

    known: bool, (C, H, W) or (B, C, H, W); condition: conditions of the images, for a conditional
        model
    candidates: completions to choose from, for known pixels that come late in a model's order; for
        a model that searches for a code, the number of codes
    search_steps: steps of such a search; default: the model's own
    numbers: numbers of the images, by default from 0: a completion depends on the seed and this
        number only, not on the batch
    Raises PthetaError if the model cannot complete images, for a mask of another size, an
    unsupported condition, fewer than one candidate, and for search steps if the model does not
    search. Warns if all pixels are known, and if a single candidate ignores some of the known
    pixels.
    """
    completer = require(model, Completes, "inpaint")
    if candidates < 1:
        raise PthetaError(f"candidates = {candidates}: give at least one")
    y, known = check_condition(model, condition), _fitting(known, x)
    _warn_of_whole(known)
    if bool(known.all()):
        return x.clone()
    if candidates == 1:
        _warn_of_late(model, known)
    elif not varied(model):
        warnings.warn(
            f"candidates = {candidates}: this model has only one completion of an image, so all "
            "candidates would be the same",
            stacklevel=2,
        )
        candidates = 1
    device, one = device_of(model), None if y is None else y[:1]
    given, open_ = x.to(device), known.to(device)
    with (
        searching(model, search_steps),
        effort(model, lambda: completer.complete(given[:1], open_[:1], one), len(x) * candidates),
        own(seed, range(len(x)) if numbers is None else numbers),
    ):
        return torch.where(known, x.cpu(), completer.complete(given, open_, y, candidates).cpu())


@contextmanager
def searching(model: nn.Module, steps: int | None) -> Iterator[None]:
    """Context in which the model searches for `steps` steps; None leaves its own number.

    Raises PthetaError if the model does not search, and for a negative number.
    """
    if steps is None:
        yield
        return
    if not isinstance(model, Searches):
        raise PthetaError(
            f"--search-steps {steps}: this model completes without a search: leave it out"
        )
    if steps < 0:
        raise PthetaError(f"--search-steps {steps}: want 0 or more")
    before = model.search_steps
    model.search_steps = steps
    try:
        yield
    finally:
        model.search_steps = before


def _fitting(known: Tensor, x: Tensor) -> Tensor:
    """The mask of each image, bool (B, C, H, W), on the CPU. Raises PthetaError for a bad mask."""
    if known.dtype != torch.bool or known.shape not in (x.shape, x.shape[1:]):
        raise PthetaError(
            f"known is {known.dtype} of shape {tuple(known.shape)}, and the images have shape "
            f"{tuple(x.shape)}: give a bool mask of that shape, or of one image"
        )
    return known.cpu().expand(x.shape)


def _warn_of_whole(known: Tensor) -> None:
    """Warn if some images have no unknown pixel."""
    whole = int(known.flatten(1).all(1).sum())
    if whole:
        which = "all pixels are known" if whole == len(known) else f"all is known of {whole} images"
        warnings.warn(f"{which}: returned unchanged", stacklevel=3)


def _warn_of_late(model: nn.Module, known: Tensor) -> None:
    """Warn if some of the known (B, C, H, W) sub-pixels follow unknown ones in the model's
    order."""
    if not isinstance(model, InOrder):
        return
    late = int(model.late(known).sum())
    if late:
        warnings.warn(
            f"{late / int(known.sum()):.0%} of the known pixels come after unknown ones in the "
            "model's order, which are sampled without them: with several candidates "
            "(--candidates 50) those that fit best are chosen",
            stacklevel=3,
        )
