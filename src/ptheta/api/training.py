"""The `create`, `train` and `load` functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ptheta import config
from ptheta.api.plugging import for_processes
from ptheta.api.together import together
from ptheta.callbacks import Callback
from ptheta.compute.streams import undisturbed
from ptheta.conditions import ConditionSpec, is_condition, word
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.memory import Handed, Source
from ptheta.data.names import record
from ptheta.errors import Interrupted, PthetaError
from ptheta.files.atomic import leftover, locked
from ptheta.files.out import check_folder
from ptheta.files.paths import HUB, exists, expand
from ptheta.metrics.selection import Selection
from ptheta.models import registry
from ptheta.models.own import registered
from ptheta.runs import plan
from ptheta.runs.config_file import has_config
from ptheta.runs.folder import Run
from ptheta.runs.hub import ADDRESS
from ptheta.runs.places import refuse_to_change
from ptheta.runs.worker import FromProgram, work
from ptheta.specs import DataSpec
from ptheta.terminal.signals import Stopped
from ptheta.training import launchers
from ptheta.training.checkpoint import latest, step_of
from ptheta.training.processes import launch
from ptheta.training.ranks import refuse_unguarded
from ptheta.training.scoring import Score


@undisturbed()
def create(
    name: str, spec: DataSpec, *, condition: ConditionSpec | None = None, **options: object
) -> nn.Module:
    """Create a model of the registry with newly initialised weights.

    The weights are drawn from torch's global random generator; set its seed for other weights.

    Args:
        name: name of the model
        spec: what one example is, an `ImageSpec` or a `VectorSpec`
        condition: what the model is conditioned on: `ptheta.Labels(names)` or
            `ptheta.Attributes(names)`
        options: fields of the model's config

    Raises:
        PthetaError: for an unknown model or option (the message names the nearest one), a value out
            of range, or a spec or condition that the model does not support
    """
    if not isinstance(spec, DataSpec):
        raise PthetaError(f"spec = {spec!r}: give a ptheta.ImageSpec or a ptheta.VectorSpec")
    if condition is not None and not is_condition(condition):
        raise PthetaError(
            f"condition = {condition!r}: give ptheta.Labels(names) or ptheta.Attributes(names)"
        )
    found = registry.entry(name)
    cls = found.load_config()
    if condition is not None and "condition" in config.options(cls):
        options["condition"] = word(condition)
    return found.build(spec, config.build(cls, options, f"option of {name}"), condition)


@undisturbed()
def train(
    model: str | type[nn.Module] | nn.Module,
    data: Source | None,
    out: str | Path,
    *,
    recipe: str = "default",
    resume: bool = False,
    more_data: bool = False,
    callbacks: Sequence[Callback] = (),
    **options: object,
) -> Run:
    """Train a model and return its run.

    Args:
        model: name in the registry; or a module class, whose constructor takes the spec and then
            the options; or a module, a copy of which is trained. It has `game()`, `fit(batches)` or
            `loss(batch)`; see docs/plugins.md
        data: name of a data set, a path, or images in memory (see `ptheta.open_data`); a `Dataset`
            is used whole. With `resume`: new location of the run's data, or None to read them
            where the run did
        out: run folder; may exist only with resume=True
        recipe: one of the model's recipes
        resume: continue the run in `out`
        more_data: with `resume`, also train on images added to the data since
        callbacks: follow the training (`ptheta.callbacks`); single-process training only
        options: fields of the model's config, of `DataSettings` (plan) and of `TrainSettings`

    Raises:
        PthetaError: for invalid input, an existing run without `resume`, data that lacks images of
            the run or has others without `more_data` (before anything is written), or a loss that
            is not finite
        Interrupted: after SIGINT, SIGTERM, SIGHUP or SIGUSR1, once the checkpoint is written; or if
            a signal ended one of several processes

    In a process that torchrun or srun started with others, all of them train this run.
    """
    refuse_unguarded()
    if more_data and not resume:
        raise PthetaError("--more-data needs --resume: add it, or leave --more-data out")
    asked = Asked(named(model), data, recipe, resume, more_data, tuple(callbacks))
    place = launchers.here()
    if place is not None:
        return together(asked, out, options, place)
    if launchers.attempts(os.environ):  # torchrun starts a command again as it was
        asked = asked._replace(resume=True)
    folder = checked_out(out)
    with locked(folder, "training"):
        return _train(asked, folder, options)


def checked_out(out: str | Path) -> Path:
    """The run folder to write. Raises PthetaError if it cannot be written."""
    folder = check_folder(out)
    refuse_to_change(folder, "choose another --out")
    return folder


def refuse_taken(folder: Path) -> None:
    """Raises PthetaError if a folder is not empty, so that no new run can be written to it."""
    if has_config(folder):
        raise PthetaError(
            f"{folder} contains a run: add --resume to continue it, or choose another --out"
        )
    if folder.exists() and not all(map(leftover, folder.iterdir())):
        raise PthetaError(f"{folder} is not empty and not a run: choose another --out")


def named(model: str | type[nn.Module] | nn.Module) -> str:
    """The registry name of a model; classes and instances are registered."""
    return model if isinstance(model, str) else registered(model).name


class Asked(NamedTuple):
    """The arguments of `train`."""

    model: str
    data: Source | None
    recipe: str
    resume: bool
    more_data: bool
    callbacks: tuple[Callback, ...]

    def given(self, bring: Callable[[], None] | None = None) -> FromProgram:
        """The objects that the training processes need. bring: registers the program's entries"""
        data = self.data
        handed = None if data is None or isinstance(data, str | Path) else Handed(data)
        return FromProgram(handed, _scorer, self.callbacks, bring)


