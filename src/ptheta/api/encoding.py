"""The `encode` function: codes of the run's data, a source, or images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.code_files import CodeRows, write_codes
from ptheta.api.example_sets import shown_to, some_of
from ptheta.api.found import names_of
from ptheta.api.grid import Block, conditions_with
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Own, rows_of_pictures
from ptheta.data.columns.write import WRITERS
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.out import check_new, refuse_source
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.codes import Codes
from ptheta.tasks.conditions import with_conditions
from ptheta.terminal.progress import watched

PART = 2000  # examples per read
SHOWN, WIDE = 5, 6  # codes that are printed, and maximum components of each
COLUMNS = 80  # width of the printed table


@dataclass(frozen=True)
class Encoded:
    """Result of `ptheta.encode`.

    names: names of the examples: file paths, or row numbers
    z: codes, float32 (N, L); std: standard deviations of q(z | x); None if the model has no
        posterior
    how: description of the codes
    labels: label name of each example; None if unknown
    of_files: whether the names are file names
    path: the written file; None if not written
    """

    names: Sequence[str] = field(repr=False)
    z: Tensor = field(repr=False)
    std: Tensor | None = field(repr=False)
    how: str
    labels: tuple[str, ...] | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
    path: Path | None = None
    picture: Path | None = None
    of_files: bool = False

    @property
    def about(self) -> str:
        n, width = self.z.shape
        return f"{n:,} code{'s' * (n > 1)} of {width:,} number{'s' * (width > 1)}: {self.how}"

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Encoded({self.about}{where})"

    def _repr_html_(self) -> str:
        """Notebook display: the first codes."""
        head, *rows = self.first()
        return html.card(self, html.table(rows, head))

    def first(self) -> list[list[str]]:
        """The first codes as a table with column heads."""
        n, width = min(len(self.z), SHOWN), self.z.shape[1]
        known = [["example", *self.names[:n]]]
        if self.labels is not None:
            known.append(["label", *self.labels[:n]])
        numbers = [
            [f"z{i}", *(f"{value:.4g}" for value in self.z[:n, i].tolist())]
            for i in range(min(width, WIDE))
        ]
        while len(numbers) > 1 and _columns([*known, *numbers, ["..."]]) > COLUMNS:
            numbers.pop()
        rest = [["..."] * (n + 1)] * (width > len(numbers))
        return [list(row) for row in zip(*known, *numbers, *rest, strict=True)]

    def blocks(self) -> list[Block]:
        """The printed output."""
        n = len(self.z)
        title = f"{self.about}; the first {SHOWN}" if n > SHOWN else self.about
        return [Block(title, self.first(), self.remarks)]

    def to_json(self) -> dict[str, object]:
        return {
            "examples": len(self.names),
            "dimensions": self.z.shape[1],
            "code": self.how,
            "labels": self.labels is not None,
            "remarks": list(self.remarks),
            "path": None if self.path is None else str(self.path),
        }


def _columns(table: Sequence[Sequence[str]]) -> int:
    """Width of a table in terminal columns."""
    return sum(max(map(len, cells)) + 2 for cells in table) - 2


@on_device
def encode(
    run: str | Path | Run,
    source: Source | None = None,
    *,
    image: str | Path | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    split: str | None = None,
    label_column: str | None = None,
    data: Source | None = None,
    n: int | None = None,
    sample: bool = False,
    std: bool = False,
    out: str | Path | None = None,
    weights: str = "best",
    seed: int = 0,
    force: bool = False,
    device: str | None = None,
) -> Encoded:
    """Encode the run's data, a source, or images.

    The code is the encoder's output; for a model with a posterior q(z | x), its mean.

    Args:
        run: run folder, or a `Run`
        source: any data that `ptheta.open_data` reads, preprocessed as the run's data was
        image: image file of the model's size, or folder of images, instead of a source
        condition: conditions of the images in `image` for a conditional model, cycled through
        split: "train", "val" or "test", of the source, or of the run's data (default: test)
        label_column, data, n: as for `classify`
        sample: sample from q(z | x) instead of taking its mean
        std: also write the standard deviations of q(z | x)
        out: .npy of the codes, or table (.csv, .parquet) with a row for each example: its file or
            row, its label if known, z0, z1, ...
        weights: "best" or "last" weights of the run
        seed: random seed
        force: overwrite an existing file
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot encode, or if `sample` or `std` is given for a model
            without a posterior
    """
    check_numbers(n=n, seed=seed)
    place = check_new(out, tuple(WRITERS), "--out", force)
    if place is not None:
        _check_place(place, std, source, data)
    opened = Run.open(run)
    model = opened.model(weights)
    if image is None:
        if condition:
            raise PthetaError("conditions apply only to --image: leave them out")
        examples, remarks = _examples(opened, source, split, data, label_column)
        known, remarks = _of_data(opened, model, some_of(examples, n, seed), seed), remarks
    else:
        _pictures_alone(source, split, label_column, data, n)
        known, remarks = _of_pictures(opened, model, image, condition, seed), ()
    return _encoded(known, remarks, place, sample=sample, std=std, seed=seed)


def _check_place(place: Path, std: bool, *sources: Source | None) -> None:
    for source in sources:
        refuse_source(place, source, "data")
    if std and place.suffix.lower() == ".npy":
        raise PthetaError(
            f"--std: {place} can only hold codes: write a .csv or .parquet, with columns for both"
        )


def _pictures_alone(
    source: Source | None,
    split: str | None,
    label_column: str | None,
    data: Source | None,
    n: int | None,
) -> None:
    """Raises PthetaError for options that do not apply to `image`."""
    flags = {"SOURCE": source, "--split": split, "--label-column": label_column}
    for flag, given in (flags | {"--data": data, "-n": n}).items():
        if given is not None:
            raise PthetaError(f"{flag} cannot be combined with --image: leave one out")


def _examples(
    run: Run,
    source: Source | None,
    split: str | None,
    data: Source | None,
    label_column: str | None,
) -> tuple[Dataset, tuple[str, ...]]:
    """All examples of a source, or of a split of the run's data."""
    if source is not None:
        found = shown_to(run, source, split, data, label_column)
        return found.data, found.remarks
    if label_column is not None:
        raise PthetaError(f"--label-column {label_column} needs a SOURCE: leave it out")
    return run.data(split or "test", data), ()


