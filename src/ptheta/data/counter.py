"""Random numbers as a function of a counter: no state, the same on every platform."""

from __future__ import annotations

import numpy as np


def hash64(seed: int, counter: np.ndarray) -> np.ndarray:
    """uint64 counters -> uint64 noise: splitmix64's finaliser (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = counter.astype(np.uint64) + np.uint64(seed % 2**32 + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def below(seed: int, counter: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Uniform integers 0..n-1 (n < 2^32), one for each counter: int64."""
    with np.errstate(over="ignore"):
        high = hash64(seed, counter) >> np.uint64(32)
        return ((high * np.asarray(n, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)
