"""What the numbers of an adversarial run say: mode collapse, and that there is nothing to learn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

STILL = 20  # intervals of the log over which a run counts as settled
TOLERANCE = 0.02  # relative deviation of what counts as still
FEW = 0.15  # share of the data's diversity that samples never reach
FALL = 0.5  # of the largest diversity or number of classes so far


class Watch:
    """Reads the averages of each logged interval; an instance is the alarm of one game.

    probability: the discriminator's outputs are logits; label_smoothing: what it was trained with
    """

    def __init__(self, probability: bool, label_smoothing: float = 0.0) -> None:
        real = 1 - label_smoothing
        # the loss of a discriminator that cannot tell: D = (1 - s) / 2 on real and fake alike
        p = real / 2
        self.blind = -real * math.log(p) - (2 - real) * math.log1p(-p) if probability else None
        self.peak: dict[str, float] = {}
        self.losses: deque[float] = deque(maxlen=STILL)
        self.gaps: deque[float] = deque(maxlen=STILL)
        self.intervals = 0

    def __call__(self, averages: Mapping[str, float]) -> dict[str, str]:
        """averages: of what was logged since the last call, names as in metrics.jsonl"""
        found: dict[str, str] = {}
        for name, value in averages.items():
            if name == "generator/diversity":
                self.intervals += 1
                found |= self._diversity(value)
            elif name.startswith("held_out/classes_"):
                found |= self._classes(value)
        if "discriminator/critic_gap" in averages:
            found |= self._settled(averages)
        return found

    def _diversity(self, value: float) -> dict[str, str]:
        peak = self.peak["diversity"] = max(self.peak.get("diversity", 0.0), value)
        fell = peak > 2 * FEW and value < FALL * peak
        if not fell and not (self.intervals >= STILL and value < FEW):
            return {}
        before = f", after {peak:.2g}" if fell else ""
        text = (
            f"mode collapse: samples differ by {value:.2g} of what the data differs{before}: "
            "try --minibatch stddev, another --loss, or a lower --lr"
        )
        return {"mode collapse": text}

    def _classes(self, value: float) -> dict[str, str]:
        peak = self.peak["classes"] = max(self.peak.get("classes", 0.0), value)
        if peak < 3 or value >= FALL * peak:
            return {}
        text = (
            f"mode collapse: samples are of {value:.2g} classes in effect, after {peak:.2g}: "
            "go back to an earlier checkpoint, or try --minibatch stddev"
        )
        return {"mode collapse": text}

    def _settled(self, averages: Mapping[str, float]) -> dict[str, str]:
        """Losses near log 2, or an estimate of the distance that no longer moves."""
        self.gaps.append(averages["discriminator/critic_gap"])
        self.losses.append(averages["discriminator/adversarial"])
        if len(self.gaps) < STILL:
            return {}
        if self.blind is not None:
            if max(abs(loss - self.blind) for loss in self.losses) > TOLERANCE * self.blind:
                return {}
            text = (
                f"stopping signal: for {STILL} intervals the discriminator's loss has been "
                f"{self.blind:.3f}, that of one which cannot tell real from fake"
            )
        else:
            mean = sum(self.gaps) / STILL
            if max(abs(gap - mean) for gap in self.gaps) > TOLERANCE * abs(mean):
                return {}
            text = (
                f"stopping signal: for {STILL} intervals the critic's gap has stayed at {mean:.4g}"
            )
        return {"stopping signal": text}
