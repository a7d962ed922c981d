"""A batch: examples, what each is asked for, and what a source gives beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Together:
    """Several named conditions of the same examples, which are indexed, repeated and moved as one.

    parts: tensors of one length, by the kind of condition
    """

    parts: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, index: int | slice | Tensor) -> Together:
        return Together({name: part[index] for name, part in self.parts.items()})

    def __iter__(self) -> Iterator[Together]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Together({', '.join(f'{k}: {described(v)}' for k, v in self.parts.items())})"

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Together:
        moved = {k: v.to(device, non_blocking=non_blocking) for k, v in self.parts.items()}
        return Together(moved)


Condition: TypeAlias = Tensor | Together
"""What examples are asked for: a tensor (B, ...) of one kind, or several together."""


def joined(conditions: Sequence[Condition]) -> Condition:
    """The conditions of several batches, one batch after the other; all of one kind."""
    first = conditions[0]
    if not isinstance(first, Together):
        return torch.cat([c for c in conditions if isinstance(c, Tensor)])
    each = [c.parts for c in conditions if isinstance(c, Together)]
    return Together({name: torch.cat([parts[name] for parts in each]) for name in first.parts})


def repeated(condition: Condition, k: int) -> Condition:
    """k copies, one after the other: (B, ...) -> (k B, ...)."""
    return joined([condition] * k)


@dataclass
class Batch:
    """What a loss sees.

    x: examples in the convention of their spec: images are uint8 (B, C, H, W)
    condition: what each is asked for, or None
    extra: what the source has beside them, such as labels (B,) or masks (B, H, W)
    logs: scalars to write beside the losses, detached by the trainer
    """

    x: Tensor
    condition: Condition | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    logs: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        condition, logs = "", f", {len(self.logs)} logged" if self.logs else ""
        if self.condition is not None:
            condition = f", condition: {described(self.condition)}"
        extra = "".join(f", {name}: {described(value)}" for name, value in self.extra.items())
        return f"Batch(x: {described(self.x)}{condition}{extra}{logs})"

    def to(self, device: torch.device) -> Batch:
        """The same examples on a device; nothing is logged there yet."""
        condition = self.condition
        if condition is not None:
            condition = condition.to(device, non_blocking=True)
        extra = {name: value.to(device, non_blocking=True) for name, value in self.extra.items()}
        return Batch(self.x.to(device, non_blocking=True), condition, extra)


def described(value: Condition) -> str:
    """The type and shape of a tensor, and where it lies if that is not the CPU."""
    if isinstance(value, Together):
        return str(value)
    where = "" if value.device.type == "cpu" else f" on {value.device}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}{where}"
