"""Samples of a run of vectors, and the file that they are written to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from torch import Tensor

from ptheta import tasks
from ptheta.config import brief
from ptheta.data.columns.scatter import Scatter
from ptheta.data.columns.write import WRITERS, write_vectors
from ptheta.data.vector_data import first_rows
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import make_folder, write_atomic
from ptheta.files.out import check_file, listed
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec
from ptheta.tasks.sample import Wanted
from ptheta.training.pictures import density_of

PICTURE = ".png"
TABLES = (".csv", ".parquet")
SHOWN = 2000  # in a picture


@dataclass(frozen=True)
class Rows:
    """What `ptheta.sample` gives of a run of vectors.

    x: float32 (N, D), in the units of the data; a cell of a category is the position of its word
    spec: what each of the D numbers is
    about: what they are, in a line
    path: where they were written; None where no place was named
    """

    x: Tensor
    spec: VectorSpec
    about: str
    path: Path | None = None

    def _repr_html_(self) -> str:
        """For notebooks: the first rows as a table, and a picture of the first `SHOWN`."""
        drawn = html.shown(Scatter(self.spec, self.x[:SHOWN]).png(), self.about)
        return html.card(self, drawn, first_rows(self.spec, self.x.numpy()))

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Rows({len(self.x):,} {self.spec}: {self.about}{where})"


def is_table(out: str | Path | None) -> bool:
    """Whether a place is a file that rows alone are written to."""
    return out is not None and Path(out).suffix.lower() in TABLES


def check_rows(
    out: str | Path | None,
    scale: int | None,
    *,
    same_noise: bool = False,
    between: int | None = None,
) -> Path | None:
    """Where rows are to be written, asked before the work that gives them.

    Raises PthetaError for a suffix of nothing that holds rows, and for options of pictures.
    """
    if same_noise:
        raise PthetaError("--same-noise is of pictures in rows, and this model learned vectors")
    if between is not None:
        raise PthetaError("--between is of pictures in rows, and this model learned vectors")
    if scale is not None:
        raise PthetaError(f"--scale {scale}: a picture of images has a scale, and these are rows")
    if out is None:
        return None
    suffix = Path(out).suffix.lower()
    if suffix not in (*WRITERS, PICTURE):
        raise PthetaError(
            f"--out {brief(out)}: rows of numbers are written as {listed(tuple(WRITERS))}, "
            f"or drawn as {PICTURE}"
        )
    return check_file(out)


def sample_rows(
    run: Run,
    spec: VectorSpec,
    n: int,
    *,
    weights: str,
    prior: str,
    seed: int,
    path: Path | None,
    **wanted: Unpack[Wanted],
) -> Rows:
    """n rows drawn from a run of vectors, as `ptheta.api.images.sample` says."""
    model = run.model(weights, prior)
    x = tasks.sample(model, n, seed=seed, **wanted)
    if path is not None:
        make_folder(path.parent)
        if path.suffix.lower() == PICTURE:
            drawn = Scatter(spec, x[:SHOWN], log_density=density_of(model)).png()
            write_atomic(path, lambda beside: beside.write_bytes(drawn))
        else:
            write_vectors(path, x, spec)
    return Rows(x, spec, f"{n} rows", path)
