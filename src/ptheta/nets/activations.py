"""Activations of hidden units, with what a backward pass by hand needs of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """f, the same in place, and gradient *= f'(a) in place: takes the gradient and f(a)."""

    function: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    backward_in_place: Callable[[Tensor, Tensor], None]


def _sigmoid_backward(gradient: Tensor, h: Tensor) -> None:
    torch.ops.aten.sigmoid_backward.grad_input(gradient, h, grad_input=gradient)


def _relu_backward(gradient: Tensor, h: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient, h, 0.0, grad_input=gradient)


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid, torch.sigmoid_, _sigmoid_backward),
    "relu": Activation(torch.relu, torch.relu_, _relu_backward),
}

if TYPE_CHECKING:
    ActivationName: TypeAlias = str
else:  # the options of the command line are read off the table
    ActivationName = Literal[*ACTIVATIONS]
