"""Models in other dtypes than float32: the dtype of the weights determines the computation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

from ptheta.capabilities import CAPABILITIES
from ptheta.errors import PthetaError

HALF = (torch.float16, torch.bfloat16)
T = TypeVar("T")
MARK = "in_own_type"  # of a class whose methods are wrapped


def in_own_type(cls: type[T]) -> type[T]:
    """The class itself, all that it can do computed in the type of its weights.

    Images enter and noise is drawn in float64 where the weights are; weights in float16 or bfloat16
    are computed with as under autocast, what comes out being float32.
    """
    if MARK in vars(cls):
        return cls
    every = {name for protocol in CAPABILITIES.values() for name in _methods(protocol)}
    for name in sorted(every | {"conditionals", "sample_from_noise"}):
        method = _method(cls, name)
        if method is not None:
            setattr(cls, name, _wrapped(method))
    setattr(cls, MARK, True)
    return cls


def _methods(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def _method(cls: type, name: str) -> Callable[..., Any] | None:
    """The method as the class or a parent has it, not wrapped before."""
    for parent in cls.__mro__:
        if name in vars(parent):
            found = vars(parent)[name]
            method: Callable[..., Any] = getattr(found, MARK, found)
            return method
    return None


def _wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def inside(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        weight = next((p for p in self.parameters() if p.is_floating_point()), None)
        if weight is None or weight.dtype == torch.get_default_dtype():
            return method(self, *args, **kwargs)
        with _computing(weight):
            wide = torch.get_default_dtype()  # codes and attributes enter in it, too
            entered = {name: _entering(value, wide) for name, value in kwargs.items()}
            return method(self, *(_entering(value, wide) for value in args), **entered)

    setattr(inside, MARK, method)
    return inside


def _entering(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.to(dtype)
    return value


@contextmanager
def _computing(weight: torch.Tensor) -> Iterator[None]:
    """New tensors are of the type of a model's weights; in half they are computed with as such.

    Raises PthetaError where the device cannot compute in half.
    """
    before = torch.get_default_dtype()
    half = weight.dtype in HALF
    torch.set_default_dtype(torch.float32 if half else weight.dtype)
    try:
        with torch.autocast(weight.device.type, weight.dtype if half else None, enabled=half):
            yield
    except RuntimeError as error:
        # torch has no type of error for an operation that a device lacks
        if not half or "not implemented" not in str(error):
            raise
        name, where = str(weight.dtype).removeprefix("torch."), weight.device.type
        raise PthetaError(
            f"this computation is not supported in {name} on the device {where} "
            f"({str(error).splitlines()[0]}): use float32, by .float()"
        ) from error
    finally:
        torch.set_default_dtype(before)
