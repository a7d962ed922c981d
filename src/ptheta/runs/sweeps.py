"""Sweeps: a grid of settings, each with several seeds, a run for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from ptheta import config, schemas
from ptheta.config import Option, brief
from ptheta.data.dataset import Dataset
from ptheta.data.names import shortened
from ptheta.errors import CannotWrite, Interrupted, InUse, PthetaError, unknown
from ptheta.files.atomic import locked, read_json, there, write_json
from ptheta.files.out import check_folder
from ptheta.files.paths import expand
from ptheta.runs import plan
from ptheta.runs.folder import Run, is_run
from ptheta.runs.from_plan import build_model, condition_of, open_plan_data
from ptheta.terminal import screen

RECORD = "sweep.json"
LONGEST = 200  # bytes of the name of a setting, which its folders have


@dataclass(frozen=True)
class Sweep:
    """What a sweep made. failed: folder name -> why its training ended"""

    path: Path
    runs: list[Run]
    failed: dict[str, str]

    def __repr__(self) -> str:
        path = shortened(self.path)
        return f"Sweep({path!r}: {len(self.runs)} runs trained, {len(self.failed)} failed)"


def vary(model: str, texts: Sequence[str]) -> dict[str, list[Any]]:
    """`name=a,b` for each option to vary -> its values; parts of one value are joined by `+`.

    Raises PthetaError for a text of another form, an unknown option, or one that is given twice.
    """
    known: dict[str, Option] = {}
    for cls in plan.sections(model).values():
        known |= config.options(cls)
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise PthetaError(f"--vary {text}: want NAME=VALUE,VALUE,... such as lr=1e-4,2e-4")
        if name not in known:
            raise unknown(f"option of {model}", name, known)
        if name in found:
            raise PthetaError(f"--vary {text}: {name} is varied already; list all values in one")
        if name == "seed":
            raise PthetaError("--vary seed: give --seeds NUMBER instead")
        parts = [value.strip() for value in values.split(",")]
        found[name] = [p.replace("+", ",") if known[name].is_tuple else p for p in parts]
    return found


def grid(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values, one table of options each."""
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


def sweep(
    train: Callable[..., Run],
    model: str,
    data: str | Path,
    out: str | Path,
    settings: Sequence[Mapping[str, Any]],
    *,
    seeds: int = 1,
    recipe: str = "default",
    **options: Any,
) -> Sweep:
    """`ptheta.sweep` with `train` as the function that trains (`ptheta.train`)."""
    folder = check_folder(out)
    if seeds < 1:
        raise PthetaError(f"seeds = {seeds}: give at least one")
    names = [_name(setting) for setting in settings]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise PthetaError(f"the setting {twice} comes twice: name each once")
    for name in names:
        if len(name.encode()) > LONGEST:
            raise PthetaError(
                f"the setting {brief(name)} has a name too long for a folder: vary fewer options"
            )
    _check(model, data, settings, recipe, options)
    places = [
        folder / f"{name}{',' if name else ''}seed={s}" for s in range(seeds) for name in names
    ]
    for place in filter(is_run, places):  # before any training
        Run.open(place).own(data)
    with locked(folder, "sweeping"):
        return _sweep(train, model, data, folder, names, settings, seeds, recipe, options)


def _sweep(
    train: Callable[..., Run],
    model: str,
    data: str | Path,
    folder: Path,
    names: Sequence[str],
    settings: Sequence[Mapping[str, Any]],
    seeds: int,
    recipe: str,
    options: Mapping[str, Any],
) -> Sweep:
    """`sweep`, once the folder is held. Trainings that failed before are tried again."""
    runs: list[Run] = []
    failed: dict[str, str] = {}
    total = seeds * len(names)
    for seed in range(seeds):
        for name, setting in zip(names, settings, strict=True):
            where = folder / f"{name}{',' if name else ''}seed={seed}"
            screen.above(f"{len(runs) + len(failed) + 1} of {total}: {where.name}", sys.stderr)
            try:
                runs.append(
                    train(
                        model,
                        data,
                        where,
                        recipe=recipe,
                        resume=True,
                        seed=seed,
                        **{**options, **setting},
                    )
                )
            except (Interrupted, CannotWrite, InUse):  # says nothing of the setting
                raise
            except PthetaError as error:
                failed[where.name] = str(error)
                screen.above(f"{where.name}: failed: {error}", sys.stderr)
            write_json(
                folder / RECORD,
                {
                    "model": model,
                    "data": str(data),
                    "runs": [run.path.name for run in runs],
                    "failed": failed,
                },
            )
    return Sweep(folder, runs, failed)


def _name(setting: Mapping[str, Any]) -> str:
    """loss=hinge,penalty=r1+r2"""
    parts = []
    for key, value in setting.items():
        if isinstance(value, list | tuple):
            value = "+".join(map(str, value))
        parts.append(f"{key}={value}".replace(",", "+").replace("/", "_"))
    return ",".join(parts)


def _check(
    model: str,
    data: str | Path,
    settings: Sequence[Mapping[str, Any]],
    recipe: str,
    options: Mapping[str, Any],
) -> None:
    """Builds every model without memory for its weights, so that none fails hours later."""
    training: Dataset | None = None
    for setting in settings:
        made = plan.make(model, data, {**options, **setting}, recipe)
        if training is None:
            training = open_plan_data(made, "train")
        with torch.device("meta"):
            build_model(made, training.spec, condition_of(made, training))


def runs_of(path: str | Path) -> list[str | Path]:
    """The runs in a sweep's folder; the path itself where it is none.

    Raises PthetaError where the record of the sweep is damaged or names no run.
    """
    record = expand(path) / RECORD
    if not there(record):
        return [path]
    cure = f"put the file back, or give the runs in {record.parent} one by one"
    names = schemas.parse(schemas.Sweep, read_json(record), record, cure).runs
    for name in names:
        if Path(name).name != name:  # of a folder elsewhere
            raise PthetaError(f"{record}: runs: {brief(name)} is no folder beside it; {cure}")
    if not names:
        raise PthetaError(f"{record} names no run that was trained: {cure}")
    return [record.parent / name for name in names]
