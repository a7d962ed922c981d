"""Warnings from the metrics of an adversarial run: mode collapse, and a stopping signal."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from ptheta.games import END

STILL = 20  # intervals of the log over which a run counts as settled
TOLERANCE = 0.02  # relative deviation of what counts as still
FEW = 0.15  # share of the data's diversity that samples never reach
FALL = 0.5  # of the largest diversity or number of classes so far, or of the real images' classes
LOW = 3  # evaluations in a row with too few classes: no longer the start of training
DIVERSITY, GAP = "diversity", "critic_gap"  # the logged metrics that the monitor reads
CLASSES, REAL_CLASSES = "held_out/classes_", "held_out/real_classes_"


class GANMonitor:
    """Monitor of one game, called with the averages of each logged interval.

    It warns immediately when diversity or the number of classes falls. If they were low from the
    start, it warns after `STILL` intervals or `LOW` evaluations, and in any case at the end of the
    run, when the trainer calls it once more with `END` among the names.

    probability: whether the discriminator's outputs are logits; label_smoothing: the setting used
    """

    def __init__(self, probability: bool, label_smoothing: float = 0.0) -> None:
        real = 1 - label_smoothing
        # the loss of an uninformed discriminator: D = (1 - s) / 2 on real and fake
        p = real / 2
        self.blind = -real * math.log(p) - (2 - real) * math.log1p(-p) if probability else None
        self.peak: dict[str, float] = {}
        self.losses: deque[float] = deque(maxlen=STILL)
        self.gaps: deque[float] = deque(maxlen=STILL)
        self.intervals = 0
        self.diversity = math.nan  # the last one
        self.low = 0  # evaluations in a row
        self.few = ""  # result of the last evaluation, if it had too few classes

    def memory(self) -> dict[str, Any]:
        return {
            "peak": dict(self.peak),
            "losses": list(self.losses),
            "gaps": list(self.gaps),
            "intervals": self.intervals,
            "diversity": None if math.isnan(self.diversity) else self.diversity,
            "low": self.low,
            "few": self.few,
        }

    def recall(self, memory: Mapping[str, Any]) -> None:
        self.peak = dict(memory["peak"])
        self.losses = deque(memory["losses"], maxlen=STILL)
        self.gaps = deque(memory["gaps"], maxlen=STILL)
        self.intervals, self.low, self.few = memory["intervals"], memory["low"], memory["few"]
        self.diversity = math.nan if memory["diversity"] is None else memory["diversity"]

    def __call__(self, averages: Mapping[str, float]) -> dict[str, str]:
        """averages: averages of the metrics since the last call, named as in metrics.jsonl"""
        found: dict[str, str] = {}
        for name, value in averages.items():
            if name == f"generator/{DIVERSITY}":
                self.intervals += 1
                found |= self._diversity(value)
            elif name.startswith(CLASSES):
                real = averages.get(REAL_CLASSES + name.removeprefix(CLASSES))
                found |= self._classes(value, real)
        if f"discriminator/{GAP}" in averages:
            found |= self._settled(averages)
        return found | self._last() if END in averages else found

    def _diversity(self, value: float) -> dict[str, str]:
        self.diversity = value
        peak = self.peak["diversity"] = max(self.peak.get("diversity", 0.0), value)
        if peak > 2 * FEW and value < FALL * peak:
            return _alike(value, f", down from {peak:.2g}")
        return _alike(value) if self.intervals >= STILL and value < FEW else {}

    def _classes(self, value: float, real: float | None) -> dict[str, str]:
        """value, real: classes in effect of the samples and of the held-out images (None: not
        known). Both count from 1, which is one class alone."""
        peak = self.peak["classes"] = max(self.peak.get("classes", 0.0), value)
        fewer = real is not None and value - 1 < FALL * (real - 1)
        self.low = self.low + 1 if fewer else 0
        self.few = f"{value:.2g} effective classes, real images {real:.2g}" if fewer else ""
        if peak >= 3 and value < FALL * peak:
            text = (
                f"mode collapse: samples have {value:.2g} effective classes, down from {peak:.2g}: "
                "go back to an earlier checkpoint, or try --minibatch stddev"
            )
            return {"mode collapse": text}
        return self._missing() if self.low >= LOW else {}

    def _missing(self) -> dict[str, str]:
        early = "" if self.low >= LOW else "train for longer, or "
        text = (
            f"mode collapse: samples have {self.few}: "
            f"{early}try --minibatch stddev, another --loss, or a lower --lr"
        )
        return {"mode collapse": text}

    def _last(self) -> dict[str, str]:
        """Warnings at the end of the run."""
        if self.low:
            return self._missing()
        return _alike(self.diversity) if self.diversity < FEW else {}

    def _settled(self, averages: Mapping[str, float]) -> dict[str, str]:
        """Losses near log 2, or an estimate of the distance that no longer moves."""
        self.gaps.append(averages[f"discriminator/{GAP}"])
        self.losses.append(averages["discriminator/adversarial"])
        if len(self.gaps) < STILL:
            return {}
        if self.blind is not None:
            if max(abs(loss - self.blind) for loss in self.losses) > TOLERANCE * self.blind:
                return {}
            text = (
                f"stopping signal: for {STILL} intervals the discriminator's loss has stayed at "
                f"{self.blind:.3f}, the value of a discriminator that cannot tell real from fake"
            )
        else:
            mean = sum(self.gaps) / STILL
            if max(abs(gap - mean) for gap in self.gaps) > TOLERANCE * abs(mean):
                return {}
            text = (
                f"stopping signal: for {STILL} intervals the critic's gap has stayed at {mean:.4g}"
            )
        return {"stopping signal": text}


def _alike(value: float, before: str = "") -> dict[str, str]:
    """The warning of a diversity of this value."""
    text = (
        f"mode collapse: the diversity of samples is {value:.2g} of that of the data{before}: "
        "try --minibatch stddev, another --loss, or a lower --lr"
    )
    return {"mode collapse": text}