def planned(asked: Asked, folder: Path, options: dict[str, object]) -> plan.Plan:
    """The plan of a new or resumed run. Raises PthetaError if the folder holds another one."""
    model, data = asked.model, asked.data
    started = has_config(folder)
    if not (started and asked.resume):
        refuse_taken(folder)
    if not started:
        if data is None:
            raise no_data(folder, asked.resume)
        if isinstance(data, ImageDataset) and data.levels != 256:
            options = {"levels": data.levels, "dynamic": data.dynamic} | options
        return plan.make(model, data, options, asked.recipe)
    run = Run.open(folder)
    old = run.plan
    if old.model != model:
        raise PthetaError(
            f"{folder} was trained with model {old.model}, not {model}: choose another --out"
        )
    extended = plan.extend(old, options)
    if data is None:
        run.place()  # raises where the data cannot be read from
    return replace(extended, source=record(data)) if isinstance(data, str | Path) else extended


def no_data(folder: Path | None = None, resume: bool = False) -> PthetaError:
    """The error for a training without data in a folder that holds no run."""
    place = "" if folder is None else f"{folder} "
    why = f"{place}contains no run to continue" if resume else f"no data to train {place}on"
    return PthetaError(f"{why}: give a name or a path with --data (in Python data=)")


def _train(asked: Asked, folder: Path, options: dict[str, object]) -> Run:
    """`train`, once the folder is locked."""
    started = has_config(folder)
    new = planned(asked, folder, options)
    if asked.callbacks and new.train.processes > 1:
        raise PthetaError(
            "callbacks work only in single-process training, and processes is "
            f"{new.train.processes}: leave processes out, or read metrics.jsonl"
        )
    try:
        given = asked.given(for_processes(new, new.train.processes))
        how = (new.to_json(), str(folder), started, asked.more_data, given)
        stopped = launch(new.train, work, *how)
        if stopped is not None:
            raise Stopped(stopped)
    except (Interrupted, Stopped) as by:
        raise Interrupted(f"{by}; {what_is_left(folder)}", by.number) from None
    return Run.open(folder)


def _scorer(reserve: Dataset) -> Score:
    """The score that selects the best checkpoint on these images, in each process."""
    return Selection(reserve)


def what_is_left(folder: Path) -> str:
    """How to continue a run that was ended by a signal."""
    last = latest(folder / "state")
    if last is not None:
        return f"the checkpoint of step {step_of(last):,} is in {folder}: continue with --resume"
    if has_config(folder):
        return f"{folder} has no checkpoint yet: start again with --resume"
    return f"{folder} is still empty: train again"


@undisturbed()
def load(run: str | Path, weights: str = "best") -> nn.Module:
    """Load the trained model of a run, in eval mode.

    Args:
        run: run folder; `example:NAME`; or a run on the Hugging Face hub, `hf://ORG/NAME`, or
            `ORG/NAME` where there is no such folder
        weights: "best" or "last"

    Raises:
        PthetaError: if there is no such run, or it cannot be downloaded
    """
    on_hub = isinstance(run, str) and ADDRESS.fullmatch(run) is not None
    if on_hub and not exists(expand(run)):
        run = f"{HUB}{run}"
    return Run.open(run).model(weights)
