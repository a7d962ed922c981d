"""The `impute` and `score_imputation` functions."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.capabilities import Completes, condition_of
from ptheta.conditions import word
from ptheta.config import brief
from ptheta.data.columns.gap_file import GapFile
from ptheta.data.columns.gaps import GAPS, gaps_of, together
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import make_folder, temporary, tidy, writing
from ptheta.files.out import check_file, refuse_source
from ptheta.files.paths import expand
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, VectorSpec
from ptheta.tasks.impute import Scored
from ptheta.tasks.impute.draws import CANDIDATES, imputed
from ptheta.tasks.impute.draws import impute as drawn
from ptheta.tasks.impute.score import score
from ptheta.tasks.needs import require


@dataclass(frozen=True)
class Imputed:
    """Result of `ptheta.impute`.

    paths: the completed tables, in order; rows: number of rows of each
    missing: number of imputed cells by column; columns without missing cells are omitted
    """

    paths: tuple[Path, ...]
    rows: int
    missing: dict[str, int]

    @property
    def about(self) -> str:
        cells = sum(self.missing.values())
        each = f", {len(self.paths)} times" if len(self.paths) > 1 else ""
        return f"{cells:,} cells of {self.rows:,} rows filled{each}"

    def __repr__(self) -> str:
        return f"Imputed({brief(str(self.paths[0]))}: {self.about})"

    def _repr_html_(self) -> str:
        """Notebook display: imputed cells by column."""
        rows = [[name, f"{count:,}"] for name, count in self.missing.items()]
        return html.card(self, html.table(rows, ["column", "filled"]))

    def to_json(self) -> dict[str, object]:
        paths = [str(path) for path in self.paths]
        return {"paths": paths, "rows": self.rows, "missing": self.missing}


@on_device
def impute(
    run: str | Path | Run,
    table: str | Path,
    *,
    out: str | Path,
    m: int = 1,
    mean: bool = False,
    candidates: int = CANDIDATES,
    weights: str = "best",
    seed: int = 0,
    force: bool = False,
    device: str | None = None,
) -> Imputed:
    """Fill the missing cells of a table with a trained model.

    Known cells are copied unchanged (in a text table, byte for byte).

    Args:
        run: run folder, or a `Run`
        table: file of a format in `GAPS` that contains the columns of the run's data, possibly
            among others
        out: file to write, in the same format; for several, full.csv becomes full-1.csv,
            full-2.csv, ...
        m: number of completed tables, each with its own draws (multiple imputation)
        mean: write one completion of conditional means and most probable words instead of draws
        candidates: candidate completions per row, if the model conditions only approximately
        weights: "best" or "last" weights of the run
        seed: random seed
        force: overwrite existing files
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot complete rows, if the table lacks columns of the run, or if
            a file exists
    """
    check_numbers(m=m, candidates=candidates, seed=seed)
    if mean and m > 1:
        raise PthetaError(
            f"--mean gives a single completion and cannot be combined with -m {m}: leave one out"
        )
    opened = Run.open(run, weights)
    source, spec = expand(table), _rows_alone(opened.spec)
    places, given = places_of(out, source, m, force), gaps_of(source, spec)
    model = opened.model()
    _require(model)
    work = _Work(model, mean, m, candidates, seed)
    make_folder(places[0].parent)
    with _written(places) as files:
        return replace(work.fill(given, files), paths=places)


def places_of(out: str | Path, table: Path, m: int, force: bool) -> tuple[Path, ...]:
    """Output files of m completed tables. Raises PthetaError for another format than the table's,
    the table itself, and existing files."""
    place = check_file(out, tuple(GAPS))
    if place.suffix.lower() != table.suffix.lower():
        raise PthetaError(
            f"--out {brief(str(out))}: a {table.suffix} table is written as {table.suffix}, so "
            "that known cells stay unchanged"
        )
    numbers = [f"-{i}" for i in range(1, m + 1)] if m > 1 else [""]
    places = tuple(place.with_name(f"{place.stem}{n}{place.suffix}") for n in numbers)
    for one in places:
        refuse_source(one, table, "table")
        if one.exists() and not force:
            raise PthetaError(
                f"--out {brief(str(one))} already exists: give another name, or --force"
            )
    return places


@dataclass(frozen=True)
class _Work:
    """Imputes a table batch by batch, with constant memory."""

    model: nn.Module
    mean: bool
    m: int
    candidates: int
    seed: int

    def fill(self, table: GapFile, files: Sequence[Path]) -> Imputed:
        rows, missing = 0, torch.zeros(table.spec.dims, dtype=torch.int64)
        with together(table, files) as puts:
            for part in table.parts():
                table.spec.check(part.cells)
                every = self.completed(part.cells, rows)
                for put, filled in zip(puts, every, strict=True):
                    put(part, filled)
                rows += len(part.cells)
                missing += part.cells.isnan().sum(0)
        names = [column.name for column in table.spec.columns]
        counts = {n: k for n, k in zip(names, missing.tolist(), strict=True) if k}
        return Imputed(tuple(files), rows, counts)

    def completed(self, cells: Tensor, first: int) -> Tensor:
        """Completed cells, (M, B, D). Complete rows are copied."""
        gaps = cells.isnan().any(1)
        every = cells.expand(self.m, *cells.shape).clone()
        for at in gaps.nonzero()[:, 0].split(RUN_OF_ROWS):
            every[:, at] = self._drawn(cells[at], [first + i for i in at.tolist()])
        return every

    def _drawn(self, x: Tensor, numbers: Sequence[int]) -> Tensor:
        if self.mean:
            return imputed(
                self.model, x, seed=self.seed, candidates=self.candidates, numbers=numbers
            )[None]
        return drawn(
            self.model,
            x,
            draws=self.m,
            seed=self.seed,
            candidates=self.candidates,
            numbers=numbers,
        )


RUN_OF_ROWS = 2000  # rows per batch


@contextmanager
def _written(places: Sequence[Path]) -> Iterator[list[Path]]:
    """Temporary files for these paths; either all are committed at the end, or none."""
    tidy(places[0].parent)
    folder = temporary(places[0].parent)
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(writing(place))
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield [folder / place.name for place in places]
        for place in places:
            (folder / place.name).replace(place)


def _rows_alone(spec: DataSpec) -> VectorSpec:
    if not isinstance(spec, VectorSpec):
        raise PthetaError(
            "this is a run of images: use ptheta inpaint RUN --image IMAGE --mask MASK"
        )
    return spec


def _require(model: nn.Module) -> None:
    """Raises PthetaError for a model that cannot complete, or is conditional."""
    require(model, Completes, "complete")
    spec = condition_of(model)
    if spec is not None:
        raise PthetaError(
            f"this model is conditional on {word(spec)}, which the table does not give: train a "
            "model with it as a column"
        )


@on_device
def score_imputation(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    hide: float = 0.3,
    repeats: int = 5,
    draws: int = 100,
    candidates: int = CANDIDATES,
    weights: str = "best",
    seed: int = 0,
    floors: Sequence[str] | None = None,
    device: str | None = None,
) -> list[Scored]:
    """Evaluate imputation: hide known cells of held-out rows, impute them, compare with baselines.

    Baselines are fitted to the run's training rows; if these are not available, to the given rows
    with the hidden cells hidden.

    Args:
        run: run folder, or a `Run`
        data: new location of the run's data, or other rows; training rows are left out
        hide: fraction of known cells to hide, each at random
        repeats: number of repetitions, each hiding other cells
        draws: draws of each missing cell, for the energy score and the intervals
        candidates, weights: as for `impute`
        seed: random seed
        floors: names of baselines in `ptheta.tasks.impute.FLOORS`; default: all
        device: as for `ptheta.sample`

    Returns:
        The scores of the model, then those of each baseline.
    """
    check_numbers(candidates=candidates, seed=seed)
    opened = Run.open(run, weights)
    _rows_alone(opened.spec)
    found = opened.look(data)
    if (text := opened.remark(found, data, copies=False)) is not None:
        warnings.warn(text, stacklevel=3)
    model = opened.model()
    _require(model)
    train = None if found.train is None else found.train.batch(slice(None)).x
    return score(
        model,
        found.test.batch(slice(None)).x,
        train,
        hide=hide,
        repeats=repeats,
        draws=draws,
        seed=seed,
        candidates=candidates,
        floors=floors,
    )
