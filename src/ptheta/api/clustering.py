"""The `cluster` function: cluster examples and evaluate the clusters against labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta import tasks
from ptheta.api.example_sets import shown_to, some_of
from ptheta.api.export import Images
from ptheta.api.found import names_of
from ptheta.api.grid import Block, Output
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.written import Answer, Places
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.files.rows import write_csv
from ptheta.measures.classification import IntervalEstimate
from ptheta.measures.clustering import MEASURES, by_chance, matching, measured, table
from ptheta.measures.rivals import SIGN, beats, verdict
from ptheta.runs.folder import Run
from ptheta.tasks.cluster import AUTO, RESTARTS, Groups, grouped, takes_own

MODEL, PIXELS, CHANCE = "model", "k-means, no model", "chance"
EACH = 10  # examples of each cluster in the image


@dataclass(frozen=True)
class Clustering(Answer):
    """Result of `ptheta.cluster`.

    names: names of the examples; found: their clusters
    labels, classes: true labels, int64 (N,), and class names; None and empty if unknown
    measured: agreement of clusters and labels, by measure, for the model and each baseline
    """

    names: Sequence[str] = field(repr=False)
    found: Groups
    labels: Tensor | None = field(default=None, repr=False)
    classes: tuple[str, ...] = ()
    measured: dict[str, dict[str, IntervalEstimate]] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """A one-line description."""
        found = self.found
        return f"{len(self.names):,} examples in {found.clusters} clusters: {found.how}"

    def __repr__(self) -> str:
        own = self.measured.get(MODEL)
        fits = "" if own is None else f", accuracy {own['accuracy'].text()}"
        return f"Clustering({self.about}{fits})"

    def members(self) -> list[list[str]]:
        """A table with a row for each cluster: its size, its matched label, and the fraction of its
        examples with that label; with column heads."""
        sizes = torch.bincount(self.found.found, minlength=self.found.clusters).tolist()
        if self.labels is None:
            rows = [[str(k), f"{size:,}"] for k, size in enumerate(sizes)]
            return [["cluster", "examples"], *rows]
        counts = table(self.found.found, self.labels)
        of, rows = matching(counts), [["cluster", "examples", "matched with", "of these"]]
        for k, size in enumerate(sizes):
            label = of.get(k)
            known = label is not None and size > 0
            share = f"{100 * counts[k, label] / size:.0f} %" if known else ""
            rows.append([str(k), f"{size:,}", "" if label is None else self.classes[label], share])
        return rows

    def blocks(self) -> list[Block]:
        """The printed output."""
        first = Block(self.about, (), self.remarks)
        if not self.measured:
            return [first, Block(rows=self.members())]
        rows, own = [["", *MEASURES]], self.measured[MODEL]
        for name, by_measure in self.measured.items():
            cells = [
                scores.text() + SIGN * (name != MODEL and beats(scores.value, own[m].value, "more"))
                for m, scores in by_measure.items()
            ]
            rows.append([name, *cells])
        return [first, Block(rows=rows, lines=(verdict(rows),)), Block(rows=self.members())]

    def to_json(self) -> dict[str, object]:
        sizes = torch.bincount(self.found.found, minlength=self.found.clusters).tolist()
        return {
            "examples": len(self.names),
            "clusters": self.found.clusters,
            "how": self.found.how,
            "sizes": sizes,
            "measured": {
                name: {m: scores._asdict() for m, scores in by_measure.items()}
                for name, by_measure in self.measured.items()
            },
            "remarks": list(self.remarks),
            **self.places,
        }

    def write(self, path: Path, data: Dataset) -> None:
        """Writes a row for each example: its label if known, and its cluster."""
        head = ["row" if data.files is None else "file"]
        columns: list[Sequence[object]] = [self.names]
        if self.labels is not None:
            head, columns = [*head, "label"], [*columns, [self.classes[k] for k in self.labels]]
        columns.append(self.found.found.tolist())
        write_csv(path, [*head, "cluster"], zip(*columns, strict=True))

    def draw(self, output: Output, data: Dataset, each: int) -> None:
        """Draws a row for each cluster: its most typical examples, best first."""
        members, rows, captions = self.members(), [], []
        for k in range(self.found.clusters):
            at = self.found.typical(k, each)
            cells = torch.full((each, *data.spec.shape), 255, dtype=torch.uint8)
            if len(at):
                cells[: len(at)] = data.batch(at.numpy()).x
            rows.append(cells)
            captions.append(_caption(k, members[k + 1]))
        images = replace(Images.of(torch.cat(rows)), captions=tuple(captions))
        output.write(images, "a row for each cluster", each)


def _caption(k: int, row: Sequence[str]) -> str:
    """row: a row of `Clustering.members`"""
    _, size, *matched = row
    return f"{k}: {matched[1]} are {matched[0]}" if all(matched) and matched else f"{k}: {size}"


@on_device
def cluster(
    run: str | Path | Run,
    source: Source | None = None,
    *,
    clusters: int | None = None,
    by: str = AUTO,
    restarts: int = RESTARTS,
    split: str | None = None,
    label_column: str | None = None,
    data: Source | None = None,
    n: int | None = None,
    out: str | Path | None = None,
    show: str | Path | None = None,
    each: int = EACH,
    weights: str = "best",
    seed: int = 0,
    force: bool = False,
    device: str | None = None,
) -> Clustering:
    """Cluster examples without labels.

    Uses the categorical code of a model that has one, else clusters the latent codes. If labels are
    known, the clustering is evaluated against them and compared with k-means on the data and with
    chance.

    Args:
        run: run folder, or a `Run`
        source, split, label_column, data, n: as for `classify`
        clusters: number of clusters; default: the number of labels
        by, restarts: as for `tasks.cluster`
        out: .csv to write a row for each example to
        show: image to write, with a row of `each` examples for each cluster
        each: examples in each row of the image
        weights: "best" or "last" weights of the run
        seed: random seed
        force: overwrite existing files
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model has neither categories nor an encoder
    """
    check_numbers(clusters=clusters, restarts=restarts, n=n, each=each, seed=seed)
    places = Places.at(out, show, source, force=force)
    opened = Run.open(run)
    places.images(opened.spec, "clusters")
    model = opened.model(weights)
    examples, remarks = shown_to(opened, source, split, data, label_column)
    examples = some_of(examples, n, seed).with_fixed_binarisation()
    y, classes = _labels(examples)
    if clusters is None and len(classes) > 1 and not takes_own(model, by):
        clusters = len(classes)
    found = tasks.cluster(model, examples, clusters, by=by, restarts=restarts, seed=seed)
    fits = {} if y is None else _measured(found, examples, y, restarts, seed)
    done = Clustering(
        *(names_of(examples), found, y, classes, fits), remarks=remarks, **places.where
    )
    if places.table is not None:
        done.write(places.table, examples)
    if places.picture is not None:
        done.draw(Output.at(places.picture, None), examples, each)
    return done


def _labels(data: Dataset) -> tuple[Tensor | None, tuple[str, ...]]:
    """Labels, int64 (N,), as indices into the names that occur; None if there are none."""
    if data.labels is None:
        return None, ()
    numbers = np.unique(data.labels[data.rows(slice(None))], return_inverse=True)[1]
    return torch.from_numpy(numbers.astype(np.int64)), data.present_classes()


def _measured(
    found: Groups, data: Dataset, y: Tensor, restarts: int, seed: int
) -> dict[str, dict[str, IntervalEstimate]]:
    scores = {MODEL: measured([table(start.found, y) for start in found.starts], seed)}
    if 2 <= found.clusters <= len(data):
        h = data.spec.compared(data.batch(slice(None)).x)
        plain = grouped(h, found.clusters, "kmeans", "pixels", restarts, seed)
        scores[PIXELS] = measured([table(start.found, y) for start in plain.starts], seed)
    scores[CHANCE] = by_chance(found.found, y, seed)
    return scores
