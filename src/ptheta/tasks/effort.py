"""Number of threads of a task, by the size of its work."""

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
    """Number of threads for `times` images together, given `one`, the work for one image."""
    if device_of(model).type != "cpu":
        return torch.get_num_threads()  # the GPU computes, not CPU threads
    return threads.suited(one, times)


@contextmanager
def effort(model: nn.Module, one: Callable[[], object], times: int) -> Iterator[None]:
    """Context with this number of torch threads, see `threads_for`."""
    with threads.using(threads_for(model, one, times)):
        yield


def decoded(model: nn.Module, z: Tensor, condition: Condition | None) -> Tensor:
    """Decode codes (B, L) to images, which are on the CPU wherever the model is."""
    made, z = require(model, Decodes, "decode"), z.to(device_of(model))
    one = None if condition is None else condition[:1]
    with effort(model, lambda: made.decode(z[:1], one), len(z)):
        return made.decode(z, condition).cpu()
