"""The threads that a task gets: as many as its work is large enough for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import Decodes, device_of
from ptheta.compute import threads
from ptheta.tasks.needs import require


def threads_for(model: nn.Module, one: Callable[[], object], times: int) -> int:
    """For what `one` does for one image, done for `times` images together."""
    if device_of(model).type != "cpu":
        return torch.get_num_threads()  # it is the device that computes
    return threads.suited(one, times)


@contextmanager
def effort(model: nn.Module, one: Callable[[], object], times: int) -> Iterator[None]:
    """Inside, torch has these threads."""
    with threads.using(threads_for(model, one, times)):
        yield


def decoded(model: nn.Module, z: Tensor, condition: Condition | None) -> Tensor:
    """The images of codes (B, L), by a model that decodes."""
    made = require(model, Decodes, "decode")
    one = None if condition is None else condition[:1]
    with effort(model, lambda: made.decode(z[:1], one), len(z)):
        return made.decode(z, condition)
