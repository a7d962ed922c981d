"""Players in turns: the discriminator for two epochs, then the generator for one, and so on."""

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
    """players: that move; length: in steps, or in epochs"""

    players: tuple[str, ...]
    length: float
    in_epochs: bool

    @classmethod
    def parse(cls, text: str) -> Turn:
        """`discriminator=2e` (two epochs), `encoder+decoder=100` (steps). Raises PthetaError for
        another form and for a turn of no length."""
        match = FORM.fullmatch(text)
        length = float(match[2].removesuffix("e")) if match is not None else 0.0
        if match is None or not length:
            raise PthetaError(
                f"alternate = {text}: want players and a number of steps or epochs above 0, as in "
                "discriminator=2e or encoder+decoder=100"
            )
        return cls(tuple(match[1].split("+")), length, match[2].endswith("e"))

    def steps(self, per_epoch: int) -> int:
        """At least one."""
        return max(1, math.ceil(self.length * per_epoch)) if self.in_epochs else int(self.length)


def phases(turns: Sequence[Turn], players: Collection[str], per_epoch: int) -> tuple[Phase, ...]:
    """The turns of a game with these players, in steps.

    Raises PthetaError for a player that the game does not have, and where one has no turn.
    """
    from ptheta.games import Phase  # imports torch, which the settings do without

    named = [name for turn in turns for name in turn.players]
    for name in named:
        if name not in players:
            raise unknown("player", name, players)
    idle = [name for name in players if name not in named]
    if turns and idle:
        raise PthetaError(
            f"alternate gives {', '.join(idle)} no turn, so that it would never learn: name every "
            f"one of {', '.join(players)}"
        )
    return tuple(Phase(frozenset(turn.players), turn.steps(per_epoch)) for turn in turns)
