"""Activations of hidden units, with the derivatives for hand-written backward passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor

from ptheta.config import Entry, OneOf


@dataclass(frozen=True)
class ByHand:
    """in_place: f, written over its argument
    backward: gradient *= f'(a) in place; takes the gradient and f(a)
    """

    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Activation(Entry):
    """by_hand: what `sparse_prefix` needs; without it the hidden units are computed densely"""

    function: Callable[[Tensor], Tensor]
    by_hand: ByHand | None = None


def _sigmoid_backward(gradient: Tensor, h: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(gradient, h, grad_input=gradient)


def _relu_backward(gradient: Tensor, h: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient, h, 0.0, grad_input=gradient)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(torch.sigmoid, ByHand(torch.sigmoid_, _sigmoid_backward)),
    "relu": Activation(torch.relu, ByHand(torch.relu_, _relu_backward)),
}

ActivationName: TypeAlias = Annotated[str, OneOf(ACTIVATIONS)]
