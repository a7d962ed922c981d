"""Memory: what a model and its images would take is known before it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ptheta.compute.room import room
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.specs import ImageSpec

M = TypeVar("M", bound=nn.Module)
SMALL = 2**28  # bytes: weights below this are made without being counted first
FACTORIES = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye)
)
USED = 2  # times the weights: those of a model, and those of the file that they are read from
TRAINED = 4  # a weight, its gradient and Adam's two moments


def require(wanted: int, what: str, cure: str) -> None:
    """Raises PthetaError where `wanted` bytes are more than are free. what: needs them"""
    free = room()
    if free is not None and wanted > free:
        raise PthetaError(f"{what} {_size(wanted)} of memory and {_size(free)} are free: {cure}")


def require_images(n: int, model: nn.Module) -> None:
    """Raises PthetaError where n images of a model, drawn at once, do not fit into memory."""
    floats = 2 * 4 * cast("ImageSpec", model.spec).dims  # of an image, as drawn and as shown
    require(n * floats, f"{n:,} images at once take", "ask for fewer")


def weights(model: nn.Module) -> int:
    """Bytes of all weights and buffers of a model."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def built(make: Callable[[], M], times: int = USED) -> M:
    """The model that `make` builds. Raises PthetaError, before its memory is taken, where `times`
    its weights do not fit into memory."""
    noise = torch.get_rng_state()
    try:
        with _Counting(SMALL):
            return make()
    except _Many:
        torch.set_rng_state(noise)
    with torch.device("meta"):  # shapes alone
        try:
            wanted = weights(make())
        except (RuntimeError, OverflowError, TypeError) as error:
            if not _overflows(error):
                raise
            wanted = 2**63
    what = "this model, with what is needed to train it, takes"
    cure = "make it smaller: fewer or narrower layers, a smaller code"
    require(times * wanted, what if times == TRAINED else "this model takes", cure)
    return make()


class _Many(Exception):
    """The weights made so far are more than a small model has."""


class _Counting(TorchFunctionMode):
    """Inside, tensors may be made up to `most` bytes in all; then it raises _Many, before the one
    that is too many is made."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if func in FACTORIES:
            self.left -= 4 * _numbers(args, kwargs or {})
            if self.left < 0:
                raise _Many
        return func(*args, **(kwargs or {}))


def _numbers(args: tuple[object, ...], kwargs: Mapping[str, object]) -> int:
    """How many numbers a factory of torch is asked for: its sizes are one argument or several."""
    sizes = args or (kwargs.get("size", ()),)
    count = 1
    for size in sizes:
        for n in size if isinstance(size, tuple | list) else (size,):
            count *= n if isinstance(n, int) else 1
    return count


def _overflows(error: Exception) -> bool:
    """Whether torch says that a size is beyond its numbers, for which it has no type of error."""
    return "verflow" in str(error) or "invalid combination" in str(error)


def _size(n: int) -> str:
    return f"{n / 2**30:,.1f} GiB" if n < 2**63 else "more than 8 billion GiB"
