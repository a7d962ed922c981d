"""Checks of the required memory of models and images before it is allocated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ptheta.compute.room import room
from ptheta.errors import PthetaError, readable_size

if TYPE_CHECKING:
    from ptheta.specs import ImageSpec

M = TypeVar("M", bound=nn.Module)
SMALL = 2**28  # bytes: smaller models are built without counting first
FACTORIES = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye)
)
USED = 2  # copies of the weights: those of a model, and those of the file that is read
TRAINED = 4  # a weight, its gradient and Adam's two moments


def require(wanted: int, what: str, cure: str) -> None:
    """Raise PthetaError if `wanted` bytes are not free. what: start of the message"""
    free = room()
    if free is not None and wanted > free:
        raise PthetaError(
            f"{what} {readable_size(wanted)} of memory and {readable_size(free)} are free: {cure}"
        )


def require_images(n: int, model: nn.Module) -> None:
    """Raise PthetaError if n images of a model, sampled at once, do not fit into memory."""
    floats = 2 * 4 * cast("ImageSpec", model.spec).dims  # two float copies
    require(n * floats, f"{n:,} images at once take", "ask for fewer")


def weights(model: nn.Module) -> int:
    """Bytes of all weights and buffers of a model."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def built(make: Callable[[], M], times: int = USED) -> M:
    """The model that `make` builds. Raises PthetaError, before the memory is allocated, if `times`
    copies of its weights do not fit into memory."""
    noise = torch.get_rng_state()
    try:
        with _Counting(SMALL):
            return make()
    except _Many:
        torch.set_rng_state(noise)
    with torch.device("meta"):  # shapes only
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
    """The weights created so far exceed those of a small model."""


class _Counting(TorchFunctionMode):
    """Context in which tensors of up to `most` bytes in total can be created; beyond, it raises
    _Many before the tensor is allocated."""

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
    """Number of elements requested from a torch factory function, with sizes as one or several
    arguments."""
    sizes = args or (kwargs.get("size", ()),)
    count = 1
    for size in sizes:
        for n in size if isinstance(size, tuple | list) else (size,):
            count *= n if isinstance(n, int) else 1
    return count


def _overflows(error: Exception) -> bool:
    """Whether an error of torch is an integer overflow of a size, which has no error type."""
    return "verflow" in str(error) or "invalid combination" in str(error)
