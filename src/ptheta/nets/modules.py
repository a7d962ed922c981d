"""Typed modules, and the conditional biases of feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from torch import Tensor, nn

from ptheta.batch import Condition

M = TypeVar("M", bound=nn.Module)


class Layer(nn.Module):
    """An `nn.Module` of one tensor in and one out; torch leaves the type of its call open."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> Tensor: ...


class Stack(nn.Sequential, Layer):
    """Layers one after the other."""


class Modules(nn.ModuleList, Generic[M]):
    """An `nn.ModuleList` of modules of one type."""

    if TYPE_CHECKING:  # more precise types of the members than torch's

        def __init__(self, modules: Iterable[M]) -> None: ...

        def __iter__(self) -> Iterator[M]: ...

        @overload
        def __getitem__(self, index: slice) -> Self: ...

        @overload
        def __getitem__(self, index: int) -> M: ...

        def __getitem__(self, index: int | slice) -> M | Self: ...


def condition_shifts(
    label: nn.Module | None, asked: Condition | None, layers: int
) -> list[Tensor | None]:
    """What a condition adds to the maps of each of `layers` layers, (B, F, 1, 1) each; Nones
    without. label: its embedding in layers * F numbers"""
    if label is None or asked is None:
        return [None] * layers
    return list(label(asked)[:, :, None, None].chunk(layers, 1))
