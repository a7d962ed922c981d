"""How fast a model samples, on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ptheta.batch import Condition
from ptheta.capabilities import device_of
from ptheta.compute import threads
from ptheta.compute.streams import seeded
from ptheta.measures.results import Result
from ptheta.tasks.sample import sampling_threads

SPEED_OF = 64  # images drawn at a time
# one minute of a machine differs from the next, which repeats within a minute do not show; a single
# draw, which holds the start, is worth half of that
NOISE, NOISE_OF_ONE = 0.1, 0.2
UNSTEADY = 0.25  # relative error from which no speed is given


@torch.no_grad()
def sampling_speed(
    model: nn.Module,
    condition: Condition | None,
    protocol: Mapping[str, Any],
    *,
    n: int = SPEED_OF,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Result:
    """images/s: the median over draws of n images, after one that does not count.

    condition: of n images, for a conditional model
    seconds: draws are repeated for about so long; where the first takes longer, it is the only one
    """

    def take() -> float:
        start = clock()
        model.sample(n, condition).cpu()  # type: ignore[operator]  # waits for the device
        return clock() - start

    count = sampling_threads(model, n)
    with threads.using(count), seeded(0):
        times = [take()]
        if times[0] <= seconds:
            times = [take()]
            while sum(times) < seconds:
                times.append(take())
    machine = f"{device_of(model).type}, {count} threads"
    about = {**protocol, "batch": n, "repeats": len(times), "machine": machine}
    return of_times(times, n, about)


def of_times(times: Sequence[float], n: int, protocol: Mapping[str, Any]) -> Result:
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
    name, unit = "sampling_speed", "images/s"
    if relative > UNSTEADY:
        reason = (
            f"the machine was busy: {len(times)} draws took {min(times):.2g} to {max(times):.2g} s"
        )
        return Result(name, None, unit, better="higher", reason=reason, protocol=protocol)
    return Result(name, rate, unit, "=", relative * rate, "higher", protocol=protocol)
