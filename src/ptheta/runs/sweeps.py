"""Sweeps: one run for each setting of a grid and each seed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from ptheta import config, schemas
from ptheta.config import Option, brief
from ptheta.data.dataset import Dataset
from ptheta.data.names import shortened
from ptheta.errors import CannotWrite, Interrupted, InUse, PthetaError, unknown
from ptheta.files.atomic import locked, read_json, there, write_json
from ptheta.files.out import check_folder
from ptheta.files.paths import expand
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.runs.folder import Run, is_run
from ptheta.runs.from_plan import build_model, condition_of, open_plan_data
from ptheta.terminal import screen

RECORD = "sweep.json"
LONGEST = 200  # maximum length in bytes of a setting's name, used for folders


@dataclass(frozen=True)
class Sweep:
    """Result of a sweep. failed: folder name -> error message."""

    path: Path
    runs: list[Run]
    failed: dict[str, str]

    def __repr__(self) -> str:
        path = shortened(self.path)
        return f"Sweep({path!r}: {len(self.runs)} runs trained, {len(self.failed)} failed)"

    def record(self, trainings: Trainings) -> dict[str, object]:
        """The contents of sweep.json."""
        return {
            "model": trainings.model,
            "data": str(trainings.data),
            "runs": [run.path.name for run in self.runs],
            "failed": self.failed,
        }


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
        for setting in self.settings:
            made = plan.make(self.model, self.data, self._with(setting), self.recipe)
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


def sweep(train: Callable[..., Run], trainings: Trainings, out: str | Path) -> Sweep:
    """`ptheta.sweep` with `train` as the function that trains (`ptheta.train`)."""
    folder = check_folder(out)
    trainings.check()
    for place in filter(is_run, (folder / name for name in trainings.runs())):
        Run.open(place).own(trainings.data)  # fails before any training
    with locked(folder, "sweeping"):
        return _sweep(train, trainings, folder)


def _sweep(train: Callable[..., Run], trainings: Trainings, folder: Path) -> Sweep:
    """`sweep`, once the folder is locked. Retries trainings that failed before."""
    done = Sweep(folder, [], {})
    model, data, recipe = trainings.model, trainings.data, trainings.recipe
    runs = trainings.runs()
    for i, (name, options) in enumerate(runs.items(), 1):
        screen.above(f"{i} of {len(runs)}: {name}", sys.stderr)
        try:
            run = train(model, data, folder / name, recipe=recipe, resume=True, **options)
            done.runs.append(run)
        except (Interrupted, CannotWrite, InUse):  # not a failure of the setting
            raise
        except PthetaError as error:
            done.failed[name] = str(error)
            screen.above(f"{name}: failed: {error}", sys.stderr)
        write_json(folder / RECORD, done.record(trainings))
    return done


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

    Raises PthetaError if the record of the sweep is damaged or lists no run.
    """
    record = expand(path) / RECORD
    if not there(record):
        return [path]
    cure = f"restore the file, or give the runs in {record.parent} one by one"
    names = schemas.parse(schemas.Sweep, read_json(record), record, cure).runs
    for name in names:
        if Path(name).name != name:  # in another folder
            raise PthetaError(f"{record}: runs: {brief(name)} is no folder beside it; {cure}")
    if not names:
        raise PthetaError(f"{record} names no run that was trained: {cure}")
    return [record.parent / name for name in names]
