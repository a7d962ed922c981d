"""Evaluate one row of a comparison: a run, or images from another program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.capabilities import Samples, conditional
from ptheta.data.image_data import images_of
from ptheta.data.sources import ImageSet
from ptheta.errors import PthetaError
from ptheta.extractors.features import extract
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.context import Context
from ptheta.metrics.evaluate import context, evaluate_images, measured
from ptheta.metrics.floors import floors_of
from ptheta.metrics.metric import Section
from ptheta.metrics.stored import held, kept
from ptheta.metrics.table import METRICS
from ptheta.models.taxonomy import place
from ptheta.report.comparison import UNKNOWN, Cost, Measured, Measuring, density
from ptheta.report.pictures import Read, Subject, drawn_of, first, pictures
from ptheta.report.references import references
from ptheta.report.reproduce import command
from ptheta.report.sections import HELD, section_of
from ptheta.report.sight import Seen, Sight
from ptheta.runs.folder import Run
from ptheta.specs import quantise
from ptheta.terminal.progress import stage


class Loaded(NamedTuple):
    """Data of a run that is read first, so that damaged files are reported early.

    logged: the lines of metrics.jsonl; earlier: evaluation.json, if readable
    """

    run: Run
    model: nn.Module
    logged: list[dict[str, float]]
    earlier: Evaluation | None

    @classmethod
    def of(cls, run: Run) -> Loaded:
        return cls(run, run.model(), run.metrics(), _earlier(run))


def _earlier(run: Run) -> Evaluation | None:
    """The earlier evaluation; a damaged file is ignored, since it is rewritten."""
    try:
        return Evaluation.read(run.path / "evaluation.json")
    except PthetaError:
        return None


def measured_run(loaded: Loaded, name: str, setting: str, seen: Seen, how: Measuring) -> Measured:
    """Evaluates a run; also writes its evaluation.json, except of runs that are read-only.

    setting: how it differs from the others, except for the seed; seen: the data as this run uses it
    """
    run, model, lines, earlier = loaded
    test = seen.test
    ctx = context(
        model,
        test,
        seen.train,
        extractor=how.extractor,
        n=how.n,
        seed=how.seed,
        no_copies=seen.no_copies,
        about=run.checkpoint() | {"model": run.plan.model},
    )
    known = {} if how.anew else held(earlier, ctx)
    evaluation = measured(ctx, known)
    if run.shipped is None:
        kept(evaluation, earlier, ctx).write(run.path / "evaluation.json")
    samples = ctx.first_samples(drawn_of(test.spec)) if isinstance(model, Samples) else None
    with stage("pictures"):
        subject = Subject(model, samples, test, seen.train, how.seed, _read(ctx, samples))
        drawn, glance = pictures(subject), first(subject)
    return Measured(
        name=name,
        path=run.called,
        family=run.family,
        model=run.plan.model,
        about=f"{run.plan.model}, recipe {run.plan.recipe}",
        setting=setting,
        evaluation=evaluation,
        density=density(model, test.spec.discrete),
        place=place(type(model)),
        cost=_cost(lines),
        pictures=drawn,
        first=glance,
        logged=lines,
        references=references(run.plan.config),
        command=command(run.plan, name),
        config=dict(run.plan.to_json()),
        taken=[result.metric for results in known.values() for result in results],
    )


def _cost(lines: Sequence[Mapping[str, float]]) -> Cost:
    """The training cost from the lines of metrics.jsonl."""
    return Cost(
        seconds=max((line["seconds"] for line in lines), default=0.0),
        steps=int(max((line["step"] for line in lines), default=0)),
    )


def _read(ctx: Context, samples: Tensor | None) -> Read | None:
    """The class that the extractor predicts for each sample; None if it is not a classifier of such
    data, or if the samples have known labels."""
    names = ctx.class_names
    if samples is None or not names or conditional(ctx.model):
        return None
    logits = extract(samples, ctx.extractor).logits
    return None if logits is None else Read(logits.argmax(1), names, ctx.extractor.name)


def measured_images(
    name: str, foreign: ImageSet, sight: Sight, how: Measuring
) -> tuple[Measured, list[str]]:
    """Evaluates images from another program, at the levels of the runs. Returns the row and
    remarks."""
    test, train = images_of(sight.test), sight.train
    rounded = quantise(foreign.images, test.levels)
    remark = "comes from another program: its likelihood, training and speed are unknown"
    if not torch.equal(rounded, foreign.images):
        remark += f"; its images were rounded to {test.levels} levels"
    if foreign.resized:
        remark += f"; its images were resized and cropped to {test.spec.width}x{test.spec.height}"
    evaluation = evaluate_images(
        *(rounded, test, train),
        n=how.n,
        seed=how.seed,
        extractor=how.extractor,
        device=how.device,
    )
    subject = Subject(None, rounded, test, train, how.seed)
    made = Measured(
        name=name,
        path=name,
        family="images",
        model="images",
        about="images from another program",
        evaluation=evaluation,
        density=UNKNOWN,
        pictures=pictures(subject),
        first=first(subject),
    )
    return made, [remark]


def floors(rows: Mapping[str, Evaluation], sight: Sight, how: Measuring) -> dict[str, Evaluation]:
    """Evaluates the baselines, by name, on the metrics of the rows; empty unless a row is a model
    that translates, completes or draws from captions."""
    names = {result.metric for row in rows.values() for result in row.results}
    held = {section_of(name) for name in names} & HELD
    if not held:
        return {}
    found = {}
    for name, model in floors_of(sight.train).items():
        ctx = context(
            *(model, sight.test, sight.train), extractor=how.extractor, n=how.n, seed=how.seed
        )
        of_held = _own(ctx, held, names)
        if of_held:  # otherwise it belongs to other tasks, where its distances mean nothing
            found[name] = Evaluation(
                (*_own(ctx, {Section.DISTANCE}, names), *of_held), ctx.protocol
            )
    return found


def _own(ctx: Context, sections: Set[Section], names: Set[str]) -> tuple[Result, ...]:
    """The results of these sections and names that have a value."""
    every = measured(ctx, metrics=[m for m in METRICS.values() if m.section in sections])
    return tuple(r for r in every.results if r.metric in names and r.value is not None)
