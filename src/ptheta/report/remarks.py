"""In what a run's numbers cannot be compared with those of the other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from ptheta.capabilities import conditional
from ptheta.measures.results import Evaluation
from ptheta.metrics.protocol import cure, differing
from ptheta.models.autoencoders.fitted import Fitted
from ptheta.models.variational.grid_prior import WithGridPrior
from ptheta.runs.folder import Run
from ptheta.training.settings import TrainSettings


def remarks(runs: Sequence[Run], models: Sequence[nn.Module]) -> list[list[str]]:
    """For each run, a line for everything in which it is not comparable to (all of) the others."""
    found = [_of_itself(run, model) for run, model in zip(runs, models, strict=True)]
    for values, text in _compared(runs):
        most = max(set(values), key=lambda v: (values.count(v), v == values[0]))
        for lines, value in zip(found, values, strict=True):
            if value != most:
                lines.append(text.format(own=value, most=most))
    return found


def _of_itself(run: Run, model: nn.Module) -> list[str]:
    """What makes its numbers something else than those of a model of p(x), trained to the end."""
    lines = []
    if conditional(model):
        lines.append(
            "is given labels (or attributes): its samples are of those of the test images, "
            "its likelihood is of p(x | y)"
        )
    if isinstance(model, Fitted):
        lines.append("draws codes from a mixture fitted to them, it has no prior of its own")
    if isinstance(model, WithGridPrior):
        lines.append("draws maps of codes from a model fitted to them, it has no prior of its own")
    where = run.unfinished()
    if where is not None:
        lines.append(f"has not come to its end ({where})")
    return lines


def _compared(runs: Sequence[Run]) -> list[tuple[list[object], str]]:
    """What all runs should have alike, and the remark on a run that has something else."""
    return [
        (
            ["afresh for each batch" if run.plan.data.dynamic else "once" for run in runs],
            "learned from images binarised {own}, the others {most}",
        ),
        (
            [run.about.dataset.images for run in runs],
            "learned from {own} images, the others from {most}",
        ),
        (
            [_machine(run.plan.train) for run in runs],
            "trained with {own}, the others with {most}: training times cannot be compared",
        ),
        (
            [run.about.versions.get("torch") for run in runs],
            "trained with torch {own}, the others with {most}",
        ),
    ]


def _machine(train: TrainSettings) -> str:
    """What decides how long a training takes."""
    return (
        f"device {train.device}, processes {train.processes}, threads {train.threads}, "
        f"precision {train.precision}"
    )


def protocol_remarks(evaluations: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """For each row, in what it was measured differently from the first, and what to do about it."""
    usual = next(iter(evaluations.values())).protocol
    found = {}
    for name, evaluation in evaluations.items():
        own = evaluation.protocol
        found[name] = [
            f"was measured with {key.replace('_', ' ')} {own.get(key)}, not {usual.get(key)}"
            for key in differing(own, usual)
        ]
        if how := cure(own, usual):
            found[name].append(f"can be held against the others once you {how}")
    return found
