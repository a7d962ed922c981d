"""Outliers: which examples are unlike those that a run was trained on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.export import Images
from ptheta.api.grid import Output
from ptheta.capabilities import Encodes, condition_of
from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.request import asked_values
from ptheta.data.selection import values_of
from ptheta.data.trained import DataMatch, joined
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.extractors.table import load_extractor
from ptheta.files.atomic import make_folder, write_atomic
from ptheta.files.images import PICTURES
from ptheta.files.out import check_file
from ptheta.measures.detection import interval
from ptheta.measures.results import Estimate
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec, from_unit, images_only
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.outliers.codes import CODES, Codes
from ptheta.tasks.outliers.find import Outliers
from ptheta.tasks.outliers.heat import brightness, closest, heat_of
from ptheta.tasks.outliers.known import Known
from ptheta.tasks.outliers.table import DEFAULT, defined, entry

ALL = "all"  # the scores that can be taken
CALIBRATED = 100  # held-out examples that a threshold is better set by than by fewer
SHOWN = 8  # examples in a picture


@dataclass(frozen=True)
class Found:
    """What `ptheta.outliers` gives.

    names: of the examples: the paths of their files, or their rows
    found: scores, ranks, and what is flagged
    detection: how well each score tells what is known to be an outlier: score -> measure -> value;
        empty where nothing is known
    remarks: lines on how it was done
    path, picture: where scores and the worst examples were written; None where nowhere
    """

    names: Sequence[str] = field(repr=False)
    found: Outliers
    detection: dict[str, dict[str, Estimate]]
    remarks: tuple[str, ...] = ()
    path: Path | None = None
    picture: Path | None = None

    def __repr__(self) -> str:
        flagged, n = int(self.found.flagged.sum()), len(self.names)
        return f"Found({flagged:,} of {n:,} examples flagged by {self.found.chosen})"

    def to_json(self) -> dict[str, object]:
        """The numbers that are of all examples together."""
        at = self.found.threshold
        measures = {
            score: {name: _told(value) for name, value in by_name.items()}
            for score, by_name in self.detection.items()
        }
        return {
            "score": self.found.chosen,
            "examples": len(self.names),
            "flagged": int(self.found.flagged.sum()),
            "threshold": None if at is None else vars(at),
            "detection": measures,
            "remarks": list(self.remarks),
        }


def _told(value: Estimate) -> dict[str, object]:
    return {"value": value.value, "error": value.error, "interval": list(interval(value))}


class Finding(TypedDict, total=False):
    """How outliers are found.

    score: names of `ptheta.tasks.outliers.SCORES`, the first of which decides, or "all" of which
        can be taken, behind the default one
    background: a run of a model of what all such examples have in common
    extractor: of the features of neighbours and mahalanobis: a name, "codes" (those of the model),
        or an object
    false_alarms: share of examples like the training data that may be flagged
    samples: importance samples of a bound
    weights: of the run, "best" or "last"
    """

    score: Sequence[str]
    background: str | Path | Run | None
    extractor: str | Extractor | None
    false_alarms: float
    samples: int
    weights: str
    seed: int


@undisturbed()
def outliers(
    run: str | Path | Run,
    source: Source,
    *,
    split: str | None = None,
    data: Source | None = None,
    outlier_where: Sequence[str] = (),
    normal: Source | None = None,
    out: str | Path | None = None,
    show: str | Path | None = None,
    n: int = SHOWN,
    force: bool = False,
    **how: Unpack[Finding],
) -> Found:
    """Scores the examples of a source, more for what is less like the run's training data, and
    flags those that few examples like it would reach.

    source: anything that `ptheta.open_data` reads; split: a part of it; default: its test part, or
        all of it where it has no parts
    data: where the run's data lies now
    outlier_where: examples with NAME=VALUE, such as label=shoe, are known outliers
    normal: a second source, of examples that are none: all of the first are then outliers
    out: a .csv to write a row for each example to; show: a picture of the n worst; force: whether
        files that are there are overwritten
    how: the fields of `Finding`
    Raises PthetaError for a score that the model cannot give, and where the run's training data is
    not there.
    """
    place = _new(out, (".csv",), "--out", force)
    output = None if show is None else Output.at(_new(show, tuple(PICTURES), "--show", force), None)
    opened = Run.open(run)
    if output is not None:
        images_only(opened.spec, "--show, a picture of the worst,")
    if normal is not None and outlier_where:
        raise PthetaError("--normal says that all others are outliers: leave --outlier-where out")
    scored = opened.other(source, split)
    outlier = _by_value(scored, outlier_where) if outlier_where else None
    match = opened.own(data)
    others = None if normal is None else opened.other(normal)
    bank, held_out, remarks = _apart(match, scored, others)
    known = _known(opened, bank, how)
    names = _asked(how.get("score", (DEFAULT,)), known)
    found = tasks.outliers(
        known.model,
        scored,
        bank,
        held_out,
        normal=others,
        scores=names,
        background=known.background,
        extractor=known.extractor,
        false_alarms=how.get("false_alarms", 0.05),
        samples=known.samples,
        seed=known.seed,
    )
    detection = found.detection(outlier) if outlier is not None or others is not None else {}
    if place is not None:
        make_folder(place.parent)
        _write(place, scored, found, outlier)
    if output is not None:
        _draw(output, known, scored, found, n)
    where = None if output is None else output.path
    return Found(_names(scored), found, detection, remarks, place, where)


def _new(path: str | Path | None, suffixes: tuple[str, ...], flag: str, force: bool) -> Path | None:
    """A file to write. Raises PthetaError where it is there and must not be overwritten."""
    if path is None:
        return None
    place = check_file(path, suffixes, flag=flag)
    if place.exists() and not force:
        raise PthetaError(f"{flag} {place} is there already: name another, or give --force")
    return place


def _by_value(data: Dataset, where: Sequence[str]) -> Tensor:
    """Which examples have one of the values of each name: bool (N,)."""
    each = []
    for name, asked in asked_values(tuple(where)).items():
        values = values_of(data, name)
        strange = next((value for value in asked if value not in values), None)
        if strange is not None:
            there = ", ".join(sorted(set(values.tolist()))[:10])
            raise PthetaError(
                f"--outlier-where {name}={strange}: no example has this {name}; there is {there}"
            )
        each.append(np.isin(values, asked))
    return torch.from_numpy(np.logical_and.reduce(each))


def _apart(
    match: DataMatch, scored: Dataset, others: Dataset | None
) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """The bank that examples are compared with; examples like it that nothing has seen, to set the
    threshold by; and remarks on these.

    Held-out examples that are scored themselves say nothing new of it. Where they are few the
    examples that chose the weights, and were not trained on, take their place.
    """
    assert match.images is not None  # the training data is there
    seen = [data.keys() for data in (scored, others) if data is not None]
    bank, choices = match.images, []
    for data, what in ((match.held_out, "held-out"), (match.reserve, "reserve")):
        if data is None:
            continue
        fresh = ~np.isin(data.keys(), np.concatenate(seen))
        if fresh.any():
            choices.append((data.subset(fresh), what))
    if not choices:
        why = "no held-out examples that are not scored: nothing is flagged"
        return bank, None, (why,)
    held_out, what = next((c for c in choices if len(c[0]) >= CALIBRATED), choices[0])
    if what == "held-out" and match.reserve is not None:
        bank = joined(bank, match.reserve)
    remark = f"threshold set by {len(held_out):,} {what} {held_out.examples}"
    return bank, held_out, (remark,)


def _known(run: Run, bank: Dataset, how: Finding) -> Known:
    """What a score may be made of."""
    model = run.model(how.get("weights", "best"))
    beside = how.get("background")
    return Known(
        model,
        with_conditions(model, bank),
        None if beside is None else _background(run, Run.open(beside)),
        _extractor(how.get("extractor"), model),
        samples=how.get("samples", Known.samples),
        seed=how.get("seed", Known.seed),
    )


def _background(run: Run, other: Run) -> nn.Module:
    """Its model. Raises PthetaError where it learned other examples than those of the run."""
    if other.spec != run.spec:
        raise PthetaError(
            f"--background {other.path} learned {other.spec}, and {run.path} {run.spec}: give a "
            "run on the same data, with the same size and levels"
        )
    model = other.model()
    if condition_of(model) is not None:
        raise PthetaError(
            f"--background {other.path} is asked for a condition: give a run of a model that is not"
        )
    return model


def _extractor(asked: str | Extractor | None, model: nn.Module) -> Extractor | None:
    if asked == CODES and isinstance(model, Encodes):
        return Codes(model)
    return load_extractor(asked) if isinstance(asked, str) else asked


def _asked(names: Sequence[str], known: Known) -> tuple[str, ...]:
    """The names of the scores, each once. Raises PthetaError for one that is unknown."""
    if tuple(names) == (ALL,):
        names = (DEFAULT, *defined(known))
    for name in names:
        entry(name)
    return tuple(dict.fromkeys(names))


def _names(data: Dataset) -> list[str]:
    """What the examples are called: the paths of their files, else their rows in the source."""
    rows = data.rows(slice(None)).tolist()
    return [str(row) if data.files is None else data.files[row] for row in rows]


def _write(path: Path, data: Dataset, found: Outliers, outlier: Tensor | None) -> None:
    """A row for each example, in the order of the source."""
    head = ["file" if data.files is not None else "row", found.chosen, "rank", "flagged"]
    columns: list[Sequence[object]] = [
        _names(data),
        _texts(found.scores[found.chosen]),
        found.rank.tolist(),
        found.flagged.int().tolist(),
    ]
    if found.p_values is not None:
        head, columns = [*head, "p_value"], [*columns, _texts(found.p_values)]
    for name, values in list(found.scores.items())[1:]:
        head, columns = [*head, name], [*columns, _texts(values)]
    if outlier is not None:
        head, columns = [*head, "outlier"], [*columns, outlier.int().tolist()]

    def fill(place: Path) -> None:
        with place.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(zip(*columns, strict=True))

    write_atomic(path, fill)


def _texts(values: Tensor) -> list[str]:
    return [f"{value:.6g}" for value in values.tolist()]


def _draw(output: Output, known: Known, data: Dataset, found: Outliers, n: int) -> None:
    """The worst examples: each beside where it is unlike, and the nearest training example."""
    spec = known.spec
    assert isinstance(spec, ImageSpec)  # asked before
    worst = with_conditions(known.model, data.with_fixed_binarisation()).subset(found.worst(n))
    batch = worst.batch(slice(0, len(worst)))
    name, heat = heat_of(known)
    y = None if condition_of(known.model) is None else batch.condition
    with torch.no_grad():
        maps = from_unit(brightness(heat(batch.x, y))).expand(-1, spec.channels, -1, -1)
    rows = torch.stack([batch.x, maps, closest(known, batch.x)], 1).flatten(0, 1)
    captions = tuple(_names(worst))
    shown = replace(Images.of(rows), headings=("image", name, "nearest"), captions=captions)
    output.write(shown, f"the {len(worst)} worst by {found.chosen}", 3)
