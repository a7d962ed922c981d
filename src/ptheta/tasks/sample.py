"""Sampling: needs `Samples`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, Together
from ptheta.capabilities import Samples, device_of, some_conditions
from ptheta.compute import memory, threads
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError
from ptheta.tasks.conditions import Asked, conditions_asked
from ptheta.tasks.effort import threads_for
from ptheta.tasks.needs import prior_cure, require
from ptheta.terminal.progress import watched

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


@dataclass(frozen=True)
class Place:
    """The state needed to continue sampling.

    done: number of images drawn so far
    noise: the states of torch's random streams at that point, uint8 (S,) each: CPU, and the model's
        device if it is another one; empty before the first image
    """

    done: int = 0
    noise: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Part:
    """A batch of samples. start: number of the first; x: uint8 (B, C, H, W)

    after: the state to continue from
    """

    start: int
    x: Tensor
    after: Place


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
    Raises PthetaError if the model cannot sample or does not support the condition.
    """
    parts = sample_batches(model, n, seed=seed, batch_size=batch_size, **asked)
    first = next(parts)
    if first.after.done == n:
        return first.x
    wanted = n * first.x[0].numel()
    memory.require(wanted, f"{n:,} images at once take", "sample them in batches (sample_batches)")
    x = first.x.new_empty(n, *first.x.shape[1:])
    x[: first.after.done] = first.x
    for part in parts:
        x[part.start : part.after.done] = part.x
    return x


def sample_batches(
    model: nn.Module,
    n: int,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
    place: Place | None = None,
    **asked: Unpack[Wanted],
) -> Iterator[Part]:
    """The images of `sample`, bit-identical, batch by batch: memory does not grow with n.

    place: the state of an earlier call (`Part.after`), to continue it
    Between batches torch's random state is that of the caller. Raises as `sample` does, before the
    first batch.
    """
    check_sampling(model, n, batch_size)
    if place is not None and 0 < place.done < n and not place.noise:
        raise PthetaError(
            f"place: after {place.done:,} images it needs the states of the random streams"
        )
    conditions = _conditions(model, n, asked)
    return _drawn(model, n, seed, conditions, batch_size, place or Place())


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
    model: nn.Module, n: int, seed: int, conditions: Conditions, size: int, place: Place
) -> Iterator[Part]:
    count, sampler = sampling_threads(model, n, size), check_sampling(model, n, size)
    for _ in watched(range(place.done, n, size), "drawing samples"):
        start, stop = place.done, min(place.done + size, n)
        with threads.using(count), seeded(seed), torch.no_grad():
            _go_on(model, place.noise)
            x = sampler.sample(stop - start, conditions(start, stop)).cpu()
            place = Place(stop, _noise(model))
        yield Part(start, x, place)


def _noise(model: nn.Module) -> tuple[Tensor, ...]:
    """The states of the random streams that a model uses."""
    device, here = device_of(model), torch.get_rng_state()
    if device.type == "cpu":
        return (here,)
    return here, torch.get_device_module(device).get_rng_state(device)


def _go_on(model: nn.Module, noise: tuple[Tensor, ...]) -> None:
    """Restore the random states from `_noise`; does nothing if empty."""
    if not noise:
        return
    torch.set_rng_state(noise[0])
    device = device_of(model)
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(noise[1], device)


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
