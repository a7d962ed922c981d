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

    seconds: draws are repeated for about so long; where the first takes longer, it is the only one
    """

    def draw() -> float:
        start = time.perf_counter()
        model.sample(n, condition).cpu()  # type: ignore[operator]  # waits for the device
        return time.perf_counter() - start

    with seeded(0):
        first = draw()
        if first > seconds:
            return n / first, 1
        times: list[float] = []
        while sum(times) < seconds:
            times.append(draw())
    return n / statistics.median(times), len(times)
