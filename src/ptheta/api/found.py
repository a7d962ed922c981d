"""Result of `outliers`: scores, a table with a row for each example, and an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ptheta.api.export import Images
from ptheta.api.grid import Output
from ptheta.api.written import Places
from ptheta.capabilities import condition_of, device_of
from ptheta.data.dataset import Dataset
from ptheta.files.rows import write_csv
from ptheta.measures.detection import interval
from ptheta.measures.results import Estimate
from ptheta.specs import ImageSpec, from_unit
from ptheta.tasks.conditions import with_conditions
from ptheta.tasks.outliers.find import Outliers
from ptheta.tasks.outliers.heat import brightness, closest, heat_of
from ptheta.tasks.outliers.known import Known, lacks_conditions


@dataclass(frozen=True)
class Found:
    """Result of `ptheta.outliers`.

    names: names of the examples: file paths, or row numbers
    found: scores, ranks and flags
    detection: how well each score detects known outliers: score -> measure -> value; empty if
        none are known
    remarks: lines on how it was done
    path, picture: files of the scores and of the worst examples; None if not written
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

    def detected(self) -> list[list[str]]:
        """Detection of the known outliers by each score, as a table with column heads; empty if
        none are known."""
        measures = list(next(iter(self.detection.values()), {}))
        heads = ["score", *(name.replace("_", " ") for name in measures)]
        rows = [
            [score, *(_text(by_name[name]) for name in measures)]
            for score, by_name in self.detection.items()
        ]
        return [heads, *rows] if rows else []

    def to_json(self) -> dict[str, object]:
        """The summary over all examples."""
        at = self.found.threshold
        measures = {
            score: {name: _json(value) for name, value in by_name.items()}
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


def _text(found: Estimate) -> str:
    """A measure with its interval, as text."""
    low, high = interval(found)
    return f"{found.value:.3f} ({low:.3f} to {high:.3f})"


def _json(value: Estimate) -> dict[str, object]:
    return {"value": value.value, "error": value.error, "interval": list(interval(value))}


def write(
    places: Places, known: Known, data: Dataset, found: Outliers, outlier: Tensor | None, n: int
) -> None:
    """Writes the scores, and the n worst examples, as requested."""
    if places.table is not None:
        _write(places.table, data, found, outlier)
    if places.picture is not None:
        _draw(Output.at(places.picture, None), known, data, found, n)


def names_of(data: Dataset) -> list[str]:
    """Names of the examples: file paths, else row numbers in the source."""
    rows = data.rows(slice(None)).tolist()
    return [str(row) if data.files is None else data.files[row] for row in rows]


def _write(path: Path, data: Dataset, found: Outliers, outlier: Tensor | None) -> None:
    """Writes a row for each example, in the order of the source."""
    head = ["file" if data.files is not None else "row", found.chosen, "rank", "flagged"]
    columns: list[Sequence[object]] = [
        names_of(data),
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
    write_csv(path, head, zip(*columns, strict=True))


def _texts(values: Tensor) -> list[str]:
    return [f"{value:.6g}" for value in values.tolist()]


def _draw(output: Output, known: Known, data: Dataset, found: Outliers, n: int) -> None:
    """Draws the worst examples, each with a map of where it is unusual, and the nearest training
    example."""
    spec = known.spec
    assert isinstance(spec, ImageSpec)  # checked before
    worst = with_conditions(known.model, data.with_fixed_binarisation()).subset(found.worst(n))
    batch = worst.batch(slice(0, len(worst)))
    plain = "difference" if lacks_conditions(known.model, worst) else None
    name, heat = heat_of(known, plain)
    there = batch.to(device_of(known.model))
    y = None if condition_of(known.model) is None else there.condition
    with torch.no_grad():
        maps = from_unit(brightness(heat(there.x, y))).expand(-1, spec.channels, -1, -1)
    rows = torch.stack([batch.x, maps, closest(known, batch.x)], 1).flatten(0, 1)
    captions = tuple(names_of(worst))
    shown = replace(Images.of(rows), headings=("image", name, "nearest"), captions=captions)
    output.write(shown, f"the {len(worst)} worst by {found.chosen}", 3)
