"""Monitor of a game with several stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptheta.games import END
from ptheta.models.adversarial.monitor import GANMonitor

GENERATOR, DISCRIMINATOR = "generator", "discriminator"  # as a `GANMonitor` knows its two players


class StagesMonitor:
    """A `GANMonitor` for each pair of players, (generator, discriminator).

    probability: as of `GANMonitor`
    """

    def __init__(self, pairs: Sequence[tuple[str, str]], probability: bool) -> None:
        self.pairs = tuple(pairs)
        self.players = {player for pair in self.pairs for player in pair}
        self.monitors = [GANMonitor(probability) for _ in self.pairs]

    def __call__(self, averages: Mapping[str, float]) -> dict[str, str]:
        """Averages without a player, such as the classes of samples, are passed to the first
        monitor."""
        found: dict[str, str] = {}
        of_all = {n: v for n, v in averages.items() if n.partition("/")[0] not in self.players}
        for pair, monitor in zip(self.pairs, self.monitors, strict=True):
            found |= monitor(of_all | _of(pair, averages))
            of_all = {name: value for name, value in of_all.items() if name == END}
        return found

    def memory(self) -> dict[str, object]:
        return {"stages": [monitor.memory() for monitor in self.monitors]}

    def recall(self, memory: Mapping[str, Any]) -> None:
        for monitor, kept in zip(self.monitors, memory["stages"], strict=True):
            monitor.recall(kept)


def _of(pair: tuple[str, str], averages: Mapping[str, float]) -> dict[str, float]:
    """The numbers of these two players under the names that a `GANMonitor` knows."""
    known = dict(zip(pair, (GENERATOR, DISCRIMINATOR), strict=True))
    split = {name: name.partition("/") for name in averages}
    return {
        f"{known[player]}/{rest}": averages[name]
        for name, (player, _, rest) in split.items()
        if player in known
    }
