"""Where trained models compute: the keyword `device` of the functions that use a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import torch

from ptheta.compute.precise import without_tf32
from ptheta.compute.streams import undisturbed
from ptheta.data.memory import Source
from ptheta.runs.folder import Run, is_run
from ptheta.training.group import CPU
from ptheta.training.processes import chosen_device

P = ParamSpec("P")
T = TypeVar("T")
KEYWORD, RUNS = "device", "runs"


def on_device(verb: Callable[P, T]) -> Callable[P, T]:
    """A function of a run, or of several, that computes on `device`, one of its keywords.

    It gets the run, or `runs`, of its first parameter opened on that device ("cpu", "cuda", "mps"
    or "auto"); for None, each is where it was opened, by default on the CPU. On a GPU float32 is
    float32, and the caller's random streams go on as if nothing had been drawn.

    Raises:
        PthetaError: if the device is unknown or not available
    """
    declared = inspect.signature(verb)
    first = next(iter(declared.parameters))

    @wraps(verb)
    def placed(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            given = declared.bind(*args, **kwargs)
        except TypeError:
            return verb(*args, **kwargs)  # which raises it with its name
        device = cast("str | None", kwargs.get(KEYWORD))
        asked = given.arguments[first]
        several = first == RUNS and not isinstance(asked, str | Path | Run)
        runs: list[Source | Run] = list(asked) if several else [asked]
        opened = [_opened(run, device) for run in runs]
        given.arguments[first] = opened if several else opened[0]
        with undisturbed(), ExitStack() as stack:
            for place in {device_of_run(run, device) for run in runs}:
                stack.enter_context(without_tf32(place))
            return verb(*given.args, **given.kwargs)

    return placed


def device_of_run(run: Source | Run, device: str | None) -> torch.device:
    """Where a run computes. Raises PthetaError if the device is not available."""
    if device is not None:
        return chosen_device(device)
    return run.device if isinstance(run, Run) else CPU


def _opened(run: Source | Run, device: str | None) -> Source | Run:
    """The run on the device. What is opened on the CPU anyway, or is no run, is left as it is: the
    function says what is wrong with it."""
    if isinstance(run, Run):
        return Run.open(run, device=device)
    if device is None or chosen_device(device) == CPU or not is_run(run):
        return run
    assert isinstance(run, str | Path)
    return Run.open(run, device=device)
