"""How fast a model samples, on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

from ptheta.pixels import seeded


@torch.no_grad()
def sampling_speed(
    model: nn.Module, condition: Tensor | None, n: int = 64, seconds: float = 2.0
) -> tuple[float, int]:
    """(images/s, repeats): the median over draws of n images, after one that does not count.

    seconds: draws are repeated for about so long, three times at least; a model that takes five
        times as long for one draw is measured on that one
    """
    times: list[float] = []
    with seeded(0):
        start = time.perf_counter()
        model.sample(n, condition)  # type: ignore[operator]
        warm_up = time.perf_counter() - start
        if warm_up > 5 * seconds:  # so slow that its first draw tells enough
            return n / warm_up, 1
        while len(times) < 3 or sum(times) < seconds:
            start = time.perf_counter()
            model.sample(n, condition)  # type: ignore[operator]
            times.append(time.perf_counter() - start)
    return n / statistics.median(times), len(times)
