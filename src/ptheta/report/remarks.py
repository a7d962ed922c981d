"""Remarks on how a run's results are not comparable with those of the other runs."""

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
    """For each run, one line per aspect in which it is not comparable with the others."""
    found = [_of_itself(run, model) for run, model in zip(runs, models, strict=True)]
    for values, text in _compared(runs):
        most = max(set(values), key=lambda v: (values.count(v), v == values[0]))
        for lines, value in zip(found, values, strict=True):
            if value != most:
                lines.append(text.format(own=value, most=most))
    return found


def _of_itself(run: Run, model: nn.Module) -> list[str]:
    """Remarks on runs that are conditional, have a fitted prior, or are unfinished."""
    lines = []
    if conditional(model):
        lines.append(
            "is conditional on labels or attributes: it samples with those of the test images, "
            "and its likelihood is p(x | y)"
        )
    if isinstance(model, Fitted):
        lines.append(
            "samples codes from a mixture fitted after training, since it has no prior of its own"
        )
    if isinstance(model, WithGridPrior):
        lines.append(
            "samples codes from a model fitted after training, since it has no prior of its own"
        )
    where = run.unfinished()
    if where is not None:
        lines.append(f"is not finished ({where})")
    return lines


def _compared(runs: Sequence[Run]) -> list[tuple[list[object], str]]:
    """Properties that all runs should share, and the remark on a run that differs."""
    return [
        (
            ["anew for each batch" if run.plan.data.dynamic else "once" for run in runs],
            "was trained on images binarised {own}, the others {most}",
        ),
        (
            [run.about.dataset.images for run in runs],
            "was trained on {own} images, the others on {most}",
        ),
        (
            [_machine(run.plan.train) for run in runs],
            "was trained with {own}, the others with {most}: training times are not comparable",
        ),
        (
            [run.about.versions.get("torch") for run in runs],
            "was trained with torch {own}, the others with {most}",
        ),
    ]


def _machine(train: TrainSettings) -> str:
    """Settings that determine the training time."""
    return (
        f"device {train.device}, processes {train.processes}, threads {train.threads}, "
        f"precision {train.precision}"
    )


def protocol_remarks(evaluations: Mapping[str, Evaluation]) -> dict[str, list[str]]:
    """For each row, how its protocol differs from the first, and how to make them equal."""
    usual = next(iter(evaluations.values())).protocol
    found = {}
    for name, evaluation in evaluations.items():
        own = evaluation.protocol
        found[name] = [
            f"was evaluated with {key.replace('_', ' ')} {own.get(key)}, not {usual.get(key)}"
            for key in differing(own, usual)
        ]
        if how := cure(own, usual):
            found[name].append(f"becomes comparable with the others if you {how}")
    return found
