"""Samples of a run of vectors, and their output file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.choosing import about_of, shows
from ptheta.api.draw import DRAW, How
from ptheta.api.metadata import LABEL, metadata_of
from ptheta.capabilities import condition_of
from ptheta.compute import parts
from ptheta.config import brief
from ptheta.data.columns.scatter import Scatter
from ptheta.data.columns.write import WRITERS, write_vectors
from ptheta.data.table import LABELS
from ptheta.data.vector_data import first_rows
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import make_folder, write_atomic
from ptheta.files.out import check_new, listed
from ptheta.runs.folder import Run
from ptheta.specs import Column, VectorSpec
from ptheta.tasks.gaps import with_gaps
from ptheta.tasks.sample import Wanted, rows_wanted
from ptheta.training.pictures import density_of

PICTURE = ".png"
TABLES = (".csv", ".parquet")
SHOWN = 2000  # rows in an image


@dataclass(frozen=True)
class Rows:
    """Samples of a run of vectors, from `ptheta.sample`.

    x: float32 (N, D), in the units of the data; a categorical cell is the index of its word
    spec: spec of the D columns
    about: one-line description
    path: the written file; None if not written
    labels: label of each row, for a run conditional on labels; else None
    """

    x: Tensor
    spec: VectorSpec
    about: str
    path: Path | None = None
    labels: tuple[str, ...] | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        """Notebook display: the first rows as a table, and a plot of the first `SHOWN`."""
        drawn = html.shown(Scatter(self.spec, self.x[:SHOWN]).png(), self.about)
        return html.card(self, drawn, first_rows(self.spec, self.x.numpy()))

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Rows({len(self.x):,} {self.spec}: {self.about}{where})"


def is_table(out: str | Path | None) -> bool:
    """Whether a path is a table file, which only holds rows."""
    return out is not None and Path(out).suffix.lower() in TABLES


def check_rows(out: str | Path | None, scale: int | None, how: How, force: bool) -> Path | None:
    """Validates the output file of rows before they are generated.

    Raises PthetaError for an unsupported suffix, for an existing file without `force`, and for
    options that apply only to images.
    """
    if how.same_noise:
        raise PthetaError(
            "--same-noise applies only to images, and this is a model of vectors: leave it out"
        )
    if how.between is not None:
        raise PthetaError(
            "--between applies only to images, and this is a model of vectors: leave it out"
        )
    if scale is not None:
        raise PthetaError(
            f"--scale {scale} applies only to images, and this is a model of vectors: leave it out"
        )
    if out is None:
        return None
    suffix = Path(out).suffix.lower()
    if suffix not in (*WRITERS, PICTURE):
        raise PthetaError(
            f"--out {brief(out)}: rows are written as {listed(tuple(WRITERS))}, or plotted as "
            f"{PICTURE}"
        )
    return check_new(out, (), "--out", force)


def _with_gaps(run: Run, x: Tensor, seed: int) -> Tensor:
    """Removes from each row of x (N, D) the cells that are missing in a random training row.

    Raises PthetaError if the training rows are not available, or have no missing cells.
    """
    try:
        train = run.own().train
    except PthetaError:
        raise PthetaError(
            f"--missing needs the training rows of {run.path}, which {run.plan.source} does not "
            "contain: restore them, or leave it out"
        ) from None
    assert train is not None  # it is available
    rows = train.batch(slice(None)).x
    if not rows.isnan().any():
        raise PthetaError("--missing: the training rows have no missing cells: leave it out")
    return with_gaps(x, rows, seed)


def sample_rows(
    run: Run,
    n: int,
    how: How,
    seed: int,
    *,
    place: tuple[str | Path | None, int | None],
    force: bool,
    missing: bool,
    **wanted: Unpack[Wanted],
) -> Rows:
    """n rows sampled from a run of vectors; see `ptheta.api.images.sample`.

    place: `out` and `scale`
    """
    path, spec = check_rows(*place, how, force), run.spec
    assert isinstance(spec, VectorSpec)
    model = how.model(run)
    with parts.called(DRAW):
        x = tasks.sample(model, n, seed=seed, **wanted)
    x = _with_gaps(run, x, seed) if missing else x
    labels = _labels(model, n, wanted)
    if path is not None:
        write_rows(run, path, x, labels, model)
    about = how.choosing.describe(f"{n} rows", about_of(model), shows(model))
    return Rows(x, spec, about, path, labels)


def follow_rows(
    team: parts.Team, run: Run, n: int, how: How, seed: int, **wanted: Unpack[Wanted]
) -> Rows:
    """Takes part in `sample_rows` of another process."""
    model, found = how.model(run), []

    def drawn() -> None:
        found.append(tasks.sample(model, n, seed=seed, **wanted))

    parts.follow(team, {DRAW: drawn})
    assert isinstance(run.spec, VectorSpec)
    return Rows(found[0], run.spec, f"{n} rows", labels=_labels(model, n, wanted))


def write_rows(
    run: Run, path: Path, x: Tensor, labels: tuple[str, ...] | None, model: nn.Module
) -> None:
    """Writes rows of a run of vectors to a table, an array, or a plot. labels: label of each row"""
    spec = run.spec
    assert isinstance(spec, VectorSpec)
    make_folder(path.parent)
    if path.suffix.lower() == PICTURE:
        drawn = Scatter(spec, x[:SHOWN], log_density=density_of(model)).png()
        write_atomic(path, lambda temporary: temporary.write_bytes(drawn))
    else:
        write_vectors(path, *(x, spec) if labels is None else _with_labels(run, x, labels, path))


def _labels(model: nn.Module, n: int, wanted: Wanted) -> tuple[str, ...] | None:
    """The label of each of n rows; None for a model without labels."""
    spec, rows = condition_of(model), rows_wanted(model, wanted)
    if spec is None:
        return None
    metadata = metadata_of(spec, spec.examples(spec.count) if rows is None else rows)
    found = [] if metadata is None else [metadata(i).get(LABEL) for i in range(n)]
    return tuple(map(str, found)) if found and found[0] is not None else None


def _with_labels(
    run: Run, x: Tensor, labels: tuple[str, ...], path: Path
) -> tuple[Tensor, VectorSpec]:
    """Appends a label column if the file is a table, named as in the run's data if known."""
    spec = run.spec
    assert isinstance(spec, VectorSpec)
    if not is_table(path):
        return x, spec
    words = tuple(dict.fromkeys(labels))
    taken = {column.name for column in spec.columns}
    names = [run.plan.data.label_column or LABEL, *LABELS]
    name = next((name for name in names if name not in taken), "label of the run")
    numbers = torch.tensor([words.index(label) for label in labels], dtype=x.dtype)
    column = Column(name, "category", words)
    return torch.cat([x, numbers[:, None]], 1), VectorSpec((*spec.columns, column))
