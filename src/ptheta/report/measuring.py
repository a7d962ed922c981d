"""One row of a comparison: a run, or images that another program made, measured."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ptheta.capabilities import Samples
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import images_of
from ptheta.data.sources import ImageSet
from ptheta.metrics.conditions import draw
from ptheta.metrics.evaluate import evaluate, evaluate_images
from ptheta.report.comparison import UNKNOWN, Cost, Measured, Measuring, density
from ptheta.report.pictures import pictures
from ptheta.report.plots import curves
from ptheta.report.sight import Seen, Sight
from ptheta.runs.folder import Run
from ptheta.specs import quantise
from ptheta.terminal.progress import stage


class Loaded(NamedTuple):
    """What is read of a run before the work begins: a damaged file is told of then.

    logged: the lines of its metrics.jsonl
    """

    run: Run
    model: nn.Module
    logged: list[dict[str, float]]

    @classmethod
    def of(cls, run: Run) -> Loaded:
        return cls(run, run.model(), run.metrics())


def measured_run(
    loaded: Loaded, name: str, test: Dataset, seen: Seen, colour: str, how: Measuring
) -> Measured:
    """A run's row. Its evaluation.json is written on the way.

    seen: what the data is to the run; colour: of its curves
    """
    run, model, lines = loaded
    samples = None
    if isinstance(model, Samples):
        with stage("drawing samples"):
            samples = draw(model, test.with_fixed_binarisation(), how.n, how.seed)
    evaluation = evaluate(
        model,
        test,
        seen.train,
        n=how.n,
        seed=how.seed,
        samples=samples,
        extractor=how.extractor,
        no_copies=seen.no_copies,
        about=run.checkpoint() | {"model": run.plan.model},
    )
    evaluation.write(run.path / "evaluation.json")
    with stage("pictures"):
        drawn = pictures(model, samples, test, seen.train, how.seed)
    return Measured(
        name=name,
        path=str(run.path),
        family=run.family,
        about=f"{run.plan.model}, recipe {run.plan.recipe}",
        evaluation=evaluation,
        density=density(model),
        cost=Cost(
            seconds=max((line["seconds"] for line in lines), default=0.0),
            steps=int(max((line["step"] for line in lines), default=0)),
        ),
        pictures=drawn,
        curves=curves(lines, colour),
    )


def measured_images(
    name: str, foreign: ImageSet, sight: Sight, how: Measuring
) -> tuple[Measured, list[str]]:
    """The row of images that another program made, at the levels of the runs, and its remarks."""
    test, train = images_of(sight.test), sight.train
    rounded = quantise(foreign.images, test.levels)
    remark = "was made by another program: no likelihood, training or speed is known of it"
    if not torch.equal(rounded, foreign.images):
        remark += f"; its images were rounded to {test.levels} levels"
    if foreign.resized:
        remark += f"; its pictures were resized and cropped to {test.spec.width}x{test.spec.height}"
    evaluation = evaluate_images(
        rounded, test, train, n=how.n, seed=how.seed, extractor=how.extractor
    )
    made = Measured(
        name=name,
        path=name,
        family="images",
        about="made by another program",
        evaluation=evaluation,
        density=UNKNOWN,
        pictures=pictures(None, rounded, test, train, how.seed),
    )
    return made, [remark]
