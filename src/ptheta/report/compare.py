"""The comparison of runs: measured alike, written as one HTML file and one JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.capabilities import (
    Decodes,
    Encodes,
    HasBound,
    HasLogProb,
    HasPrior,
    Samples,
    conditional,
    some_conditions,
)
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.files import make_folder, write_atomic, write_json
from ptheta.metrics.baselines import BASELINES
from ptheta.metrics.evaluate import evaluate, floor, score
from ptheta.metrics.neighbours import nearest
from ptheta.metrics.results import Evaluation, Result
from ptheta.pixels import seeded
from ptheta.report.plots import COLOURS, curves, number, picture, scatter
from ptheta.report.ranking import Rank, rank, settings
from ptheta.report.verdict import verdicts
from ptheta.runs import Run

SHOWN = 64  # samples in a grid
PAIRS = 10  # samples shown with their nearest training image
ROWS, STEPS = 4, 10  # interpolations


@dataclass(frozen=True)
class Measured:
    """A run with its numbers and its pictures."""

    run: Run
    name: str
    evaluation: Evaluation
    density: str  # explicit (exact), explicit (bound) or implicit
    seconds: float
    steps: int
    pictures: list[tuple[str, str, str]]  # title, data URI, caption
    curves: str


def compare(runs: Sequence[Run], out: Path, *, n: int = 1000, seed: int = 0) -> Path:
    """Measures every run in the same way and writes report.html, .md and .json into `out`.

    n: images drawn of each model. Returns the page.
    Raises PthetaError where the runs' images differ in size or levels, or come from other data.
    """
    first = runs[0]
    for run in runs[1:]:
        if (run.spec, run.plan.source) != (first.spec, first.plan.source):
            raise PthetaError(
                f"{run.path} learned {run.plan.source} ({run.spec}) and {first.path} "
                f"{first.plan.source} ({first.spec}): compare runs of the same data"
            )
    for run in runs:
        run.warn_if_unfinished()
    make_folder(out)
    names = _names(runs)
    test, train = first.data("test"), first.data("train")
    measured = [
        _measure(run, name, test, train, COLOURS[i % len(COLOURS)], n, seed)
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    real = floor(test, train, n=n, seed=seed)
    baselines = {
        name: score(make(train, n, seed), test, train, seed=seed)
        for name, make in BASELINES.items()
    }
    groups = _groups(measured)
    ranked = rankings(groups)
    page = out / "report.html"
    html = _render(measured, groups, ranked, baselines, real, test, n=n, seed=seed)
    write_json(
        out / "report.json",
        {
            "real": real.to_json(),
            "baselines": {name: e.to_json() for name, e in baselines.items()},
            "runs": {
                m.name: {
                    "path": str(m.run.path),
                    "family": m.run.family,
                    "density": m.density,
                    "training_seconds": round(m.seconds, 1),
                    "steps": m.steps,
                    "evaluation": m.evaluation.to_json(),
                }
                for m in measured
            },
            "settings": {
                metric: [row.to_json() for row in rows] for metric, rows in ranked.items()
            },
        },
    )
    text = markdown(measured, ranked, baselines, real, test, n, seed)
    write_atomic(out / "report.md", lambda beside: beside.write_text(text, encoding="utf-8"))
    write_atomic(page, lambda beside: beside.write_text(html, encoding="utf-8"))
    return page


def _names(runs: Sequence[Run]) -> list[str]:
    """A different name for each run: its folder's, with the parent's where two are alike."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [str(run.path) for run in runs]


def _measure(
    run: Run, name: str, test: Dataset, train: Dataset, colour: str, n: int, seed: int
) -> Measured:
    model = run.model()
    samples = tasks.sample(model, max(n, SHOWN), seed=seed) if isinstance(model, Samples) else None
    evaluation = evaluate(model, test, train, n=n, seed=seed, samples=samples)
    evaluation.write(run.path / "evaluation.json")
    lines = run.metrics()
    return Measured(
        run=run,
        name=name,
        evaluation=evaluation,
        density=density(model),
        seconds=max((line["seconds"] for line in lines), default=0.0),
        steps=int(max((line["step"] for line in lines), default=0)),
        pictures=_pictures(model, samples, test, train, seed),
        curves=curves(lines, colour),
    )


