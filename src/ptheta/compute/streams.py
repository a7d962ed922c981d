"""Random streams: torch's, NumPy's and Python's, seeded for a while or left alone; and noise that
belongs to the example, whichever process draws it.

The processes of a training have one stream and share each batch: process r of R holds examples
r, r + R, r + 2 R, ... Noise of an example is drawn by `normal`, `uniform`, `integers` and the like,
which draw for the whole batch and keep this process's rows. So the numbers of an example, and where
the stream is afterwards, do not depend on how many processes there are. Noise that is of the step
and not of an example is drawn by torch itself, alike in all of them. What is a function of several
examples is computed of the whole batch: see `whole`.
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


# -- noise of examples


Gather = Callable[[Tensor], Tensor]


def _as_it_is(x: Tensor) -> Tensor:
    return x


class _Share:
    """Which rows of a batch are here: those of process `rank` of `size`; gather: as of `shared`

    each: the streams of the examples, as of `own`; none where they share torch's
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.gather: Gather = _as_it_is
        self.each: tuple[torch.Generator, ...] = ()


_share = _Share()


@contextmanager
def shared(rank: int, size: int, gather: Gather = _as_it_is) -> Iterator[None]:
    """Inside, what is here of a batch is the share of process `rank` of `size`.

    gather: rows (B, ...) of this share -> those of all shares, (B * size, ...), in the order of the
        batch; by default a function of several examples is one of those that are here
    """
    before = _share.rank, _share.size, _share.gather
    _share.rank, _share.size, _share.gather = rank, size, gather
    try:
        yield
    finally:
        _share.rank, _share.size, _share.gather = before


@contextmanager
def alone() -> Iterator[None]:
    """Inside, all of a batch is here: no other process shares what is drawn."""
    with shared(0, 1):
        yield


@contextmanager
def own(seed: int, numbers: Sequence[int]) -> Iterator[None]:
    """Inside, every example draws from a stream of its own, on the CPU, so that its noise does not
    depend on the examples beside it.

    numbers: of the examples of the batch at hand, in order; example i has a stream that `seed` and
        its number decide
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
    """Noise of n rows, several for each example, all first ones first."""
    k = n // len(_share.each)
    drawn = torch.stack([draw(k, stream) for stream in _share.each], 1)
    return drawn.flatten(0, 1).to(device)


def whole(x: Tensor) -> Tensor:
    """The rows x (B, ...) of the examples here, with those of all other processes, differentiable:
    what a loss or a layer makes of them is then a function of the whole batch, whoever computes it.
    Every process must come here alike. Whole numbers stay so, up to 2^24."""
    if _share.size == 1:
        return x
    every = _share.gather(x)
    return every if x.is_floating_point() else every.to(x.dtype)


def total(n: int) -> int:
    """How many examples the whole batch has, of which n are here."""
    return n * _share.size


def here(x: Tensor) -> Tensor:
    """Of rows x (B, ...) of the whole batch, those of the examples here."""
    return _mine(x)


def back(x: Tensor) -> Tensor:
    """Of rows x that were made of what `whole` gives, one for each of its rows, those of the
    examples here; all of them where it gives no more than is here."""
    return x if _share.gather is _as_it_is else _mine(x)


def deviation(x: Tensor) -> Tensor:
    """The standard deviation of all numbers of the whole batch, of which x (B, ...) is here: ().

    As `x.std()`; of each example only its mean and its sum of squares are sent.
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
    """N(0, 1): (n, *shape). n: examples that are here, or several for each, all first ones first"""
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
    """Whole numbers from `low` to `high` - 1: (n, *shape). n: as in `normal`"""
    if _share.each:
        return _of_each(
            n,
            lambda k, s: torch.randint(low, high, (k, *shape), generator=s, dtype=dtype),
            device,
        )
    return _mine(torch.randint(low, high, (n * _share.size, *shape), device=device, dtype=dtype))


def normal_like(x: Tensor) -> Tensor:
    """N(0, 1) for each number of x (B, ...)."""
    if _share.each:
        return normal(*x.shape, device=x.device).to(x)
    return torch.randn_like(x) if _share.size == 1 else _mine(torch.randn_like(_whole(x)))


def uniform_like(x: Tensor) -> Tensor:
    """U(0, 1) for each number of x (B, ...)."""
    if _share.each:
        return uniform(*x.shape, device=x.device, dtype=x.dtype)
    return torch.rand_like(x) if _share.size == 1 else _mine(torch.rand_like(_whole(x)))


def categorical(log_weights: Tensor) -> Tensor:
    """One of K for each example, drawn in proportion to its weight: (B, K) -> int64 (B,)"""
    wide = torch.float32 if log_weights.device.type == "mps" else torch.float64
    cumulative = log_weights.to(wide).softmax(1).cumsum(1)
    u = uniform(len(log_weights), 1, device=log_weights.device, dtype=cumulative.dtype)
    return (cumulative < u * cumulative[:, -1:]).sum(1).clamp(max=log_weights.shape[1] - 1)


def _mine(whole: Tensor) -> Tensor:
    return whole if _share.size == 1 else whole[_share.rank :: _share.size]


def _whole(x: Tensor) -> Tensor:
    """An empty batch of all examples, laid out in memory as x (B, ...) is: noise is drawn in the
    order of memory."""
    shape = (len(x) * _share.size, *x.shape[1:])
    inner = x[0].numel()
    dense = x.numel() == len(x) * inner and (len(x) == 1 or x.stride(0) == inner)
    if not dense:
        return x.new_empty(shape)
    return x.new_empty_strided(shape, (inner, *x.stride()[1:]))


class Dropout(nn.Dropout):
    """Dropout whose mask belongs to the example."""

    def forward(self, x: Tensor) -> Tensor:
        if _share.size == 1 or not self.training or not self.p:
            return super().forward(x)
        return x * _kept(torch.empty_like(_whole(x)), self.p)


class Dropout2d(nn.Dropout2d):
    """Dropout of whole maps whose mask belongs to the example: x (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        if _share.size == 1 or not self.training or not self.p:
            return super().forward(x)
        return x * _kept(x.new_empty(len(x) * _share.size, x.shape[1], 1, 1), self.p)


def _kept(whole: Tensor, p: float) -> Tensor:
    """1 / (1 - p) where a number is kept, else 0, of the examples here."""
    return _mine(whole.bernoulli_(1 - p).div_(1 - p))
