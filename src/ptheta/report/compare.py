"""Compare runs: evaluate all of them by one protocol and write a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ptheta.compute.streams import undisturbed
from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.sources import ImageSet
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.files.atomic import make_folder, write_json, write_text
from ptheta.files.out import check_folder
from ptheta.metrics.baselines import BASELINES, OF_VECTORS, baselines_of
from ptheta.metrics.evaluate import evaluate_images, real_baseline
from ptheta.metrics.floors import TRANSLATION_FLOORS
from ptheta.report import stored
from ptheta.report.comparison import FLOORS, Comparison, Material, Measured, Measuring
from ptheta.report.markdown import document
from ptheta.report.measuring import Loaded, floors, measured_images, measured_run
from ptheta.report.page import page
from ptheta.report.pictures import first_real, real_examples
from ptheta.report.ranking import settings
from ptheta.report.remarks import protocol_remarks, remarks
from ptheta.report.sight import Sight, look
from ptheta.runs.folder import Run
from ptheta.terminal.progress import about
from ptheta.terminal.screen import printable


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
    """Evaluate all runs by one protocol, store the results in `out`, and write report.html, .md and
    .json from them.

    Args:
        runs: the runs, on one device
        out: folder to write the report into
        n: number of images to draw from each model
        seed: random seed
        extractor: as for `ptheta.metrics.evaluate.evaluate`
        images: name -> images from another program, evaluated as well
        data: data to evaluate on: the new location of the runs' data, or other images
        anew: ignore results stored in evaluation.json

    Returns:
        Path of the HTML page.

    Raises:
        PthetaError: if the runs' images differ in size or levels, if they were trained on different
            images and no `data` is given, or if two rows would have the same name
    """
    out = check_folder(out)
    sight = look(runs, data)
    for run in runs:
        run.warn_if_unfinished()
    make_folder(out)
    how = Measuring(n, seed, extractor, anew, runs[0].device)
    found = _compare(runs, sight, images or {}, how)
    about("writing the report")
    stored.write(found, out)
    return write(out)


def write(folder: Path) -> Path:
    """Rebuild report.html, .md and .json from the results stored in a folder. Returns the page.

    Raises PthetaError if there are none, or they are damaged.
    """
    found = stored.read(folder)
    try:  # render everything before writing anything
        values, text, html = found.to_json(), document(found), page(found)
        json.dumps(values, allow_nan=False)
    except (ValueError, ArithmeticError) as error:  # floating-point overflow
        raise PthetaError(
            f"{folder / stored.FILE}: cannot make a report of its numbers ({brief(str(error))}): "
            f"{stored.CURE}"
        ) from error
    write_json(folder / "report.json", values)
    write_text(folder / "report.md", text)
    write_text(folder / "report.html", html)
    return folder / "report.html"


def _compare(
    runs: Sequence[Run], sight: Sight, images: Mapping[str, ImageSet], how: Measuring
) -> Comparison:
    test, train = sight.test, sight.train
    measured, remarks = _rows(runs, sight, images, how)
    for name, lines in protocol_remarks({m.name: m.evaluation for m in measured}).items():
        remarks[name] += lines
    evaluations = {m.name: m.evaluation for m in measured}
    about("the baselines and the real images")
    baselines = {
        name: evaluate_images(
            make(train, test, how.n, how.seed),
            test,
            train,
            seed=how.seed,
            extractor=how.extractor,
            device=how.device,
        )
        for name, make in baselines_of(test.spec).items()
    } | floors(evaluations, sight, how)
    return Comparison(
        measured=measured,
        remarks=remarks,
        baselines=baselines,
        floor=real_baseline(
            *(test, train), n=how.n, seed=how.seed, extractor=how.extractor, device=how.device
        ),
        data=_material(test),
        n=how.n,
        seed=how.seed,
    )


def _material(test: Dataset) -> Material:
    return Material(
        name=test.name,
        what=_what(test),
        example=test.example,
        examples=test.examples,
        count=len(test),
        real=real_examples(test),
        first=first_real(test),
    )


def _what(test: Dataset) -> str:
    """A short description of the examples."""
    if not isinstance(test, ImageDataset):
        return f"{test.spec}"
    spec = test.spec
    afresh = ", binarised anew for every training batch" if test.dynamic else ""
    size = f"{spec.channels}\u00d7{spec.height}\u00d7{spec.width}"
    return f"images of {size} pixels with {spec.levels} levels{afresh}"


def _rows(
    runs: Sequence[Run], sight: Sight, images: Mapping[str, ImageSet], how: Measuring
) -> tuple[list[Measured], dict[str, list[str]]]:
    """The rows, runs first, and the remarks on each."""
    opened = [Loaded.of(run) for run in runs]
    names, measured, costs = _names(runs, images), [], settings(runs)
    for i, (loaded, seen) in enumerate(zip(opened, sight.seen, strict=True)):
        about(f"{i + 1} of {len(names)}: {names[i]}")
        measured.append(measured_run(loaded, names[i], costs[i], seen, how))
    models = [loaded.model for loaded in opened]
    by_name = {
        m.name: [*lines, *filter(None, [seen.remark])]
        for m, lines, seen in zip(measured, remarks(runs, models), sight.seen, strict=True)
    }
    for name, whole in images.items():
        about(f"{len(measured) + 1} of {len(names)}: {name}")
        made, by_name[name] = measured_images(name, whole, sight, how)
        measured.append(made)
    return measured, by_name


def _names(runs: Sequence[Run], images: Mapping[str, ImageSet]) -> list[str]:
    """A unique name for each row: its folder name, with the parent folder if two are equal.

    Raises PthetaError if an image folder would have the name of another row.
    """
    names = [printable(run.name) for run in runs]
    if len(set(names)) < len(names):
        names = [printable(run.called) for run in runs]
    for name in images:
        if name in (*names, *BASELINES, *OF_VECTORS, *TRANSLATION_FLOORS, *FLOORS):
            raise PthetaError(f"{name} is the name of two rows: rename the folder or the run")
    return [*names, *images]
