"""A batch: examples, their conditions, and further columns of the data source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Together:
    """Several named conditions of the same examples, indexed, repeated and moved as one.

    parts: tensors of one length, by the kind of condition
    """

    parts: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, index: int | slice | Tensor) -> Self:
        return replace(self, parts={name: part[index] for name, part in self.parts.items()})

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        parts = ", ".join(f"{k}: {described(v)}" for k, v in self.parts.items())
        return f"{type(self).__name__}({parts})"

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        return self.each(lambda part: part.to(device, non_blocking=non_blocking))

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same conditions, with every tensor changed."""
        return replace(self, parts={name: change(part) for name, part in self.parts.items()})


@dataclass(frozen=True, eq=False, repr=False)
class Between(Together):
    """Interpolation between two conditions, for models that support it (`capabilities.Blends`): the
    embeddings are interpolated as a + share (b - a)."""

    @classmethod
    def of(cls, first: Condition, second: Condition, share: Tensor) -> Between:
        """first, second: conditions of B examples each; share: float (B,), 0 for the first"""
        ends = {"first": _parts(first), "second": _parts(second)}
        named = {f"{end} {kind}": rows for end, parts in ends.items() for kind, rows in parts}
        return cls({**named, SHARE: share})

    @property
    def share(self) -> Tensor:
        return self.parts[SHARE]

    def ends(self) -> tuple[Condition, Condition]:
        """The two conditions."""
        return self._end("first"), self._end("second")

    def _end(self, end: str) -> Condition:
        found = {
            name.removeprefix(f"{end} "): rows
            for name, rows in self.parts.items()
            if name.startswith(f"{end} ")
        }
        return found[""] if "" in found else Together(found)


SHARE = "share"


def _parts(condition: Condition) -> Iterable[tuple[str, Tensor]]:
    """The tensors by kind; "" for a single one."""
    return condition.parts.items() if isinstance(condition, Together) else [("", condition)]


Condition: TypeAlias = Tensor | Together
"""Conditions of examples: a tensor (B, ...) of one kind, or several together."""


def joined(conditions: Sequence[Condition]) -> Condition:
    """Concatenates the conditions of several batches, all of one kind."""
    first = conditions[0]
    if not isinstance(first, Together):
        return torch.cat([c for c in conditions if isinstance(c, Tensor)])
    each = [c.parts for c in conditions if isinstance(c, Together)]
    return replace(first, parts={n: torch.cat([parts[n] for parts in each]) for n in first.parts})


def repeated(condition: Condition, k: int) -> Condition:
    """Repeats a condition k times: (B, ...) -> (k B, ...)."""
    return joined([condition] * k)


@dataclass
class Batch:
    """The input of a loss.

    x: examples in the convention of their spec: images are uint8 (B, C, H, W)
    condition: condition of each example, or None
    extra: further data from the source, such as labels (B,) or masks (B, H, W)
    logs: scalars to log with the losses, detached by the trainer
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
        """The same examples on a device, with empty logs."""
        return self.each(lambda value: value.to(device, non_blocking=True))

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same examples, with every tensor changed and with empty logs."""
        condition = self.condition
        if isinstance(condition, Together):
            condition = condition.each(change)
        elif condition is not None:
            condition = change(condition)
        return Batch(change(self.x), condition, {k: change(v) for k, v in self.extra.items()})

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the batch, except the logs."""
        yield self.x
        if self.condition is not None:
            yield from (part for _, part in _parts(self.condition))
        yield from self.extra.values()


def described(value: Condition) -> str:
    """The dtype and shape of a tensor, and its device if not the CPU."""
    if isinstance(value, Together):
        return str(value)
    where = "" if value.device.type == "cpu" else f" on {value.device}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}{where}"
