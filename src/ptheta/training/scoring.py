"""The metric on held-out images that selects the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import nn

from ptheta.training.progress import Progress


class Scored(NamedTuple):
    """The score of a model on held-out images. others: further metrics to log."""

    metric: str
    value: float
    lower_is_better: bool
    others: Mapping[str, float] = {}

    def beats(self, best: Progress) -> bool:
        """Whether it is the best so far. Non-finite values never are; a metric other than before
        has no earlier best."""
        if not math.isfinite(self.value):
            return False
        if math.isnan(best.best_value) or self.metric != best.best_metric:
            return True
        sign = 1 if self.lower_is_better else -1
        return sign * self.value < sign * best.best_value


Score = Callable[[nn.Module], Scored | None]  # None if no metric applies to the model
