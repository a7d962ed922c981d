"""Choice of the number of threads of a computation, by the size of its operations.

torch distributes an operation by waking threads and waiting for the last one. For a product of a
few thousand numbers this takes longer than the product itself, and on a busy machine each wait
depends on the scheduler: a model that samples pixel by pixel, with tens of thousands of small
operations, is many times slower with two threads than with one. The work of each operation is
therefore estimated from the tensor shapes for one example, never from timings, so that the same
computation on the same machine always gets the same number of threads. A user setting (`--threads`
or OMP_NUM_THREADS) takes precedence.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import torch
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ptheta.compute.streams import seeded

VARIABLE = "OMP_NUM_THREADS"
# approximate throughput of one core
FLOPS = 2e10  # flops per second of a matrix product
NUMBERS = 1e9  # elements per second of elementwise operations
LARGE = 1e-3  # minimum seconds of an operation for which a second thread pays off
ENOUGH = 1000  # number of operations sampled from a computation

_fixed: ContextVar[bool] = ContextVar("fixed", default=False)


def available() -> int:
    """The number of torch's threads, at most the number of cores available to this process."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on this system
        cores = os.cpu_count() or 1
    return min(torch.get_num_threads(), cores)


def given() -> bool:
    """Whether the user set the number of threads, which takes precedence."""
    return _fixed.get() or os.environ.get(VARIABLE, "").split(",")[0].strip().isdecimal()


@contextmanager
def fixed(count: int) -> Iterator[None]:
    """Context with `count` threads for all computations."""
    token = _fixed.set(True)
    try:
        with using(count):
            yield
    finally:
        _fixed.reset(token)


@contextmanager
def using(count: int) -> Iterator[None]:
    """Context in which torch uses `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def suited(one: Callable[[], object], times: int = 1) -> int:
    """The number of threads for a computation: one, or all that are available.

    one: computes it for one example, on the CPU; interrupted once enough operations are seen; does
        not affect the random state
    times: number of examples computed together, by which the work of every operation is multiplied
    """
    if given():
        return torch.get_num_threads()
    most = available()
    if most == 1:
        return 1
    return most if times * work(one) >= LARGE else 1


def work(one: Callable[[], object]) -> float:
    """The estimated mean time of an operation of a computation in one thread, seconds.

    A computation of more than `ENOUGH` operations is assumed to be repetitive and is judged by the
    later half of these, which excludes work at the start (masks, copies of the weights). Views and
    other operations without computation do not count.
    """
    calls = _Calls()
    with using(1), suppress(_EnoughError), seeded(0), torch.no_grad(), calls:
        one()
    judged = calls.seconds[ENOUGH // 2 :] if len(calls.seconds) >= ENOUGH else calls.seconds
    return statistics.fmean(judged) if judged else 0.0


class _EnoughError(Exception):
    """Enough operations have been seen."""


class _Calls(TorchDispatchMode):
    """Context that estimates the time of every operation, up to `ENOUGH` of them."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.seconds: list[float] = []

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if not _is_view(func):
            self.seconds.append(_seconds(func, args, kwargs or {}, out))
        if len(self.seconds) >= ENOUGH:
            raise _EnoughError
        return out


def _is_view(func: OpOverload) -> bool:
    """Whether an operation returns a view of its argument without computation."""
    returns = func._schema.returns
    alias = returns[0].alias_info if returns else None
    return alias is not None and not alias.is_write


def _seconds(
    func: OpOverload, args: tuple[object, ...], kwargs: Mapping[str, object], out: object
) -> float:
    count = flop_registry.get(func._overloadpacket)
    flops = 0 if count is None else count(*args, **kwargs, out_val=out)
    outputs = out if isinstance(out, tuple | list) else (out,)
    numbers = sum(t.numel() for t in outputs if isinstance(t, torch.Tensor))
    return max(flops / FLOPS, numbers / NUMBERS)
