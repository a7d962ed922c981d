"""The `dry_run` function: data, size and estimated time of a training."""

from __future__ import annotations

import contextlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from ptheta.api.training import checked_out, named, refuse_taken, train
from ptheta.compute.streams import undisturbed
from ptheta.conditions import word
from ptheta.data.memory import Source
from ptheta.models.base import Fits
from ptheta.runs import plan
from ptheta.runs.folder import Run
from ptheta.training.checkpoint import latest
from ptheta.training.metric_logger import read_metrics
from ptheta.training.processes import device_name
from ptheta.training.progress import Progress
from ptheta.training.settings import TrainSettings

TIMED = 0.05  # minutes of timed steps
# settings of the timed steps: no checkpoints, evaluations or pictures, and every step logged
ALONE: dict[str, object] = {
    "sample_every": 0,
    "evaluate_every": 0,
    "checkpoint_every": 0,
    "log_every": 1,
}
REPLACED = (*plan.LENGTHS, *ALONE, "sample_minutes", "tensorboard", "track")


@dataclass(frozen=True)
class DryRun:
    """Result of `ptheta.dry_run`.

    data: name of the data; examples: number of training examples; reserve: number of validation
        examples, which choose the best checkpoint; shape: description of an example
    condition: description of the condition, or None
    parameters: number of parameters; device: device of the training
    seconds_each: measured seconds per step; steps: total number of steps, estimated if the
        training is limited by minutes; minutes: time of the steps, without evaluations, pictures
        and checkpoints
    passes: whether a step is a pass over the data, of a model that is fitted without gradients;
        ends: whether it has ended by itself in these steps, and else may after fewer
    """

    model: str
    recipe: str
    data: str
    examples: int
    reserve: int
    shape: str
    condition: str | None
    parameters: int
    device: str
    seconds_each: float
    steps: int
    minutes: float
    passes: bool = False
    ends: bool = False

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        given = f", given {self.condition}" if self.condition else ""
        lines = [
            f"{self.model}, recipe {self.recipe}, on {self.data}",
            f"{self.examples:,} training examples: {self.shape}{given}",
            f"{self.reserve:,} validation examples choose the best checkpoint"
            if self.reserve
            else "",
            f"{self.parameters:,} parameters on {self.device}",
            f"{self._steps()} of {_each(self.seconds_each)}: about {_length(self.minutes)}",
            "evaluations, pictures and checkpoints take some time more",
            "nothing is written",
        ]
        return "\n".join(line for line in lines if line)

    def _steps(self) -> str:
        if not self.passes:
            return f"{self.steps:,} steps"
        most = "" if self.ends else "at most "
        return f"{most}{self.steps:,} {'pass' if self.steps == 1 else 'passes'} over the data"


def _each(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1e3 * seconds:.3g} ms"


def _length(minutes: float) -> str:
    if minutes < 2:
        seconds = max(1, round(60 * minutes))
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


@undisturbed()
def dry_run(
    model: str | type[nn.Module] | nn.Module,
    data: Source,
    *,
    recipe: str = "default",
    out: str | Path | None = None,
    **options: object,
) -> DryRun:
    """Report what `train` would do with these options, without keeping anything.

    About three seconds of training steps are timed, in a temporary folder. A model that is fitted
    in passes over the data is fitted for as long.

    Args:
        model, data, recipe, options: as for `train`
        out: folder for the run; checked as `train` does, but not written

    Raises:
        PthetaError: as `train` does
    """
    if out is not None:
        refuse_taken(checked_out(out))
    wanted = plan.make(named(model), data, options, recipe).train
    kept: dict[str, Any] = {k: v for k, v in options.items() if k not in REPLACED} | ALONE
    with TemporaryDirectory(prefix="ptheta-") as place:
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            # the first step also imports and allocates, so it is not timed
            train(model, data, Path(place) / "first", recipe=recipe, steps=1, **kept)
            run = train(model, data, Path(place) / "run", recipe=recipe, minutes=TIMED, **kept)
        return _summary(run, wanted, read_metrics(run.path))


def _summary(run: Run, wanted: TrainSettings, rows: list[dict[str, float]]) -> DryRun:
    """rows: log lines of the timed steps"""
    first, last = rows[0], rows[-1]
    steps, seconds = last["step"] - first["step"], last["seconds"] - first["seconds"]
    if steps == 0:  # a single step exceeded the time limit
        steps, seconds = last["step"], last["seconds"]
    each = seconds / steps
    examples = run.about.dataset.images if run.record is None else len(run.record.images)
    passes, done = isinstance(run.model(), Fits), latest(run.path / "state")
    in_all = wanted.total_steps(1 if passes else max(1, examples // wanted.batch_size))
    if in_all is None:
        assert wanted.minutes is not None
        in_all = max(1, round(60 * wanted.minutes / each)) if each else 1
    ends = done is not None and Progress.read(done / "progress.json").ended
    if ends:
        in_all = min(in_all, int(last["step"]))
    return DryRun(
        model=run.plan.model,
        recipe=run.plan.recipe,
        data=run.about.dataset.name,
        examples=examples,
        reserve=0 if run.record is None else len(run.record.reserve),
        shape=str(run.spec),
        condition=None if run.condition is None else word(run.condition),
        parameters=run.about.parameters,
        device=device_name(wanted),
        seconds_each=each,
        steps=in_all,
        minutes=in_all * each / 60,
        passes=passes,
        ends=ends,
    )
