"""Alternating players: the discriminator for two epochs, then the generator for one, and so on."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptheta.errors import PthetaError, unknown

if TYPE_CHECKING:
    from ptheta.games import Phase

FORM = re.compile(r"([^=+\s]+(?:\+[^=+\s]+)*)=(\d{1,9}|\d{0,9}\.?\d{1,9}e)")


@dataclass(frozen=True)
class Turn:
    """players: players that move; length: in steps or epochs"""

    players: tuple[str, ...]
    length: float
    in_epochs: bool

    @classmethod
    def parse(cls, text: str) -> Turn:
        """`discriminator=2e` (two epochs), `encoder+decoder=100` (steps). Raises PthetaError for
        another form and for a length of zero."""
        match = FORM.fullmatch(text)
        length = float(match[2].removesuffix("e")) if match is not None else 0.0
        if match is None or not length:
            raise PthetaError(
                f"alternate = {text}: want players and a number of steps or epochs above 0, as in "
                "discriminator=2e or encoder+decoder=100"
            )
        return cls(tuple(match[1].split("+")), length, match[2].endswith("e"))

    def steps(self, per_epoch: int) -> int:
        """Length in steps, at least one."""
        return max(1, math.ceil(self.length * per_epoch)) if self.in_epochs else int(self.length)


def phases(turns: Sequence[Turn], players: Collection[str], per_epoch: int) -> tuple[Phase, ...]:
    """The turns of a game with these players, in steps.

    Raises PthetaError for an unknown player, and for a player without a turn.
    """
    from ptheta.games import Phase  # imports torch, which settings must not

    named = [name for turn in turns for name in turn.players]
    for name in named:
        if name not in players:
            raise unknown("player", name, players)
    idle = [name for name in players if name not in named]
    if turns and idle:
        raise PthetaError(
            f"alternate has no turn for {', '.join(idle)}, which would never be trained: include "
            f"all of {', '.join(players)}"
        )
    return tuple(Phase(frozenset(turn.players), turn.steps(per_epoch)) for turn in turns)
