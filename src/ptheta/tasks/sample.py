"""Sampling: needs `Samples`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, Together
from ptheta.capabilities import Samples, device_of, some_conditions
from ptheta.compute import memory, threads
from ptheta.compute.parts import each
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import Asked, conditions_asked
from ptheta.tasks.effort import threads_for
from ptheta.tasks.needs import prior_cure, require

BATCH = 256  # images per batch


class Wanted(TypedDict, total=False):
    """The requested conditions of samples, by one of these fields.

    labels: names or numbers, in turn; attributes: one vector, for all images
    condition: tensors of n rows, one per image; or texts as a user types them, in turn (see
        `ptheta.tasks.conditions.Asked`)
    """

    labels: Sequence[int | str] | None
    attributes: Sequence[float] | None
    condition: Asked | None


Conditions = Callable[[int, int], Condition | None]  # (start, stop) -> conditions of these images


class Part(NamedTuple):
    """A batch of samples. start: number of the first; x: uint8 (B, C, H, W)"""

    start: int
    x: Tensor

    @property
    def stop(self) -> int:
        """Number of the last image, plus one: where the next batch starts."""
        return self.start + len(self.x)


@undisturbed()
def sample(
    model: nn.Module,
    n: int,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    **asked: Unpack[Wanted],
) -> Tensor:
    """n images, uint8 (n, C, H, W); the same for the same seed, n and batch_size.

    asked: conditions, for a conditional model: see `Wanted`; default: its examples in turn

    Each batch has its own random stream, so that processes can share them: see
    `ptheta.compute.parts`. Raises PthetaError if the model cannot sample or does not support the
    condition.
    """
    parts = sample_batches(model, n, seed=seed, batch_size=batch_size, **asked)
    first = next(parts)
    if first.stop == n:
        return first.x
    wanted = n * first.x[0].numel()
    memory.require(wanted, f"{n:,} images at once take", "sample them in batches (sample_batches)")
    x = first.x.new_empty(n, *first.x.shape[1:])
    x[: first.stop] = first.x
    for part in parts:
        x[part.start : part.stop] = part.x
    return x


def sample_batches(
    model: nn.Module,
    n: int,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    start: int = 0,
    **asked: Unpack[Wanted],
) -> Iterator[Part]:
    """The images of `sample`, bit-identical, batch by batch: memory does not grow with n.

    start: number of the first image, a multiple of batch_size or n, to continue an earlier call

    Between batches torch's random state is that of the caller. Raises as `sample` does, before the
    first batch.
    """
    check_sampling(model, n, batch_size)
    if start < 0 or (start < n and start % batch_size):
        raise PthetaError(f"start = {start}: want a multiple of batch_size = {batch_size}")
    conditions = _conditions(model, n, asked)
    return _drawn(model, n, seed, conditions, batch_size, start)


def sampling_threads(model: nn.Module, n: int, batch_size: int = BATCH) -> int:
    """The default number of threads of `sample`."""
    sampler = check_sampling(model, n, batch_size)
    return threads_for(
        model, lambda: sampler.sample(1, some_conditions(model, 1)), min(n, batch_size)
    )


def check_sampling(model: nn.Module, n: int, batch_size: int = BATCH) -> Samples:
    """The model, typed as `Samples`. Raises PthetaError if it cannot, and for numbers below 1."""
    sampler = require(model, Samples, "sample", prior_cure(model))
    if n < 1:
        raise PthetaError(f"n = {n}: give at least one image")
    if batch_size < 1:
        raise PthetaError(f"batch_size = {batch_size}: give at least 1")
    return sampler


def _drawn(
    model: nn.Module, n: int, seed: int, conditions: Conditions, size: int, start: int
) -> Iterator[Part]:
    count, sampler = sampling_threads(model, n, size), check_sampling(model, n, size)

    def drawn(number: int) -> dict[str, Tensor]:
        first, stop = number * size, min((number + 1) * size, n)
        with threads.using(count), torch.no_grad():
            return {"x": sampler.sample(stop - first, conditions(first, stop)).cpu()}

    numbers = range(-(-start // size), -(-n // size))
    found = each(drawn, numbers, "drawing samples", seed)
    return (Part(number * size, part["x"]) for number, part in zip(numbers, found, strict=True))


def _conditions(model: nn.Module, n: int, asked: Wanted) -> Conditions:
    """The conditions of the images. Raises PthetaError if the model does not support them."""
    rows = rows_wanted(model, asked)
    if rows is None:
        return lambda start, stop: some_conditions(model, stop - start, start)
    if isinstance(asked.get("condition"), Tensor | Together) and len(rows) != n:
        raise PthetaError(f"a condition of {len(rows)} rows: this model needs one for each of {n}")
    count, device = len(rows), device_of(model)
    return lambda start, stop: rows[torch.arange(start, stop, device=device) % count]


def rows_wanted(model: nn.Module, asked: Wanted) -> Condition | None:
    """The requested rows of conditions, on the model's device; None if nothing is requested."""
    return conditions_asked(
        model, asked.get("labels"), asked.get("attributes"), asked.get("condition")
    )
