"""The work of one training process: its data, and the run folder that it writes."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import ptheta
from ptheta import conditions
from ptheta.callbacks import Callback
from ptheta.compute.layout import keep_large_blocks
from ptheta.conditions import ConditionSpec
from ptheta.data.dataset import Dataset
from ptheta.data.identity import fingerprint, keys
from ptheta.data.memory import Handed, Source
from ptheta.data.names import recorded
from ptheta.data.trained import Record, joined
from ptheta.errors import PthetaError
from ptheta.files.atomic import refuse_links
from ptheta.models import registry
from ptheta.models.base import HasLoss, Plays, balanced
from ptheta.optimizers import OptimizerConfig
from ptheta.runs.config_file import write_config
from ptheta.runs.folder import RECORD, Run
from ptheta.runs.from_plan import build_model, condition_of, open_plan_data
from ptheta.runs.plan import Plan, Written
from ptheta.runs.plugged import plugin_records, used
from ptheta.schemas import FORMAT, Config
from ptheta.training.by_loss import by_loss
from ptheta.training.checkpoint import latest
from ptheta.training.exhausted import enough_memory
from ptheta.training.fitting import Fitter
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.meeting import listed
from ptheta.training.reporter import Heading
from ptheta.training.scoring import Score

LEAST_HELD_OUT = 20  # minimum number of validation images to select a checkpoint


class Ready(NamedTuple):
    """The inputs of a training. data: training data; reserve: validation data

    record: record of the training images to write, or None; name: name of the data
    condition: spec of the model's condition
    """

    data: Dataset
    reserve: Dataset | None
    record: Record | None
    name: str
    condition: ConditionSpec | None

    @property
    def split(self) -> Dataset:
        return self.data if self.reserve is None else joined(self.data, self.reserve)


class FromProgram(NamedTuple):
    """Objects passed from the starting program to the training processes.

    handed: images in memory, instead of the plan's source
    scorer: makes the score that selects the best checkpoint from the validation images; None
        keeps the last
    callbacks: callbacks of the training, if it has one process
    bring: registers the program's own entries in another process
    notes: lines to print at the start
    """

    handed: Handed | None = None
    scorer: Callable[[Dataset], Score] | None = None
    callbacks: tuple[Callback, ...] = ()
    bring: Callable[[], None] | None = None
    notes: tuple[str, ...] = ()


def work(
    group: Group, values: Written, out: str, started: bool, more: bool, given: FromProgram
) -> int | None:
    """Runs one process of a training; returns the number of the signal that ended it, or None."""
    if given.bring is not None and group.size > 1:
        given.bring()
    p, folder = Plan.from_json(values), Path(out)
    with enough_memory(p.train, folder, group):
        return _trained(group, p, folder, started, more, given)


def _trained(
    group: Group, p: Plan, folder: Path, started: bool, more: bool, given: FromProgram
) -> int | None:
    """`work` by a plan."""
    source = None if given.handed is None else given.handed.source
    on_cpu = group.on_cpu
    _use_processor(p, group)
    ready = go_on(Run.open(folder), p, more, source) if started else begin(p, source)
    data, spec = ready.data, ready.data.spec
    _check_same(group, ready)
    torch.manual_seed(p.train.seed)
    model = build_model(p, spec, ready.condition, to_train=on_cpu)
    scorer, reserve = given.scorer, ready.reserve
    score = None if reserve is None or scorer is None else scorer(reserve)
    # one random stream for all processes: see `ptheta.compute.streams`
    torch.manual_seed(p.train.seed + 1_000_003)
    notes = (*given.notes, *_notes(p, ready))
    heading = Heading(f"{p.model} on {data.name}", notes, given.callbacks, data.examples, reserve)
    learner = _learner(model, p)
    trainer = learner(model, data, p.train, folder, group, score=score, heading=heading)
    if started:
        refuse_links(folder)
        trainer.resume()
        _check_goes_on(trainer, folder, more)
        trainer.progress.ended &= not more
    group.barrier()  # wait until every process has checked the existing files without error
    if group.rank == 0:
        write_config(folder, _about(p, ready, model))
        if ready.record is not None:
            ready.record.write(folder / RECORD)
    group.barrier()
    trainer.run()
    return trainer.stop_signal


def _use_processor(p: Plan, group: Group) -> None:
    """Configures threads and memory format of a CPU process."""
    on_cpu = group.on_cpu
    if on_cpu:
        keep_large_blocks()
    if p.train.threads:
        torch.set_num_threads(p.train.threads)
    elif group.size > 1 and on_cpu:
        torch.set_num_threads(max(1, torch.get_num_threads() // group.local))


def _check_same(group: Group, ready: Ready) -> None:
    """Raises PthetaError, in every process, if they have different examples, labels or order."""
    if group.size == 1:
        return
    data, record = ready.data, ready.record
    found = hashlib.sha256(repr(data.spec).encode())
    found.update((keys(data) if record is None else record.images).tobytes())
    if data.labels is not None:
        found.update(np.ascontiguousarray(data.labels[data.rows(slice(None))]).tobytes())
    every = group.each(float(int(found.hexdigest()[:12], 16)))  # 48 bits, exact
    if other := [rank for rank, each in enumerate(every) if each != every[0]]:
        raise PthetaError(
            f"the training data of {listed(other)} is not that of rank 0: give --data with the "
            f"same {data.examples}, in the same order, to all processes"
        )


def _learner(model: nn.Module, p: Plan) -> type[Trainer]:
    """The trainer of a model: by its game, its loss, or passes over the data."""
    if isinstance(model, Plays):
        return Trainer
    if isinstance(model, HasLoss) and isinstance(p.config, OptimizerConfig):
        return by_loss(p.config.optimizer_factory())
    return Fitter


def _check_goes_on(trainer: Trainer, folder: Path, more: bool) -> None:
    """Raises PthetaError if the run is already longer, or if new images would be recorded without
    training on them."""
    step, total = trainer.progress.step, trainer.total
    if total is not None and (step > total or (more and step == total)):
        raise PthetaError(
            f"{folder} is already at step {step:,}, and {total:,} steps are requested: give a "
            "larger --steps"
        )


def _notes(p: Plan, ready: Ready) -> tuple[str, ...]:
    """Remarks about the data."""
    notes = (*ready.split.notes, *ready.split.advice)
    if ready.reserve is None and p.train.best == "metric" and p.train.evaluate_every:
        none = "too few training images to hold out validation images: the last weights are used"
        notes = (*notes, none)
    return notes


def begin(p: Plan, source: Source | None = None) -> Ready:
    """The data of a new run. source: replaces the plan's"""
    data = open_plan_data(p, "train", source)
    if len(data) < 2:
        raise PthetaError(f"{p.source} has only 1 image, too few to train on: give at least two")
    condition = condition_of(p, data)
    if condition is not None:
        data = condition.adapted(data)
    data, reserve = _set_aside(p, data)
    return Ready(data, reserve, Record.of(data, reserve), data.name, condition)


