"""The comparison of runs: measured alike, written as a page, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ptheta.capabilities import HasBound, HasLogProb, Samples
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.data.sources import Whole
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.files.atomic import make_folder, write_json, write_text
from ptheta.files.out import check_folder
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.baselines import BASELINES
from ptheta.metrics.conditions import draw
from ptheta.metrics.evaluate import evaluate, evaluate_images, real_baseline
from ptheta.metrics.protocol import cure, differing
from ptheta.report.pairs import Pair, matrix, pairs
from ptheta.report.pictures import SHOWN, Picture, pictures
from ptheta.report.plots import COLOURS, curves, number, picture, scatter
from ptheta.report.ranking import Rank, rank, settings
from ptheta.report.remarks import remarks
from ptheta.report.sight import Seen, Sight, look
from ptheta.report.summary import summary
from ptheta.report.tables import as_markdown, cell, grid, heading, metrics_of, ranked_row, tables
from ptheta.report.text import markdown
from ptheta.report.verdict import REPEATED, verdicts
from ptheta.runs.folder import Run
from ptheta.specs import quantise
from ptheta.terminal.progress import about, stage
from ptheta.terminal.screen import printable

FLOOR = "real images"
SHOWN_PAIRS = ("bits_per_dim", "kd_", "kid", "fd_", "fid")  # differences that the page shows


@dataclass(frozen=True)
class Measured:
    """A run, or images that another program made, with numbers and pictures.

    path: of either; family, about: what made it; density: explicit (exact), explicit (bound),
    implicit, or that nothing is known of it; cost: of a run
    """

    name: str
    path: str
    family: str
    about: str
    evaluation: Evaluation
    density: str
    pictures: list[Picture]
    cost: Cost | None = None
    curves: str = ""


class Cost(NamedTuple):
    """Of training."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class Comparison:
    """Everything that a report says.

    groups: the runs of each setting, which differ in their seed alone; remarks: of each that is
    measured, what makes it another thing than the rest; baselines, floor: what all are held against
    """

    measured: list[Measured]
    groups: dict[str, list[Measured]]
    ranked: dict[str, list[Rank]]
    pairs: dict[str, list[Pair]]
    remarks: dict[str, list[str]]
    baselines: dict[str, Evaluation]
    floor: Evaluation
    test: Dataset
    n: int
    seed: int

    @property
    def runs(self) -> dict[str, Evaluation]:
        return {m.name: m.evaluation for m in self.measured}

    @property
    def others(self) -> dict[str, Evaluation]:
        return {**self.baselines, FLOOR: self.floor}


@undisturbed()
def compare(
    runs: Sequence[Run],
    out: Path,
    *,
    n: int = 1000,
    seed: int = 0,
    extractor: str | Extractor | None = None,
    images: Mapping[str, Whole] | None = None,
    data: str | None = None,
) -> Path:
    """Measures every run in the same way and writes report.html, .md and .json into `out`.

    n: images drawn of each model; extractor: as `ptheta.metrics.evaluate.evaluate` takes it
    images: name -> images that another program made, measured beside the runs
    data: what to measure on: where the runs' data lies now, or other images
    Returns the page.
    Raises PthetaError where the runs' images differ in size or levels, or were other images and no
    `data` is given, and where two rows would have the same name.
    """
    out = check_folder(out)
    sight = look(runs, data)
    for run in runs:
        run.warn_if_unfinished()
    make_folder(out)
    found = _compare(runs, sight, images or {}, n, seed, extractor)
    write_json(out / "report.json", _as_json(found))
    write_text(out / "report.md", _markdown(found))
    write_text(out / "report.html", _render(found))
    return out / "report.html"


