"""The comparison of runs: all are measured alike, and one report is written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ptheta.compute.streams import undisturbed
from ptheta.data.sources import ImageSet
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.files.atomic import make_folder, write_json, write_text
from ptheta.files.out import check_folder
from ptheta.measures.results import Evaluation, direction_of
from ptheta.metrics.baselines import BASELINES, OF_VECTORS, baselines_of
from ptheta.metrics.evaluate import evaluate_images, real_baseline
from ptheta.metrics.floors import TRANSLATION_FLOORS
from ptheta.report.comparison import FLOORS, Comparison, Measured, Measuring
from ptheta.report.markdown import document
from ptheta.report.measuring import HELD, Loaded, floors, measured_images, measured_run
from ptheta.report.page import page
from ptheta.report.pairs import pairs
from ptheta.report.plots import COLOURS
from ptheta.report.ranking import Rank, rank, settings
from ptheta.report.remarks import protocol_remarks, remarks
from ptheta.report.sections import section_of
from ptheta.report.sight import Sight, look
from ptheta.report.tables import metrics_of
from ptheta.runs.folder import Run
from ptheta.terminal.progress import about
from ptheta.terminal.screen import printable

BLIND = {
    name
    for table in (BASELINES, OF_VECTORS, TRANSLATION_FLOORS)
    for name, kind in table.items()
    if kind.blind
}


@undisturbed()
def compare(
    runs: Sequence[Run],
    out: Path,
    *,
    n: int = 1000,
    seed: int = 0,
    extractor: str | Extractor | None = None,
    images: Mapping[str, ImageSet] | None = None,
    data: str | None = None,
    anew: bool = False,
) -> Path:
    """Measures every run in the same way and writes report.html, .md and .json into `out`.

    n: images drawn of each model; extractor: as `ptheta.metrics.evaluate.evaluate` takes it
    images: name -> images that another program made, measured as well
    data: what to measure on: where the runs' data lies now, or other images
    anew: measure what the evaluation.json of a run holds by the same protocol, too
    Returns the page.
    Raises PthetaError where the runs' images differ in size or levels, or were other images and no
    `data` is given, and where two rows would have the same name.
    """
    out = check_folder(out)
    sight = look(runs, data)
    for run in runs:
        run.warn_if_unfinished()
    make_folder(out)
    found = _compare(runs, sight, images or {}, Measuring(n, seed, extractor, anew))
    about("writing the report")
    write_json(out / "report.json", found.to_json())
    write_text(out / "report.md", document(found))
    write_text(out / "report.html", page(found))
    return out / "report.html"


def _compare(
    runs: Sequence[Run], sight: Sight, images: Mapping[str, ImageSet], how: Measuring
) -> Comparison:
    test, train = sight.test, sight.train
    measured, said = _rows(runs, sight, images, how)
    for name, lines in protocol_remarks({m.name: m.evaluation for m in measured}).items():
        said[name] += lines
    groups: dict[str, list[Measured]] = {}
    for setting, m in zip(settings(runs), measured, strict=False):  # images have no settings
        groups.setdefault(setting, []).append(m)
    evaluations = {m.name: m.evaluation for m in measured}
    about("the baselines and the real images")
    baselines = {
        name: evaluate_images(
            make(train, test, how.n, how.seed),
            test,
            train,
            seed=how.seed,
            extractor=how.extractor,
        )
        for name, make in baselines_of(test.spec).items()
    } | floors(evaluations, sight, how)
    return Comparison(
        measured=measured,
        groups=groups,
        ranked=rankings({s: [m.evaluation for m in group] for s, group in groups.items()}),
        pairs=pairs(evaluations, metrics_of(list(evaluations.values()))),
        remarks=said,
        baselines=baselines,
        chance=_chance(baselines),
        floor=real_baseline(test, train, n=how.n, seed=how.seed, extractor=how.extractor),
        test=test,
        how=how,
    )


def _chance(baselines: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """The numbers of those that are blind. A floor is blind to what it is asked for, and its images
    may be as near to the data as any."""
    found = {name: e for name, e in baselines.items() if name in BLIND}
    for name in found.keys() & TRANSLATION_FLOORS.keys():
        own = (r for r in found[name].results if section_of(r.metric) in HELD)
        found[name] = Evaluation(tuple(own), found[name].protocol)
    return found


def _rows(
    runs: Sequence[Run], sight: Sight, images: Mapping[str, ImageSet], how: Measuring
) -> tuple[list[Measured], dict[str, list[str]]]:
    """The rows, runs first, and the remarks on each."""
    opened = [Loaded.of(run) for run in runs]
    names, measured = _names(runs, images), []
    for i, (loaded, seen) in enumerate(zip(opened, sight.seen, strict=True)):
        about(f"{i + 1} of {len(names)}: {names[i]}")
        colour = COLOURS[i % len(COLOURS)]
        measured.append(measured_run(loaded, names[i], seen, colour, how))
    models = [loaded.model for loaded in opened]
    said = {
        m.name: [*lines, *filter(None, [seen.remark])]
        for m, lines, seen in zip(measured, remarks(runs, models), sight.seen, strict=True)
    }
    for name, whole in images.items():
        about(f"{len(measured) + 1} of {len(names)}: {name}")
        made, said[name] = measured_images(name, whole, sight, how)
        measured.append(made)
    return measured, said


def _names(runs: Sequence[Run], images: Mapping[str, ImageSet]) -> list[str]:
    """A different name for each row: that of its folder, with the parent's where two are alike.

    Raises PthetaError where images would have the name of another row.
    """
    names = [printable(run.name) for run in runs]
    if len(set(names)) < len(names):
        names = [printable(run.called) for run in runs]
    for name in images:
        if name in (*names, *BASELINES, *OF_VECTORS, *TRANSLATION_FLOORS, *FLOORS):
            raise PthetaError(f"{name} is the name of two rows: rename the folder or the run")
    return [*names, *images]


def rankings(settings: Mapping[str, Sequence[Evaluation]]) -> dict[str, list[Rank]]:
    """Each metric that ranks samples -> the settings, where any of them has several seeds; only
    metrics that all runs have by one protocol."""
    if all(len(group) == 1 for group in settings.values()):
        return {}
    every = [evaluation for group in settings.values() for evaluation in group]
    found = {}
    for metric in metrics_of(every):
        results = [r for e in every if (r := e.get(metric)) is not None]
        better, relations = direction_of(results), {r.relation for r in results}
        if len(relations) == 1 and better:
            rows = rank(settings, metric, better)
            if rows:
                found[metric] = rows
    return found
