"""Sweeps: one run for each setting of a grid and each seed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Protocol

import torch

from ptheta import config, plugins, schemas
from ptheta.config import Option, brief
from ptheta.data.dataset import Dataset
from ptheta.data.names import shortened
from ptheta.errors import CannotWrite, Interrupted, InUse, PthetaError, unknown
from ptheta.files.atomic import locked, make_folder, read_json, there, write_json
from ptheta.files.out import check_folder
from ptheta.files.paths import expand
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.runs.folder import Run, is_run
from ptheta.runs.from_plan import build_model, condition_of, open_plan_data
from ptheta.runs.jobs import Job, Outcome
from ptheta.terminal import screen

RECORD = "sweep.json"
LOGS = "logs"  # folder for the output of trainings that are processes of their own
PATIENCE, PAUSE = 100, 0.1  # how often to try to lock the record, and seconds between
LONGEST = 200  # maximum length in bytes of a setting's name, used for folders


@dataclass(frozen=True)
class Sweep:
    """Result of a sweep.

    failed: folder name -> error message; elsewhere: names of folders in which another program was
    training
    """

    path: Path
    runs: list[Run]
    failed: dict[str, str]
    elsewhere: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        path = shortened(self.path)
        return f"Sweep({path!r}: {self.counts()})"

    def counts(self) -> str:
        """How many runs were trained, failed, and are trained by other programs."""
        text = f"{len(self.runs)} runs trained, {len(self.failed)} failed"
        n = len(self.elsewhere)
        return f"{text}, {n} in training by another program" if n else text


def vary(model: str, texts: Sequence[str]) -> dict[str, list[str]]:
    """Parses `name=a,b` for each option to vary; parts of a tuple value are joined by `+`.

    Raises PthetaError for an invalid text, an unknown option, or a duplicate.
    """
    known: dict[str, Option] = {}
    for cls in plan.sections(model).values():
        known |= config.options(cls)
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise PthetaError(f"--vary {text}: want NAME=VALUE,VALUE,... such as lr=1e-4,2e-4")
        if name not in known:
            raise unknown(f"option of {model}", name, known)
        if name in found:
            raise PthetaError(f"--vary {text}: {name} is already varied: list all values in one")
        if name == "seed":
            raise PthetaError("--vary seed: give --seeds NUMBER instead")
        parts = [value.strip() for value in values.split(",")]
        found[name] = [p.replace("+", ",") if known[name].is_tuple else p for p in parts]
    return found


def grid(values: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """Every combination of the values, one table of options each."""
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


@dataclass(frozen=True)
class Trainings:
    """The trainings of a sweep: a model on data, with each setting and seed.

    settings: tables of options; options: options shared by all runs
    """

    model: str
    data: str | Path
    settings: Sequence[Mapping[str, object]]
    seeds: int
    recipe: str
    options: Mapping[str, object]

    def check(self) -> None:
        """Raises PthetaError for no seeds, duplicate settings, and settings that cannot be trained.
        Builds every model without allocating weights, so that none fails hours later."""
        if self.seeds < 1:
            raise PthetaError(f"seeds = {self.seeds}: give at least one")
        if any("seed" in table for table in (self.options, *self.settings)):
            raise PthetaError("seed is not an option of a sweep: give the number of seeds as seeds")
        self._check_names()
        training: Dataset | None = None
        known: list[plan.Plan] = []
        for setting in self.settings:
            made = plan.make(self.model, self.data, self._with(setting), self.recipe)
            if made in known:
                twin = _name(self.settings[known.index(made)])
                raise PthetaError(
                    f"the settings {twin} and {_name(setting)} are the same training: give one"
                )
            known.append(made)
            if training is None:
                training = open_plan_data(made, "train")
            with torch.device("meta"):
                build_model(made, training.spec, condition_of(made, training))

    def _with(self, setting: Mapping[str, object]) -> dict[str, object]:
        """The shared options with those of a setting; drops options that do not apply."""
        idle = set[str]()
        recipe = registry.entry(self.model).recipes().get(self.recipe, {})
        for name, part in plan.sections(self.model).items():
            known = config.options(part)
            asked = {**recipe.get(name, {}), **self.options, **setting}
            built: config.Config = config.build(
                part, {k: v for k, v in asked.items() if k in known}
            )
            for option in (o for o in self.options if o in known):
                varied = set(config.masters(known, option)) & setting.keys()
                if varied and config.idle_option(built, [option]) is not None:
                    idle.add(option)
        used = {name: value for name, value in self.options.items() if name not in idle}
        return {**used, **setting}

    def _check_names(self) -> None:
        names = [_name(setting) for setting in self.settings]
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise PthetaError(f"the setting {twice} is given twice: give each once")
        for name in names:
            if len(name.encode()) > LONGEST:
                raise PthetaError(
                    f"the name of the setting {brief(name)} is too long for a folder: vary fewer "
                    "options"
                )

    def runs(self) -> dict[str, dict[str, object]]:
        """Folder name -> options of each run; all settings with seed 0 come first."""
        return {
            ",".join(filter(None, (_name(setting), f"seed={seed}"))): {
                **self._with(setting),
                "seed": seed,
            }
            for seed in range(self.seeds)
            for setting in self.settings
        }


class Way(Protocol):
    """A way to do the trainings of a sweep: name -> options of each."""

    def __call__(
        self, folder: Path, trainings: Trainings, runs: Mapping[str, Mapping[str, object]]
    ) -> Iterator[tuple[str, Outcome]]: ...


def sweep(way: Way, trainings: Trainings, out: str | Path) -> Sweep:
    """Does the trainings in a way, and keeps the record of the folder.

    A run that another program is training at the moment is left to it: the lock of its folder is a
    lease, so that several programs, also of several machines, can share a sweep. Trainings that
    failed before are tried again.
    """
    folder = check_folder(out)
    trainings.check()
    runs = trainings.runs()
    _refuse_others(folder, trainings, runs)
    make_folder(folder)
    found = dict[str, Outcome]()
    for name, outcome in way(folder, trainings, runs):
        found[name] = outcome
        if outcome.kind != "trained":
            screen.above(f"{name}: {outcome.kind}: {outcome.message}", sys.stderr)
        if outcome.kind != "elsewhere":
            _record(folder, trainings, name, outcome)
    return Sweep(
        folder,
        [Run.open(folder / n) for n in runs if n in found and found[n].kind == "trained"],
        {n: o.message for n, o in found.items() if o.kind == "failed"},
        [n for n, o in found.items() if o.kind == "elsewhere"],
    )


def _refuse_others(
    folder: Path, trainings: Trainings, runs: Mapping[str, Mapping[str, object]]
) -> None:
    """Raises PthetaError, before any training, if runs in the folder are of another model, other
    data or other options, so that they cannot go on."""
    cure = "choose another --out"
    if (model := _recorded_model(folder)) not in (None, trainings.model):
        raise PthetaError(
            f"{folder} is a sweep of the model {brief(model)}, not {trainings.model}: {cure}"
        )
    for name, options in runs.items():
        if not is_run(folder / name):
            continue
        run = Run.open(folder / name)
        if run.plan.model != trainings.model:
            raise PthetaError(
                f"{run.path} is of the model {run.plan.model}, not {trainings.model}: {cure}"
            )
        plan.extend(run.plan, options)
        run.own(trainings.data)


def _recorded_model(folder: Path) -> object:
    """The model of the sweep of a folder; None if there is none, or its record is damaged."""
    try:
        values = read_json(folder / RECORD)
    except PthetaError:
        return None
    return values.get("model") if isinstance(values, dict) else None


def in_turn(train: Callable[..., Run]) -> Way:
    """One after the other in this process, by a function like `ptheta.train`."""

    def way(
        folder: Path, trainings: Trainings, runs: Mapping[str, Mapping[str, object]]
    ) -> Iterator[tuple[str, Outcome]]:
        model, data, recipe = trainings.model, trainings.data, trainings.recipe
        for i, (name, options) in enumerate(runs.items(), 1):
            screen.above(f"{i} of {len(runs)}: {name}", sys.stderr)
            try:
                train(model, data, folder / name, recipe=recipe, resume=True, **options)
                yield name, Outcome("trained")
            except InUse as error:
                yield name, Outcome("elsewhere", str(error))
            except (Interrupted, CannotWrite):  # not a failure of the setting
                raise
            except PthetaError as error:
                yield name, Outcome("failed", str(error))

    return way


def as_jobs(do: Callable[[Sequence[Job]], Iterator[tuple[Job, Outcome]]]) -> Way:
    """As processes of their own, which `do` runs."""

    def way(
        folder: Path, trainings: Trainings, runs: Mapping[str, Mapping[str, object]]
    ) -> Iterator[tuple[str, Outcome]]:
        data, recipe, modules = str(trainings.data), trainings.recipe, plugins.named()
        ended = [name for name, options in runs.items() if _has_ended(folder / name, options)]
        yield from ((name, Outcome("trained")) for name in ended)
        jobs = [
            Job(
                *(trainings.model, data, str(folder / name), recipe, options),
                log=str(folder / LOGS / f"{name}.log"),
                plugins=modules,
            )
            for name, options in runs.items()
            if name not in ended
        ]
        for i, (job, outcome) in enumerate(do(jobs), 1 + len(ended)):
            if outcome.kind == "trained":
                screen.above(f"{i} of {len(runs)}: {job.name}: trained", sys.stderr)
            yield job.name, outcome

    return way


def _has_ended(folder: Path, options: Mapping[str, object]) -> bool:
    """Whether a run was trained to its end with these options."""
    if not is_run(folder):
        return False
    try:
        run = Run.open(folder)
        return plan.extend(run.plan, options) == run.plan and run.unfinished() is None
    except PthetaError:
        return False  # training says why


def _record(folder: Path, trainings: Trainings, name: str, outcome: Outcome) -> None:
    """Adds a run to sweep.json, which other programs may add to at the same time."""
    with patiently(folder):
        known = _known(folder, trainings)
        known.failed.pop(name, None)
        runs = [run for run in known.runs if run != name and is_run(folder / run)]
        if outcome.kind == "trained":
            runs.append(name)
        else:
            known.failed[name] = outcome.message
        order = {name: i for i, name in enumerate(trainings.runs())}
        about = {
            "model": trainings.model,
            "data": str(trainings.data),
            "runs": sorted(runs, key=lambda run: order.get(run, len(order))),
            "failed": known.failed,
        }
        write_json(folder / RECORD, about)


def _known(folder: Path, trainings: Trainings) -> schemas.Sweep:
    """The record so far; an empty one if there is none, it is damaged or of another model."""
    if _recorded_model(folder) != trainings.model:
        return schemas.Sweep(runs=[])
    try:
        return schemas.parse(schemas.Sweep, read_json(folder / RECORD), folder / RECORD, "")
    except PthetaError:
        return schemas.Sweep(runs=[])


def patiently(folder: Path) -> ExitStack:
    """The lock of a folder, for which it waits a while: held until the context is left."""
    held = ExitStack()
    for remaining in reversed(range(PATIENCE)):
        try:
            held.enter_context(locked(folder, "recording a run"))
            break
        except InUse:
            if not remaining:
                raise
        time.sleep(PAUSE)
    return held


def _name(setting: Mapping[str, object]) -> str:
    """loss=hinge,penalty=r1+r2"""
    parts = []
    for key, value in setting.items():
        if isinstance(value, list | tuple):
            value = "+".join(map(str, value))
        parts.append(f"{key}={value}".replace(",", "+").replace("/", "_"))
    return ",".join(parts)


def runs_of(path: str | Path) -> list[str | Path]:
    """The runs in a sweep's folder; the path itself if it is not a sweep.

    Raises PthetaError if the record of the sweep is damaged or lists no run, and if there is none
    but the folder holds runs.
    """
    record = expand(path) / RECORD
    if not there(record):
        if not is_run(record.parent) and _holds_runs(record.parent):
            raise PthetaError(
                f"{path} holds runs, but none of a sweep that has ended: wait until one has, or "
                "give the runs one by one"
            )
        return [path]
    cure = f"restore the file, or give the runs in {record.parent} one by one"
    names = schemas.parse(schemas.Sweep, read_json(record), record, cure).runs
    for name in names:
        if Path(name).name != name:  # in another folder
            raise PthetaError(f"{record}: runs: {brief(name)} is no folder beside it; {cure}")
    if not names:
        raise PthetaError(f"{record} names no run that was trained: {cure}")
    return [record.parent / name for name in names]


def _holds_runs(folder: Path) -> bool:
    return folder.is_dir() and any(is_run(child) for child in folder.iterdir())


def unfinished(path: str | Path) -> list[str]:
    """Names of the runs in a sweep's folder that were started and have not ended."""
    record = expand(path) / RECORD
    if not there(record):
        return []
    ended = {Path(run) for run in runs_of(path)}
    return sorted(run.name for run in record.parent.iterdir() if run not in ended and is_run(run))