def _of_data(run: Run, model: nn.Module, data: Dataset, seed: int) -> CodeRows:
    """The codes of all examples."""
    data = with_conditions(model, data).with_fixed_binarisation()
    codes = codes_of(run, model, data, seed)
    names = names_of(data)
    labels = None if data.labels is None else labels_of(data)
    if data.files is not None:
        return CodeRows(codes.z, names, labels, None, codes.std)
    return CodeRows(codes.z, None, labels, [int(name) for name in names], codes.std)


def codes_of(run: Run, model: nn.Module, data: Dataset, seed: int) -> Codes:
    """The codes of all examples of a data set, with the model's conditions as in evaluation.

    Raises PthetaError if the model cannot encode.
    """
    found: Codes | None = None
    for start in watched(range(0, len(data), PART), "encoding"):
        batch = data.batch(slice(start, min(start + PART, len(data))))
        part = tasks.encode(model, batch.x, conditions_with(run, batch), seed=seed)
        found = part if found is None else found.joined(part)
    assert found is not None  # a data set is not empty
    return found


def labels_of(data: Dataset) -> tuple[str, ...]:
    """The label name of each example; empty if the data has no labels."""
    assert data.labels is not None
    return tuple(data.class_name(int(k)) for k in data.labels[data.rows(slice(None))])


def _of_pictures(
    run: Run,
    model: nn.Module,
    image: str | Path,
    condition: Mapping[str, Sequence[str]] | None,
    seed: int,
) -> CodeRows:
    rows = rows_of_pictures(model, condition)
    own = Own.at(image, model, images_only(run.spec, "--image"), "encodes")
    own.checked()
    found: Codes | None = None
    for i in range(len(own)):
        y = None if rows is None else rows[torch.tensor([i % len(rows)])]
        one = tasks.encode(model, own.read(i)[None], y, seed=seed)
        found = one if found is None else found.joined(one)
    assert found is not None  # at least one image exists
    return CodeRows(found.z, [path.name for path in own.pictures], None, None, found.std)


def _encoded(
    known: CodeRows,
    remarks: tuple[str, ...],
    place: Path | None,
    *,
    sample: bool,
    std: bool,
    seed: int,
) -> Encoded:
    """Writes the codes if `place` is given."""
    codes = Codes(known.z, known.std)
    if sample:
        known = replace(known, z=codes.drawn(seed))
    if std and known.std is None:
        raise PthetaError(
            "--std: this model has no posterior q(z | x), its codes are deterministic: leave it out"
        )
    if place is not None:
        write_codes(known if std else replace(known, std=None), place)
    how = "of the encoder"
    if known.std is not None:
        how = "drawn from q(z | x)" if sample else "the mean of q(z | x)"
    names = list(map(str, known.rows or ())) if known.files is None else known.files
    labels = None if known.labels is None else tuple(known.labels)
    of_files = known.files is not None
    return Encoded(names, known.z, known.std, how, labels, remarks, place, of_files=of_files)
