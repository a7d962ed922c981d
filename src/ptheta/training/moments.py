"""Optimizer states as named tensors: `player/index of the weight/name`.

The names and shapes of a state are determined by one step of a new optimizer, so this works for any
optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ptheta.errors import PthetaError
from ptheta.optimizers import Factory

Slots = dict[str, Tensor]


def weights_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """The weights in the order of its `state_dict`."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def state_of(optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """The state of all optimizers. optimizers: by player name."""
    return {
        f"{player}/{i}/{name}": torch.as_tensor(value)
        for player, optimizer in optimizers.items()
        for i, slots in optimizer.state_dict()["state"].items()
        for name, value in slots.items()
        if value is not None
    }


def kept_by(factory: Factory, weight: Tensor) -> Slots:
    """The state of such an optimizer for a weight, after one step."""
    probe = nn.Parameter(torch.zeros_like(weight))
    probe.grad = torch.zeros_like(probe)
    optimizer = factory([probe])
    optimizer.step()
    return {k: torch.as_tensor(v) for k, v in optimizer.state[probe].items() if v is not None}


def load_state(
    optimizers: Mapping[str, Optimizer], factories: Mapping[str, Factory], state: Slots
) -> None:
    """Restores a state from `state_of`. Raises PthetaError if it does not fit these optimizers:
    other weights, names or shapes, or non-finite values."""
    weights = {player: weights_of(optimizer) for player, optimizer in optimizers.items()}
    found: dict[str, dict[int, Slots]] = {player: {} for player in optimizers}
    for path, value in state.items():
        player, i, name = _split(path)
        if not (i.isdecimal() and int(i) < len(weights.get(player, []))):
            raise PthetaError(f"the optimizers of this model have no {path!r}")
        found[player].setdefault(int(i), {})[name] = value
    for player, optimizer in optimizers.items():
        checked = {
            i: _checked(slots, kept_by(factories[player], weights[player][i]), f"{player}/{i}")
            for i, slots in found[player].items()
        }
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": checked, "param_groups": groups})


def keeps_something(optimizers: Mapping[str, Optimizer], factories: Mapping[str, Factory]) -> bool:
    """Whether any of them has a state; plain gradient descent has none."""
    return any(kept_by(factories[k], p) for k, o in optimizers.items() for p in weights_of(o)[:1])


def _split(path: str) -> tuple[str, str, str]:
    """(player, number of the weight, name)"""
    rest, _, name = path.rpartition("/")
    player, _, i = rest.rpartition("/")
    return player, i, name


def _checked(slots: Slots, expected: Slots, place: str) -> Slots:
    """The state of one weight, in the memory layout of the optimizer."""
    if slots.keys() != expected.keys():
        raise PthetaError(
            f"the optimizer state of a weight has {', '.join(sorted(expected)) or 'nothing'}, "
            f"and the state of {place} has {', '.join(sorted(slots))}"
        )
    found = {}
    for name, like in expected.items():
        value = slots[name]
        alike = value.shape == like.shape and value.is_floating_point() == like.is_floating_point()
        if not alike or not value.isfinite().all():
            raise PthetaError(
                f"the optimizer's {place}/{name} is {value.dtype} {tuple(value.shape)}: "
                f"want finite {like.dtype} of {tuple(like.shape)}"
            )
        found[name] = torch.empty_like(like).copy_(
            value
        )  # fused updates need the same memory layout
    return found
