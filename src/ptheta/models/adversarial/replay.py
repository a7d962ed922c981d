"""Past fakes for the discriminator (Shrivastava et al. 2017, section 2.3, arXiv:1612.07828)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, Together, joined
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec


class Generated(NamedTuple):
    """x: fakes as a network sees them, (B, *scaled_shape), detached; z: codes (B, L)

    condition: of each, or None
    """

    x: Tensor
    z: Tensor
    condition: Condition | None


class Replay(nn.Module):
    """Up to `size` past fakes, as buffers: they are in the checkpoints of a run.

    Several processes keep the same ones, of the whole batch.

    filled: how many there are; images (size, *scaled_shape), or other examples, codes (size, L) and
        conditions of them
    """

    filled: Tensor
    images: Tensor
    codes: Tensor

    def __init__(
        self, size: int, shape: tuple[int, ...], code_dim: int, condition: ConditionSpec | None
    ) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("codes", torch.zeros(size, code_dim))
        asked = None if condition is None else condition.examples(size)
        self.parts = tuple(asked.parts) if isinstance(asked, Together) else ()
        for name, part in _by_name(asked).items():
            self.register_buffer(f"condition_{name}", part.clone())

    def _conditions(self) -> dict[str, Tensor]:
        """The tensors that the conditions consist of, by name."""
        start = "condition_"
        return {k.removeprefix(start): b for k, b in self.named_buffers() if k.startswith(start)}

    def stored(self, rows: Tensor) -> Generated:
        """The fakes in these places."""
        conditions = {name: part[rows] for name, part in self._conditions().items()}
        condition: Condition | None = Together(conditions) if self.parts else conditions.get("")
        return Generated(self.images[rows], self.codes[rows], condition)

    def mixed(self, new: Generated) -> Generated:
        """The first half of the fakes of a step, and as many past ones, drawn at random."""
        device, total = self.filled.device, streams.total(len(new.x))
        old = min(total // 2, int(self.filled))
        if not old:
            return new
        drawn = torch.randperm(int(self.filled), device=device)[:old]
        places = streams.here(torch.arange(total, device=device))  # in the whole batch
        kept = int((places < total - old).sum())  # of the new ones that are here, the first
        past = self.stored(drawn[places[kept:] - (total - old)])
        condition = None
        if new.condition is not None and past.condition is not None:
            condition = joined([new.condition[:kept], past.condition])
        x = torch.cat([new.x[:kept], past.x.to(new.x.dtype)])
        return Generated(x, torch.cat([new.z[:kept], past.z.to(new.z.dtype)]), condition)

    def update(self, new: Generated) -> None:
        """Half of the fakes of a step go into empty places, or into those of random past ones."""
        n = min(max(1, streams.total(len(new.x)) // 2), self.size)
        start = int(self.filled)
        rows = torch.randperm(self.size, device=self.filled.device)[:n]
        if start < self.size:
            rows = torch.arange(start, start + n, device=rows.device) % self.size
        self.images[rows] = streams.whole(new.x)[:n].to(self.images.dtype)
        self.codes[rows] = streams.whole(new.z)[:n].to(self.codes.dtype)
        given = _by_name(new.condition)
        for name, part in self._conditions().items():
            part[rows] = streams.whole(given[name])[:n].to(part.dtype)
        self.filled.fill_(min(self.size, start + n))


def _by_name(condition: Condition | None) -> dict[str, Tensor]:
    """The tensors that a condition consists of; one alone has no name."""
    if condition is None:
        return {}
    return dict(condition.parts) if isinstance(condition, Together) else {"": condition}