def _set_aside(p: Plan, data: Dataset) -> tuple[Dataset, Dataset | None]:
    """Splits into (training data, validation data, if there are enough images)."""
    held = min(p.train.held_out, len(data) // 10)
    if held < LEAST_HELD_OUT or p.train.best != "metric":
        return data, None
    try:
        rest, reserve = data.hold_out(
            held, seed=p.train.seed, by_label=balanced(registry.entry(p.model).load_model())
        )
    except PthetaError:  # too many near-duplicates
        return data, None
    return (rest, reserve) if len(reserve) >= LEAST_HELD_OUT else (data, None)


def go_on(run: Run, p: Plan, more: bool, source: Source | None = None) -> Ready:
    """The data of a resumed run: its images in their original order, wherever they are stored.

    Raises PthetaError if some are missing, or if there are new ones without `more`.
    """
    if run.record is None and latest(run.path / "state") is None:
        return begin(p, source)  # stopped before the first step
    found = run.own(recorded(p.source) if source is None else source)
    assert found.images is not None
    if not found.remembered:
        known = run.about.dataset.images
        if (was := run.about.dataset.fingerprint) not in (
            None,
            fingerprint(keys(found.images)),
        ):
            raise PthetaError(
                f"{p.source} is not the data that {run.path} was trained on (its fingerprint is "
                f"{was}): give that data with --data"
            )
        if len(found.images) != known:
            raise PthetaError(
                f"{p.source} has {len(found.images):,} training {found.images.examples}, but "
                f"{run.path} was trained on {known:,}: give the original training data with "
                "--data"
            )
        data, reserve = _set_aside(p, found.images)
        return Ready(data, reserve, None, data.name, run.condition)
    data, name = found.images, run.about.dataset.name
    if found.new is not None and not more:
        raise PthetaError(
            f"{p.source} has {len(found.new):,} training {data.examples} that {run.path} was not "
            "trained on: add --more-data to train on them as well, or remove them"
        )
    _check_order(run, p, data)
    if found.new is not None:
        data = joined(data, found.new)
    return Ready(data, found.reserve, Record.of(data, found.reserve), name, run.condition)


def _check_order(run: Run, p: Plan, data: Dataset) -> None:
    """Raises PthetaError if the images would come in another order than before, so that some would
    come twice in an epoch and others not at all."""
    now, before = None if data.order is None else data.order.identity, run.about.dataset.order
    if now != before:
        were = "other data than shards" if before is None else "other shards"
        raise PthetaError(
            f"{p.source} has the training images of {run.path}, which read them from {were}: the "
            "order of training would change; give the data as they were with --data, or train "
            "anew with another --out"
        )


def _about(p: Plan, ready: Ready, model: nn.Module) -> Config:
    """The contents of config.json."""
    split = ready.split
    return Config.model_validate(
        {
            "format": FORMAT,
            **p.to_json(),
            "spec": ready.data.spec.to_json(),
            "condition": conditions.to_json(ready.condition),
            "dataset": {
                "name": ready.name,
                "images": len(split),
                "classes": list(split.classes),
                "skipped": list(split.skipped),
                "notes": list(split.notes),
                "white": split.whites,
                "fingerprint": None if ready.record is None else ready.record.fingerprint,
                "order": None if ready.data.order is None else ready.data.order.identity,
            },
            "parameters": sum(q.numel() for q in model.parameters()),
            "versions": _versions(),
            "plugins": plugin_records(used(p)),
        }
    )


def _versions() -> dict[str, str]:
    """Software versions."""
    return {
        "ptheta": ptheta.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
