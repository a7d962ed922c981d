"""Sampling speed on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from ptheta.batch import Condition
from ptheta.capabilities import Samples, device_of
from ptheta.compute import threads
from ptheta.compute.streams import seeded
from ptheta.measures.results import About, Estimate
from ptheta.metrics.conditions import conditions_like
from ptheta.metrics.context import Context
from ptheta.tasks.needs import require
from ptheta.tasks.sample import sampling_threads
from ptheta.terminal.progress import stage, unwatched

SPEED_OF = 64  # images per batch
SECONDS = 2.0  # approximate duration of repeated draws
# minimum relative errors: the speed of a machine varies between minutes, which repetitions within a
# minute do not show; a single draw, which includes the start-up, has twice the error
NOISE, NOISE_OF_ONE = 0.1, 0.2
UNSTEADY = 0.25  # relative error above which no speed is reported


@torch.no_grad()
def sampling_speed(
    model: nn.Module,
    condition: Condition | None,
    *,
    n: int = SPEED_OF,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """Images per second: the median over draws of n images, after a warm-up draw.

    condition: of n images, for a conditional model
    seconds: approximate duration of repeated draws; if the first takes longer, it is the only one
    """
    sampler = require(model, Samples, "sample")

    def take() -> float:
        start = clock()
        sampler.sample(n, condition).cpu()  # waits for the device
        return clock() - start

    count = sampling_threads(model, n)
    with threads.using(count), seeded(0):
        times = [take()]
        if times[0] <= seconds:
            times = [take()]
            while sum(times) < seconds:
                times.append(take())
    machine = f"{device_of(model).type}, {count} threads"
    about = {"batch": n, "repeats": len(times), "machine": machine}
    return of_times(times, n, about)


def of_times(times: Sequence[float], n: int, about: About | None = None) -> Estimate:
    """The speed from the times of draws of n images, in seconds.

    The error is that of a median, from the median absolute deviation of the log-times, which is
    robust to single delayed draws; at least `NOISE` of the value. If it exceeds `UNSTEADY` of the
    value, the machine was busy, and no speed is reported.
    """
    rate = n / statistics.median(times)
    relative = NOISE_OF_ONE
    if len(times) > 1:
        logs = [math.log(max(t, 1e-9)) for t in times]
        middle = statistics.median(logs)
        deviation = 1.4826 * statistics.median(
            abs(v - middle) for v in logs
        )  # median absolute deviation of a normal distribution
        relative = max(NOISE, math.sqrt(math.pi / 2) * deviation / math.sqrt(len(times)))
    about = about or {}
    if relative > UNSTEADY:
        reason = (
            f"the machine was busy: {len(times)} draws took {min(times):.2g} to {max(times):.2g} s"
        )
        return Estimate(None, about=about, reason=reason)
    return Estimate(rate, relative * rate, about=about)


def speed(ctx: Context) -> Estimate:
    """Images per second of the model on this machine."""
    with stage("sampling speed"), unwatched():
        condition = conditions_like(ctx.the_model, ctx.test, SPEED_OF, ctx.seed)
        return sampling_speed(ctx.the_model, condition, seconds=SECONDS)
