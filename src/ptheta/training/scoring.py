"""The metric on held-out images that chooses the weights to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import nn

from ptheta.training.progress import Progress


class Scored(NamedTuple):
    """What a model scores on held-out images; others: numbers to write beside it."""

    metric: str
    value: float
    lower_is_better: bool
    others: Mapping[str, float] = {}

    def beats(self, best: Progress) -> bool:
        """Whether it is the best so far. A value that is not finite never is, and another metric
        than before has nothing to beat."""
        if not math.isfinite(self.value):
            return False
        if math.isnan(best.best_value) or self.metric != best.best_metric:
            return True
        sign = 1 if self.lower_is_better else -1
        return sign * self.value < sign * best.best_value


Score = Callable[[nn.Module], Scored | None]  # None where nothing scores such a model
