"""Random streams: torch's, NumPy's and Python's, seeded for a while or left alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch draws from `seed`; outside, its stream goes on as if nothing had happened."""
    with torch.random.fork_rng(_devices()):
        torch.manual_seed(seed)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, noise is drawn as ever; outside, the caller's random streams (torch's, NumPy's and
    Python's) go on as if nothing had happened. A decorator, too: `@undisturbed()`.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(_devices()):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _devices() -> range:
    """The GPUs that have a random stream by now."""
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)
