"""How fast a model samples, on this machine."""

from __future__ import annotations

import math
import statistics
import time

import torch
from torch import Tensor, nn

from ptheta.pixels import seeded

NOISE = 0.05


@torch.no_grad()
def sampling_speed(
    model: nn.Module, condition: Tensor | None, n: int = 64, seconds: float = 2.0
) -> tuple[float, float, int]:
    """(images/s, standard error, repeats): the median over draws of n images, after one that does
    not count.

    seconds: draws are repeated for about so long; where the first takes longer, it is the only one
    error: at least `NOISE` of the value: one minute of a machine differs from the next, which
        repeats within a minute do not show
    """

    def draw() -> float:
        start = time.perf_counter()
        model.sample(n, condition).cpu()  # type: ignore[operator]  # waits for the device
        return time.perf_counter() - start

    with seeded(0):
        first = draw()
        if first > seconds:
            return n / first, NOISE * n / first, 1
        times: list[float] = []
        while sum(times) < seconds:
            times.append(draw())
    rate, among = n / statistics.median(times), 0.0
    if len(times) > 1:  # of a median: sqrt(pi / 2) of that of a mean
        spread = statistics.stdev(n / t for t in times)
        among = (math.pi / 2) ** 0.5 * spread / len(times) ** 0.5
    return rate, max(NOISE * rate, among), len(times)
