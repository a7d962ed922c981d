"""How fast a model samples, on this machine."""

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

SPEED_OF = 64  # images drawn at a time
SECONDS = 2.0  # that draws are repeated for, about
# one minute of a machine differs from the next, which repeats within a minute do not show; a single
# draw, which holds the start, is worth half of that
NOISE, NOISE_OF_ONE = 0.1, 0.2
UNSTEADY = 0.25  # relative error from which no speed is given


@torch.no_grad()
def sampling_speed(
    model: nn.Module,
    condition: Condition | None,
    *,
    n: int = SPEED_OF,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """images/s: the median over draws of n images, after one that does not count.

    condition: of n images, for a conditional model
    seconds: draws are repeated for about so long; where the first takes longer, it is the only one
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
    """The speed from the seconds that each draw of n images took.

    The error is that of a median, from the median deviation of the times' logarithms, so that a
    draw which the machine held up counts as one draw; at least `NOISE` of the value. Where it is
    more than `UNSTEADY` of the value the machine was busy with something else, and no speed is
    given.
    """
    rate = n / statistics.median(times)
    relative = NOISE_OF_ONE
    if len(times) > 1:
        logs = [math.log(max(t, 1e-9)) for t in times]
        middle = statistics.median(logs)
        deviation = 1.4826 * statistics.median(abs(v - middle) for v in logs)  # of a normal one
        relative = max(NOISE, math.sqrt(math.pi / 2) * deviation / math.sqrt(len(times)))
    about = about or {}
    if relative > UNSTEADY:
        reason = (
            f"the machine was busy: {len(times)} draws took {min(times):.2g} to {max(times):.2g} s"
        )
        return Estimate(None, about=about, reason=reason)
    return Estimate(rate, relative * rate, about=about)


def speed(ctx: Context) -> Estimate:
    """images/s of the model, on this machine."""
    with stage("sampling speed"), unwatched():
        condition = conditions_like(ctx.the_model, ctx.test, SPEED_OF, ctx.seed)
        return sampling_speed(ctx.the_model, condition, seconds=SECONDS)
