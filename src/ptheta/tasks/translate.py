"""Image-to-image translation, paired or to a domain: needs `Translates`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ptheta.capabilities import Translates, device_of
from ptheta.compute.parts import each
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError, unknown
from ptheta.tasks.effort import effort
from ptheta.tasks.needs import require
from ptheta.tasks.tiling import LEAST, TILE, tiled

if TYPE_CHECKING:
    from ptheta.specs import ImageSpec

BATCH = 64  # images translated at a time


def translator_of(model: nn.Module) -> Translates:
    """The model, typed as `Translates`. Raises PthetaError if it cannot."""
    return require(model, Translates, "translate")


def domain(model: nn.Module, to: str | int | None) -> int | None:
    """The index of a domain; None for a model trained on pairs.

    to: name or number; None if there is only one
    Raises PthetaError for an unknown domain, for None if there are several, and for a domain if the
    model was trained on pairs.
    """
    known = translator_of(model).domains()
    if not known:
        if to is not None:
            raise PthetaError(
                f"--to {to}: this model learned from pairs, not domains: leave it out"
            )
        return None
    if to is None and len(known) > 1:
        raise PthetaError(
            f"this model translates to {' and '.join(known)}: say which is wanted with --to"
        )
    names = dict.fromkeys(known)
    if to is None:
        return 0
    if isinstance(to, str) and to in names:
        return known.index(to)
    if isinstance(to, int) and 0 <= to < len(known):
        return to
    raise unknown("domain", to, known)


@undisturbed()
@torch.no_grad()
def translate(
    model: nn.Module,
    x: Tensor,
    to: Tensor | str | int | None = None,
    *,
    seed: int = 0,
    tile: int = TILE,
) -> Tensor:
    """Translate images x, uint8 (B, C, H, W) of any height and width: uint8 (B, C', H, W).

    to: the target domain by name or number, for a model of several domains, or int64 (B,), one per
        image
    seed: for stochastic translations
    tile: images of more than tile^2 pixels are processed in tiles of that side, all with the same
        noise (see `ptheta.tasks.tiling`)
    Raises PthetaError if the model cannot translate, for images with other channels, and for an
    unknown domain.
    """
    translator = translator_of(model)
    channels = translator.input_spec().channels
    if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[1] != channels or not x.numel():
        raise PthetaError(
            f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model translates uint8 "
            f"(B, {channels}, H, W)"
        )
    if tile < LEAST:
        raise PthetaError(f"tile = {tile}: want {LEAST} pixels or more")
    given, numbers = x.to(device_of(model)), _numbers(model, to, len(x))
    height, width = x.shape[2:]
    high, wide = min(height, tile), min(width, tile)
    whole = height * width <= tile * tile
    pieces = 1 if whole else -(-height * width // (high * wide))
    first = given[:1] if whole else given[:1, :, :high, :wide]
    one = None if numbers is None else numbers[:1]
    with effort(model, lambda: translator.translate(first, one), len(x) * pieces):
        if whole:
            return _in_batches(translator, given, numbers, seed)
        works = (_of_one_noise(translator, i, numbers, seed) for i in range(len(x)))
        spec = cast("ImageSpec", model.spec)
        return torch.stack([tiled(*both, spec, tile) for both in zip(works, given, strict=True)])


def _in_batches(translator: Translates, x: Tensor, to: Tensor | None, seed: int) -> Tensor:
    def translated(number: int) -> dict[str, Tensor]:
        some = slice(number * BATCH, (number + 1) * BATCH)
        return {"x": translator.translate(x[some], None if to is None else to[some])}

    numbers = range(-(-len(x) // BATCH))
    parts = each(translated, numbers, "translating images", seed)
    return torch.cat([part["x"].cpu() for part in parts])


def _of_one_noise(
    translator: Translates, i: int, to: Tensor | None, seed: int
) -> Callable[[Tensor], Tensor]:
    """A function that translates a tile of image i: all tiles with the same style noise."""
    one = None if to is None else to[i : i + 1]

    def work(tile: Tensor) -> Tensor:
        with seeded(seed):
            return translator.translate(tile, one).cpu()

    return work


def _numbers(model: nn.Module, to: Tensor | str | int | None, n: int) -> Tensor | None:
    """The target domain of each of n images, int64 (n,), on the model's device."""
    if not isinstance(to, Tensor):
        number = domain(model, to)
        return None if number is None else torch.full((n,), number, device=device_of(model))
    known = translator_of(model).domains()
    if not known:
        raise PthetaError("to is given, and this model learned from pairs, not domains")
    whole = to.dtype == torch.int64 and to.shape == (n,)
    if not whole or not 0 <= int(to.min()) <= int(to.max()) < len(known):
        raise PthetaError(
            f"to is {to.dtype} of shape {tuple(to.shape)}: want an int64 of 0 to {len(known) - 1} "
            f"for each of {n} pictures"
        )
    return to.to(device_of(model))
