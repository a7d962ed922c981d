"""Random streams: temporary seeding and protection of the global generators of torch, NumPy and
Python; and per-example noise that does not depend on the number of processes.

The processes of a training run have identical random streams and split each batch: process r of R
holds examples r, r + R, r + 2 R, ... The noise of an example is drawn by `normal`, `uniform`,
`integers` and similar functions, which draw for the whole batch and keep the rows of this process.
So neither the noise of an example nor the state of the stream afterwards depends on the number of
processes. Noise per step, not per example, is drawn by torch directly and is equal in all
processes. Functions of several examples are computed on the whole batch: see `whole`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Context in which torch is seeded by `seed`; its random state is restored on exit."""
    with torch.random.fork_rng(_devices()):
        torch.manual_seed(seed)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Context that restores the random states of torch, NumPy and Python on exit. Also a decorator:
    `@undisturbed()`.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(_devices()):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _devices() -> range:
    """The GPUs with an initialised random stream."""
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


# -- per-example noise


Gather = Callable[[Tensor], Tensor]


def _as_it_is(x: Tensor) -> Tensor:
    return x


class _Share:
    """Which rows of a batch are local: those of process `rank` of `size`; gather: see `shared`

    each: the streams of the examples, see `own`; empty if they share that of torch
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.gather: Gather = _as_it_is
        self.each: tuple[torch.Generator, ...] = ()


_share = _Share()


@contextmanager
def shared(rank: int, size: int, gather: Gather = _as_it_is) -> Iterator[None]:
    """Context in which the local rows of a batch are those of process `rank` of `size`.

    gather: local rows (B, ...) -> those of all processes, (B * size, ...), in the order of the
        batch; by default functions of several examples use the local ones only
    """
    before = _share.rank, _share.size, _share.gather
    _share.rank, _share.size, _share.gather = rank, size, gather
    try:
        yield
    finally:
        _share.rank, _share.size, _share.gather = before


@contextmanager
def alone() -> Iterator[None]:
    """Context in which the whole batch is local: noise is not shared with other processes."""
    with shared(0, 1):
        yield


@contextmanager
def own(seed: int, numbers: Sequence[int]) -> Iterator[None]:
    """Context in which every example has its own random stream, on the CPU, so that its noise does
    not depend on the other examples of the batch.

    numbers: numbers of the examples of the batch, in order; `seed` and the number determine the
        stream of an example
    """
    before, seeds = _share.each, (np.random.SeedSequence((seed, n)) for n in numbers)
    found = (int(s.generate_state(1, np.uint64)[0] >> np.uint64(1)) for s in seeds)
    _share.each = tuple(torch.Generator().manual_seed(number) for number in found)
    try:
        yield
    finally:
        _share.each = before


Draw = Callable[[int, torch.Generator], Tensor]  # (rows, stream) -> noise (rows, ...)


def _of_each(n: int, draw: Draw, device: torch.device | None) -> Tensor:
    """Noise of n rows, a multiple of the number of examples, ordered by repetition, then
    example."""
    k = n // len(_share.each)
    drawn = torch.stack([draw(k, stream) for stream in _share.each], 1)
    return drawn.flatten(0, 1).to(device)


def whole(x: Tensor) -> Tensor:
    """Gather the local rows x (B, ...) with those of all other processes, differentiably, so that a
    loss or layer can be a function of the whole batch. All processes must call this together.
    Whole numbers keep their type, and are exact up to 2^24."""
    if _share.size == 1:
        return x
    every = _share.gather(x)
    return every if x.is_floating_point() else every.to(x.dtype)


def total(n: int) -> int:
    """Number of examples of the whole batch, of which n are local."""
    return n * _share.size


def here(x: Tensor) -> Tensor:
    """The local rows of rows x (B, ...) of the whole batch."""
    return _mine(x)


def back(x: Tensor) -> Tensor:
    """The local rows of x, computed row by row from the result of `whole`; all rows if `whole`
    gathers nothing."""
    return x if _share.gather is _as_it_is else _mine(x)


def deviation(x: Tensor) -> Tensor:
    """The standard deviation of all elements of the whole batch, with x (B, ...) its local rows:
    ().

    As `x.std()`; only the mean and the sum of squares of each example are communicated.
    """
    if _share.size == 1:
        return x.std()
    each = x.flatten(1)
    mean, dims = each.mean(1), each.shape[1]
    squares = (each - mean[:, None]).square().sum(1)
    mean, squares = whole(torch.stack([mean, squares], 1)).unbind(1)
    between = dims * (mean - mean.mean()).square().sum()
    return ((squares.sum() + between) / (len(mean) * dims - 1)).sqrt()


def normal(n: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """N(0, 1): (n, *shape). n: the number of local examples or a multiple of it, by repetition,
    then example"""
    if _share.each:
        return _of_each(n, lambda k, own: torch.randn(k, *shape, generator=own), device)
    return _mine(torch.randn(n * _share.size, *shape, device=device))


def uniform(
    n: int, *shape: int, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """U(0, 1): (n, *shape). n: as in `normal`"""
    if _share.each:
        return _of_each(n, lambda k, s: torch.rand(k, *shape, generator=s, dtype=dtype), device)
    return _mine(torch.rand(n * _share.size, *shape, device=device, dtype=dtype))


def integers(
    low: int,
    high: int,
    n: int,
    *shape: int,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.int64,
) -> Tensor:
    """Integers from `low` to `high` - 1: (n, *shape). n: as in `normal`"""
    if _share.each:
        return _of_each(
            n,
            lambda k, s: torch.randint(low, high, (k, *shape), generator=s, dtype=dtype),
            device,
        )
    return _mine(torch.randint(low, high, (n * _share.size, *shape), device=device, dtype=dtype))


def normal_like(x: Tensor) -> Tensor:
    """N(0, 1) for each element of x (B, ...)."""
    if _share.each:
        return normal(*x.shape, device=x.device).to(x)
    return torch.randn_like(x) if _share.size == 1 else _mine(torch.randn_like(_whole(x)))


def uniform_like(x: Tensor) -> Tensor:
    """U(0, 1) for each element of x (B, ...)."""
    if _share.each:
        return uniform(*x.shape, device=x.device, dtype=x.dtype)
    return torch.rand_like(x) if _share.size == 1 else _mine(torch.rand_like(_whole(x)))


def categorical(log_weights: Tensor) -> Tensor:
    """Sample one of K categories per example, in proportion to the weights: (B, K) -> int64 (B,)"""
    wide = torch.float32 if log_weights.device.type == "mps" else torch.float64
    cumulative = log_weights.to(wide).softmax(1).cumsum(1)
    u = uniform(len(log_weights), 1, device=log_weights.device, dtype=cumulative.dtype)
    return (cumulative < u * cumulative[:, -1:]).sum(1).clamp(max=log_weights.shape[1] - 1)


def _mine(whole: Tensor) -> Tensor:
    return whole if _share.size == 1 else whole[_share.rank :: _share.size]


def _whole(x: Tensor) -> Tensor:
    """An empty batch of all examples with the memory layout of x (B, ...), since noise is drawn in
    memory order."""
    shape = (len(x) * _share.size, *x.shape[1:])
    inner = x[0].numel()
    dense = x.numel() == len(x) * inner and (len(x) == 1 or x.stride(0) == inner)
    if not dense:
        return x.new_empty(shape)
    return x.new_empty_strided(shape, (inner, *x.stride()[1:]))


class Dropout(nn.Dropout):
    """Dropout with a per-example mask that does not depend on the number of processes."""

    def forward(self, x: Tensor) -> Tensor:
        if _share.size == 1 or not self.training or not self.p:
            return super().forward(x)
        return x * _kept(torch.empty_like(_whole(x)), self.p)


class Dropout2d(nn.Dropout2d):
    """`Dropout` of whole channels: x (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        if _share.size == 1 or not self.training or not self.p:
            return super().forward(x)
        return x * _kept(x.new_empty(len(x) * _share.size, x.shape[1], 1, 1), self.p)


def _kept(whole: Tensor, p: float) -> Tensor:
    """The mask of the local examples: 1 / (1 - p) for kept elements, else 0."""
    return _mine(whole.bernoulli_(1 - p).div_(1 - p))
