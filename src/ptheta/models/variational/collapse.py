"""Warns of posterior collapse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COLLAPSED = 0.5  # KL in nats below which the code carries no information about x
UNUSED = 0.5  # dimensions, on average over an interval, below which none counts as used


@dataclass(frozen=True)
class CollapseMonitor:
    """Warns of posterior collapse (Bowman et al. 2016, arXiv:1511.06349).

    Based on the KL if it is a loss term, else (iwae) on the active units.

    player: the player with the posterior; it logs `active_units`, and `kl` if it is a loss term
    """

    player: str

    def __call__(self, averages: Mapping[str, float]) -> dict[str, str]:
        """averages: averages of the metrics since the last call, named as in metrics.jsonl"""
        used = averages.get(f"{self.player}/active_units")
        if used is None:
            return {}
        kl = averages.get(f"{self.player}/kl")
        if kl is None:
            detail, cure = "", "a smaller --latent or a lower --lr"
            collapsed = used < UNUSED
        else:
            detail, cure = f"the KL is {kl:.2g} nats and ", "--beta-warmup or --free-bits"
            collapsed = kl < COLLAPSED
        text = (
            f"posterior collapse: {detail}{used:.0f} dimensions are active, so the code carries "
            f"no information about x: try {cure}"
        )
        return {"posterior collapse": text} if collapsed else {}