def _compare(
    runs: Sequence[Run],
    sight: Sight,
    images: Mapping[str, Whole],
    n: int,
    seed: int,
    extractor: str | Extractor | None,
) -> Comparison:
    test, train = sight.test, sight.train
    names, models = _names(runs), [run.model() for run in runs]
    for name in images:
        if name in (*names, *BASELINES, FLOOR):
            raise PthetaError(f"{name} is the name of two rows: rename the folder or the run")
    measured, rows = [], len(runs) + len(images)
    for i, (run, model, name, seen) in enumerate(zip(runs, models, names, sight.seen, strict=True)):
        about(f"{i + 1} of {rows}: {name}")
        colour = COLOURS[i % len(COLOURS)]
        measured.append(_measure(run, model, name, test, seen, colour, n, seed, extractor))
    groups: dict[str, list[Measured]] = {}
    for setting, m in zip(settings(runs), measured, strict=True):
        groups.setdefault(setting, []).append(m)
    said = {
        name: [*lines, *filter(None, [seen.remark])]
        for name, lines, seen in zip(names, remarks(runs, models), sight.seen, strict=True)
    }
    for i, (name, x) in enumerate(images.items(), len(runs) + 1):
        about(f"{i} of {rows}: {name}")
        made, remark = _foreign(name, x, test, train, n, seed, extractor)
        measured.append(made)
        said[name] = remark
    usual = measured[0].evaluation.protocol
    for m in measured:
        own = m.evaluation.protocol
        said[m.name] += [
            f"was measured with {key.replace('_', ' ')} {own.get(key)}, not {usual.get(key)}"
            for key in differing(own, usual)
        ]
        if (how := cure(own, usual)) != "":
            said[m.name].append(f"can be held against the others once you {how}")
    evaluations = {m.name: m.evaluation for m in measured}
    about("the baselines and the real images")
    return Comparison(
        measured=measured,
        groups=groups,
        ranked=rankings(groups),
        pairs=pairs(evaluations, metrics_of(list(evaluations.values()))),
        remarks=said,
        baselines={
            name: evaluate_images(
                make(train, test, n, seed), test, train, seed=seed, extractor=extractor
            )
            for name, make in BASELINES.items()
        },
        floor=real_baseline(test, train, n=n, seed=seed, extractor=extractor),
        test=test,
        n=n,
        seed=seed,
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """A different name for each run: its folder's, with the parent's where two are alike."""
    names = [printable(run.name) for run in runs]
    if len(set(names)) == len(names):
        return names
    return [printable(str(run.path)) for run in runs]


def _foreign(
    name: str,
    whole: Whole,
    test: Dataset,
    train: Dataset,
    n: int,
    seed: int,
    extractor: str | Extractor | None,
) -> tuple[Measured, list[str]]:
    """Images that another program made, at the levels of the runs, and what is to be said of it."""
    rounded = quantise(whole.images, test.levels)
    remark = "was made by another program: no likelihood, training or speed is known of it"
    if not torch.equal(rounded, whole.images):
        remark += f"; its images were rounded to {test.levels} levels"
    if whole.resized:
        remark += f"; its pictures were resized and cropped to {test.spec.width}x{test.spec.height}"
    evaluation = evaluate_images(rounded, test, train, n=n, seed=seed, extractor=extractor)
    made = Measured(
        name=name,
        path=name,
        family="images",
        about="made by another program",
        evaluation=evaluation,
        density="not known",
        pictures=pictures(None, rounded, test, train, seed),
    )
    return made, [remark]


def _measure(
    run: Run,
    model: nn.Module,
    name: str,
    test: Dataset,
    seen: Seen,
    colour: str,
    n: int,
    seed: int,
    extractor: str | Extractor | None,
) -> Measured:
    with stage("drawing samples"):
        samples = (
            draw(model, test.with_fixed_binarisation(), n, seed)
            if isinstance(model, Samples)
            else None
        )
    evaluation = evaluate(
        model,
        test,
        seen.train,
        n=n,
        seed=seed,
        samples=samples,
        extractor=extractor,
        no_copies=seen.no_copies,
        about=run.checkpoint() | {"model": run.plan.model},
    )
    evaluation.write(run.path / "evaluation.json")
    lines = run.metrics()
    with stage("pictures"):
        drawn = pictures(model, samples, test, seen.train, seed)
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


def rankings(groups: Mapping[str, Sequence[Measured]]) -> dict[str, list[Rank]]:
    """Each metric that ranks samples -> the settings, where any of them has several seeds; only
    metrics that all runs have by one protocol."""
    if all(len(group) == 1 for group in groups.values()):
        return {}
    evaluations = {setting: [m.evaluation for m in group] for setting, group in groups.items()}
    found = {}
    for metric in metrics_of([e for group in evaluations.values() for e in group]):
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


def _as_json(found: Comparison) -> dict[str, Any]:
    return {
        "real": found.floor.to_json(),
        "baselines": {name: e.to_json() for name, e in found.baselines.items()},
        "runs": {
            m.name: {
                "path": m.path,
                "family": m.family,
                "density": m.density,
                "training_seconds": m.cost and round(m.cost.seconds, 1),
                "steps": m.cost and m.cost.steps,
                "remarks": found.remarks[m.name],
                "evaluation": m.evaluation.to_json(),
            }
            for m in found.measured
        },
        "differences": {
            metric: [pair.to_json() for pair in every] for metric, every in found.pairs.items()
        },
        "settings": {
            metric: [row.to_json() for row in rows] for metric, rows in found.ranked.items()
        },
    }


def _tables(found: Comparison) -> tuple[list[Any], list[tuple[str, str]]]:
    """The tables, and their footnotes: (mark, text)."""
    texts = list(dict.fromkeys(text for lines in found.remarks.values() for text in lines))
    mark = {text: chr(ord("a") + i % 26) for i, text in enumerate(texts)}
    made = tables(
        found.runs,
        found.others,
        marks={
            name: ", ".join(mark[text] for text in lines) for name, lines in found.remarks.items()
        },
        more={
            "Likelihood": {"density": [m.density for m in found.measured]},
            "Cost": {
                "training, minutes": [
                    number(m.cost.seconds / 60, 2) if m.cost else "not known"
                    for m in found.measured
                ],
                "steps": [f"{m.cost.steps:,}" if m.cost else "" for m in found.measured],
            },
        },
    )
    return made, [(mark[text], text) for text in texts]


def _render(found: Comparison) -> str:
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("ptheta.report"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured, made = found.measured, _tables(found)
    metrics = metrics_of([*found.runs.values(), found.floor])
    return environment.get_template("compare.html").render(
        measured=measured,
        tables=made[0],
        footnotes=made[1],
        taxonomy={
            kind: [m.name for m in measured if m.density == kind]
            for kind in ("explicit, exact", "explicit, bound", "implicit", "none")
        },
        shown=[
            *(group[0] for group in found.groups.values()),
            *(m for m in measured if m.cost is None),
        ],
        rankings=[
            {
                **heading(metric, list(found.runs.values())),
                "rows": [ranked_row(row) for row in rows],
                "real": cell(r)["text"] if (r := found.floor.get(metric)) else "",
            }
            for metric, rows in found.ranked.items()
        ],
        differences=[
            {**heading(metric, list(found.runs.values())), **matrix(every)}
            for metric, every in found.pairs.items()
            if metric.startswith(SHOWN_PAIRS) and not metric.startswith(REPEATED)
        ],
        summary=_summary(found),
        verdicts=verdicts(found.runs, metrics),
        plot=_speed_plot(measured, metrics),
        balance=_balance_plot(found),
        real=picture(found.test.batch(range(min(SHOWN, len(found.test)))).x, 8),
        test=found.test,
        spec=found.test.spec,
        n=found.n,
        seed=found.seed,
        protocol=measured[0].evaluation.protocol,
    )


def _summary(found: Comparison) -> list[str]:
    return summary(found.runs, metrics_of(list(found.runs.values())), found.ranked)


def _speed_plot(measured: Sequence[Measured], metrics: Sequence[str]) -> str:
    """Kernel distance against sampling speed."""
    distance = next((m for m in metrics if m.startswith(("kd_", "kid"))), None)
    points = []
    for m in measured:
        x, y = m.evaluation.get("sampling_speed"), m.evaluation.get(distance or "")
        if x is not None and y is not None and x.value is not None and y.value is not None:
            points.append((m.name, x.value, y.value, 2 * (y.error or 0.0)))
    return scatter(points, "sampling speed, images/s", distance or "") if points else ""


def _balance_plot(found: Comparison) -> str:
    """Precision against recall, of the runs and of what they are held against."""
    points = [
        (name, r.value, p.value, 2 * (p.error or 0.0))
        for name, e in {**found.runs, **found.others}.items()
        if (p := _named(e, "precision_")) and (r := _named(e, "recall_"))
        if p.value is not None and r.value is not None
    ]
    if not points:
        return ""
    return scatter(points, "recall", "precision", log=False, grey=found.others.keys())


def _markdown(found: Comparison) -> str:
    """The same numbers as text."""
    made, footnotes = _tables(found)
    lines = [
        f"# Families of generative models, measured on {markdown(found.test.name)}",
        "",
        f"{markdown(', '.join(found.runs))}: {found.n} samples of each at seed {found.seed}; "
        f"{len(found.test):,} held-out test images.",
        "",
        *(f"- {markdown(line)}" for line in _summary(found)),
        *as_markdown(made),
    ]
    lines += ["", *(f"[{mark}] {markdown(text)}  " for mark, text in footnotes)]
    lines += _undecided(found.pairs)
    for metric, rows in found.ranked.items():
        lines += ["", f"## {metric.replace('_', ' ')} over seeds", ""]
        shown = [ranked_row(row) for row in rows]
        lines += grid(
            [
                ["setting", "mean, 95 % interval", "runs", ""],
                *(
                    [r["setting"], r["mean"], r["runs"], "not the best" if r["apart"] else ""]
                    for r in shown
                ),
            ]
        )
    protocol = found.floor.protocol
    said = (f"{k.replace('_', ' ')}: {markdown(str(v))}" for k, v in protocol.items())
    lines += ["", "; ".join(said)]
    return "\n".join(lines) + "\n"


def _undecided(found: Mapping[str, Sequence[Pair]]) -> list[str]:
    """Which runs cannot be told apart, and which are not judged, as lines of Markdown."""
    lines: list[str] = []
    alike = {m: [f"{p.a} and {p.b}" for p in every if p.alike] for m, every in found.items()}
    if any(alike.values()):
        lines += ["", "## Cannot be told apart", ""]
        lines += ["By the paired 95 % interval of two runs:", ""]
        lines += [
            f"- {m.replace('_', ' ')}: {markdown(', '.join(p))}" for m, p in alike.items() if p
        ]
    reasons: dict[str, list[str]] = {}
    for metric, every in found.items():
        for p in every:
            if p.difference is None:
                said = reasons.setdefault(f"{p.a} and {p.b}: {p.reason}", [])
                said.append(metric.replace("_", " "))
    if reasons:
        lines += ["", "## Not judged", ""]
        lines += [
            f"- {markdown(reason)} ({', '.join(metrics)})" for reason, metrics in reasons.items()
        ]
    return lines


def _named(evaluation: Evaluation, prefix: str) -> Result | None:
    return next((r for r in evaluation.results if r.metric.startswith(prefix)), None)