def _groups(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The runs of each setting, which differ in their seed alone."""
    groups: dict[str, list[Measured]] = {}
    for setting, m in zip(settings([m.run for m in measured]), measured, strict=True):
        groups.setdefault(setting, []).append(m)
    return groups


def rankings(groups: Mapping[str, Sequence[Measured]]) -> dict[str, list[Rank]]:
    """Each metric that ranks samples -> the settings, where any of them has several seeds."""
    if all(len(group) == 1 for group in groups.values()):
        return {}
    evaluations = {setting: [m.evaluation for m in group] for setting, group in groups.items()}
    found = {}
    for metric in _metrics([e for group in evaluations.values() for e in group]):
        results = [r for g in evaluations.values() for e in g if (r := e.get(metric)) is not None]
        better, relations = {r.better for r in results}, {r.relation for r in results}
        if len(relations) == 1 and better in ({"lower"}, {"higher"}):
            rows = rank(evaluations, metric, lower=better == {"lower"})
            if rows:
                found[metric] = rows
    return found


def density(model: nn.Module) -> str:
    """Where the model stands in the taxonomy of likelihoods (Goodfellow 2016, arXiv:1701.00160)."""
    if isinstance(model, HasLogProb):
        return "explicit, exact"
    if isinstance(model, HasBound):
        return "explicit, bound"
    return "implicit" if isinstance(model, Samples) else "none"


@torch.no_grad()
def _pictures(
    model: nn.Module, samples: Tensor | None, test: Dataset, train: Dataset, seed: int
) -> list[tuple[str, str, str]]:
    """What can be shown of a model, by what it can do."""
    found = []
    if samples is not None:
        found.append(
            (
                "Samples",
                picture(samples[:SHOWN], 8),
                f"The first {SHOWN} of seed {seed}, uncurated.",
            )
        )
    if isinstance(model, Decodes) and isinstance(model, HasPrior) and isinstance(model, HasBound):
        y = some_conditions(model, SHOWN)
        with seeded(seed):
            means = model.decode(model.sample_latent(SHOWN, y), y)
        found.append(
            (
                "Mean images",
                picture(means, 8),
                "E[x | z] for codes z of the prior: the decoder before its pixels are drawn.",
            )
        )
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        batch = test.batch(range(min(30, len(test) // 10 * 10 or len(test))))
        x = batch.x
        back = tasks.reconstruct(model, x, batch.y if conditional(model) else None)
        rows = [part for i in range(0, len(x), 10) for part in (x[i : i + 10], back[i : i + 10])]
        found.append(
            (
                "Reconstructions",
                picture(torch.cat(rows), min(10, len(x))),
                "Test images, and below each what its code gives back.",
            )
        )
    if isinstance(model, Decodes) and isinstance(model, HasPrior | Encodes):
        ends, caption = None, "Between codes drawn from the prior, along great circles."
        if isinstance(model, Encodes) and not conditional(model):
            x = test.batch([(30 + i) % len(test) for i in range(2 * ROWS)]).x
            ends, caption = (x[:ROWS], x[ROWS:]), "Between the codes of pairs of test images."
        walk = tasks.interpolate(model, ROWS, STEPS, ends=ends, seed=seed)
        found.append(("Latent interpolation", picture(walk, STEPS), caption))
    if samples is not None:
        where, _ = nearest(samples[:PAIRS], train)
        pairs = torch.cat([samples[:PAIRS], train.batch(where).x])
        found.append(
            (
                "Nearest training images",
                picture(pairs, PAIRS),
                "Samples, and below each the training image nearest in pixels.",
            )
        )
    return found


def _render(
    measured: Sequence[Measured],
    groups: Mapping[str, Sequence[Measured]],
    ranked: Mapping[str, Sequence[Rank]],
    baselines: Mapping[str, Evaluation],
    real: Evaluation,
    test: Dataset,
    *,
    n: int,
    seed: int,
) -> str:
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("ptheta.report"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    metrics = _metrics([m.evaluation for m in measured] + [real])
    held_against = [*baselines.values(), real]
    rows = [
        {
            **_heading(metric, [m.evaluation for m in measured]),
            "cells": [_cell(m.evaluation.get(metric)) for m in measured],
            "floors": [_cell(e.get(metric)) if e.get(metric) else {} for e in held_against],
        }
        for metric in metrics
    ]
    speed = "sampling_speed"
    distance = next((m for m in metrics if m.startswith("kd_")), None)
    plot = ""
    if distance is not None:
        points = []
        for m in measured:
            x, y = m.evaluation.get(speed), m.evaluation.get(distance)
            if x is not None and y is not None and x.value is not None and y.value is not None:
                points.append((m.name, x.value, y.value, 2 * (y.error or 0.0)))
        if points:
            plot = scatter(points, "sampling speed, images/s", distance)
    balance = [
        (m.name, r.value, p.value, 2 * (p.error or 0.0))
        for m in measured
        if (p := _named(m.evaluation, "precision_")) and (r := _named(m.evaluation, "recall_"))
        if p.value is not None and r.value is not None
    ]
    return environment.get_template("compare.html").render(
        measured=measured,
        taxonomy={
            kind: [m.name for m in measured if m.density == kind]
            for kind in ("explicit, exact", "explicit, bound", "implicit", "none")
        },
        shown=[group[0] for group in groups.values()],
        rankings=[
            {
                **_heading(metric, [m.evaluation for m in measured]),
                "rows": [_ranked(row) for row in rows],
                "real": _cell(real.get(metric))["text"] if real.get(metric) else "",
            }
            for metric, rows in ranked.items()
        ],
        verdicts=verdicts({m.name: m.evaluation for m in measured}, metrics),
        rows=rows,
        minutes=[number(m.seconds / 60, 2) for m in measured],
        plot=plot,
        balance=scatter(balance, "recall", "precision", log=False) if balance else "",
        baselines=list(baselines),
        real=picture(test.batch(range(min(SHOWN, len(test)))).x, 8),
        test=test,
        spec=test.spec,
        n=n,
        seed=seed,
        protocol=measured[0].evaluation.protocol,
    )


def markdown(
    measured: Sequence[Measured],
    ranked: Mapping[str, Sequence[Rank]],
    baselines: Mapping[str, Evaluation],
    real: Evaluation,
    test: Dataset,
    n: int,
    seed: int,
) -> str:
    """The same numbers as text: a table of all runs, and the settings over their seeds."""
    columns = {m.name: m.evaluation for m in measured} | dict(baselines) | {"real images": real}
    runs = [m.evaluation for m in measured]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [
        f"# Families of generative models, measured on {test.name}",
        "",
        f"{n} samples of each model at seed {seed}; {len(test):,} held-out test images.",
        "",
        line(["", *columns]),
        line(["---"] * (len(columns) + 1)),
        line(["density", *(m.density for m in measured), *[""] * (len(baselines) + 1)]),
    ]
    for metric in _metrics([*runs, real]):
        heading = _heading(metric, runs)
        about = ", ".join(filter(None, (heading["unit"], heading["better"])))
        cells = [
            _cell(e.get(metric))["text"]
            if name in {m.name for m in measured} or e.get(metric)
            else ""
            for name, e in columns.items()
        ]
        lines.append(line([f"{heading['name']} ({about})" if about else heading["name"], *cells]))
    for metric, rows in ranked.items():
        lines += ["", f"## {metric.replace('_', ' ')} over seeds", ""]
        lines += [line(["setting", "mean, 95 % interval", "runs", ""]), line(["---"] * 4)]
        for row in map(_ranked, rows):
            mark = "not the best" if row["apart"] else ""
            lines.append(line([row["setting"], row["mean"], row["runs"], mark]))
    lines += ["", "; ".join(f"{k.replace('_', ' ')}: {v}" for k, v in real.protocol.items())]
    return "\n".join(lines) + "\n"


def _named(evaluation: Evaluation, prefix: str) -> Result | None:
    return next((r for r in evaluation.results if r.metric.startswith(prefix)), None)


def _metrics(evaluations: Sequence[Evaluation]) -> list[str]:
    """Every metric that any run has, in the order in which they first appear."""
    return list(dict.fromkeys(r.metric for e in evaluations for r in e.results))


def _heading(metric: str, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    found = next(r for e in evaluations for r in e.results if r.metric == metric)
    arrow = {"lower": "lower is better", "higher": "higher is better"}.get(found.better, "")
    return {"name": metric.replace("_", " "), "unit": found.unit, "better": arrow}


def _ranked(row: Rank) -> dict[str, Any]:
    half = "" if row.half is None else f" ± {number(row.half, 2)}"
    return {
        "setting": row.setting,
        "mean": f"{number(row.mean)}{half}",
        "runs": ", ".join(number(v) for v in row.values),
        "apart": row.apart,
    }


def _cell(result: Result | None) -> dict[str, str]:
    """A number with its relation and error, or why there is none."""
    if result is None or result.value is None:
        return {"text": "not defined", "why": result.reason if result else ""}
    relation = "≤ " if result.relation == "<=" else ("= " if result.unit == "bits/dim" else "")
    error = f" ± {number(result.error, 2)}" if result.error else ""
    return {"text": f"{relation}{number(result.value)}{error}", "why": ""}
