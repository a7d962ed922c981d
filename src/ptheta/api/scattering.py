"""The `scatter` function: plot codes of runs in two dimensions, with class separation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta import tasks
from ptheta.api.encoding import labels_of
from ptheta.api.example_sets import shown_to, some_of
from ptheta.api.grid import Block, conditions_with
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.out import check_new, refuse_source
from ptheta.measures.classification import IntervalEstimate, wilson
from ptheta.measures.planes import by_neighbour, plane_of
from ptheta.report.planes import Look, Panel, planes
from ptheta.runs.folder import Run
from ptheta.tasks.conditions import whole_numbers, with_conditions
from ptheta.tasks.scatter import MASS, Scatter

USUAL = 2000  # examples
ELLIPSES = 100
MOST_RUNS = 6  # maximum number of panels


@dataclass(frozen=True)
class Codes:
    """The two-dimensional codes of a run.

    title: name of the run; width: dimension of the code; found: positions
    plane, whole: fraction of examples whose nearest neighbour has the same label, in the plane and
        in the whole code; None without labels; whole is also None for two-dimensional codes
    inside, covered: overlap of q(z) and p(z), see `ptheta.tasks.scatter.Scatter.overlap`; None
        without a prior
    """

    title: str
    width: int
    found: Scatter = field(repr=False)
    plane: IntervalEstimate | None = None
    whole: IntervalEstimate | None = None
    inside: IntervalEstimate | None = None
    covered: IntervalEstimate | None = None

    def to_json(self) -> dict[str, object]:
        estimates = {
            "neighbour_in_plane": self.plane,
            "neighbour_in_code": self.whole,
            "q_in_p": self.inside,
            "p_in_q": self.covered,
        }
        return {
            "dimensions": self.width,
            "axes": self.found.plane.dims,
            "variance": list(self.found.plane.share),
            **{name: None if one is None else one._asdict() for name, one in estimates.items()},
        }


@dataclass(frozen=True)
class Scattered:
    """Result of `ptheta.scatter`.

    runs: codes of each run; floors: `Codes.plane` of the baselines, by name
    """

    runs: tuple[Codes, ...]
    floors: dict[str, IntervalEstimate]
    examples: int
    remarks: tuple[str, ...] = ()
    path: Path | None = None
    picture: Path | None = None

    @property
    def about(self) -> str:
        """A one-line description."""
        return f"codes of {self.examples:,} examples by {', '.join(r.title for r in self.runs)}"

    def __repr__(self) -> str:
        where = "" if self.picture is None else f", in {str(self.picture)!r}"
        return f"Scattered({self.about}{where})"

    def _repr_html_(self) -> str:
        """Notebook display: the tables."""
        tables = [block.rows for block in self.blocks() if block.rows]
        return html.card(self, *(html.table(rows[1:], rows[0]) for rows in tables))

    def blocks(self) -> list[Block]:
        """The printed output."""
        blocks = [Block(self.about, [HEADS, *map(_row, self.runs)], self.remarks)]
        if self.floors:
            wide = any(one.whole is not None for one in self.runs)
            rows = [["label of the nearest other example", "in the plane", "in the code"]]
            rows += [[r.title, _text(r.plane), _text(r.whole)] for r in self.runs]
            rows += [[name, estimates.text(), ""] for name, estimates in self.floors.items()]
            blocks.append(Block(rows=rows if wide else [row[:2] for row in rows]))
        if any(one.inside is not None for one in self.runs):
            rows = [["", "q(z) in 95 % of p(z)", "p(z) in 95 % of q(z)"]]
            rows += [[r.title, _text(r.inside), _text(r.covered)] for r in self.runs if r.inside]
            lines = (f"{MASS:g} both if q(z) = p(z) (in the plane)",)
            blocks.append(Block(rows=rows, lines=lines))
        return blocks

    def to_json(self) -> dict[str, object]:
        return {
            "examples": self.examples,
            "runs": [{"run": one.title, **one.to_json()} for one in self.runs],
            "floors": {name: estimates._asdict() for name, estimates in self.floors.items()},
            "remarks": list(self.remarks),
            "picture": None if self.picture is None else str(self.picture),
        }


HEADS = ["run", "numbers", "axes", "variance", "sd across", "sd down"]


def _row(one: Codes) -> list[str]:
    plane = one.found.plane
    axes = "PCA" if plane.dims is None else ",".join(f"z{d}" for d in plane.dims)
    sds = [f"{value:.3g}" for value in one.found.points.std(0).tolist()]
    return [one.title, str(one.width), axes, f"{100 * sum(plane.share):.0f} %", *sds]


def _text(estimates: IntervalEstimate | None) -> str:
    return "" if estimates is None else estimates.text()


@dataclass(frozen=True)
class Drawing:
    """Drawing options: see `scatter`."""

    titles: Sequence[str] = ()
    ellipses: int = ELLIPSES
    look: Look = Look()

    @classmethod
    def of(
        cls,
        titles: Sequence[str],
        ellipses: int,
        std: float,
        reach: float | None,
        own_axes: bool,
    ) -> Drawing:
        """Raises PthetaError for invalid options."""
        if not math.isfinite(std) or std < 0:
            raise PthetaError(f"--std {std:g}: want 0 (no ellipses) or more, such as 1")
        if reach is not None and not (math.isfinite(reach) and reach > 0):
            raise PthetaError(f"--reach {reach:g}: want a number above 0")
        if reach is not None and own_axes:
            raise PthetaError("--reach sets the axes of all panels: leave --own-axes out")
        return cls(titles, ellipses, Look(std, reach, own_axes))


@on_device
def scatter(
    runs: str | Path | Run | Sequence[str | Path | Run],
    source: Source | None = None,
    *,
    split: str | None = None,
    label_column: str | None = None,
    data: Source | None = None,
    n: int = USUAL,
    dims: tuple[int, int] | None = None,
    title: Sequence[str] = (),
    ellipses: int = ELLIPSES,
    std: float = 1.0,
    reach: float | None = None,
    own_axes: bool = False,
    out: str | Path | None = None,
    weights: str = "best",
    seed: int = 0,
    force: bool = False,
    device: str | None = None,
) -> Scattered:
    """Plot the latent codes of one or several runs in two dimensions, coloured by class.

    The plot shows two dimensions of the code, by default the first two principal components if
    there are more, with the 50 % and 95 % highest-density regions of the prior and the 95 % region
    of the aggregate posterior q(z).

    Args:
        runs: one run, or up to six
        source, split, label_column, data: as for `classify`
        n: maximum number of examples, chosen at random
        dims: two dimensions to plot instead of principal components
        title: title of each run; default: the name of its folder
        ellipses: number of examples whose Gaussian posterior q(z | x) is drawn; 0 for none
        std: standard deviations at which these ellipses are drawn
        reach: axes from -reach to reach
        own_axes: give each run its own axes; default: shared axes that contain everything
        out: .png to write
        weights: "best" or "last" weights of the run
        seed: random seed
        force: overwrite an existing file
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if a model cannot encode, or if the runs would show different examples
    """
    check_numbers(n=n, ellipses=ellipses, seed=seed)
    drawing = Drawing.of(title, ellipses, std, reach, own_axes)
    place = check_new(out, (".png",), "--out", force)
    if place is not None:
        refuse_source(place, source, "data")
    opened = _opened(runs, title)
    if dims is not None:
        whole_numbers(dims, "dimension")
    names = list(drawing.titles) or [one.name for one in opened]
    shown, remarks = _shown(opened, source, (split, data, label_column), n, seed)
    found = [
        _codes(one, name, examples, dims, weights, seed)
        for one, name, examples in zip(opened, names, shown, strict=True)
    ]
    first = shown[0]
    done = Scattered(*(tuple(found), _floors(first, found), len(first), remarks), picture=place)
    if place is not None:
        _draw(done, first, drawing, place, seed)
    return done


def _opened(run: str | Path | Run | Sequence[str | Path | Run], titles: Sequence[str]) -> list[Run]:
    """Raises PthetaError for no run, too many runs, and a wrong number of titles."""
    every = [run] if isinstance(run, str | Path | Run) else list(run)
    if not 1 <= len(every) <= MOST_RUNS:
        raise PthetaError(f"{len(every)} runs: give 1 to {MOST_RUNS}")
    if titles and len(titles) != len(every):
        raise PthetaError(f"{len(titles)} titles for {len(every)} runs: give one for each, or none")
    return [Run.open(one) for one in every]


def _shown(
    runs: Sequence[Run],
    source: Source | None,
    asked: tuple[str | None, Source | None, str | None],
    n: int,
    seed: int,
) -> tuple[list[Dataset], tuple[str, ...]]:
    """The same examples, preprocessed as for each run, and remarks.

    asked: split, data, label column
    Raises PthetaError if the runs have different examples.
    """
    found, remarks = list[Dataset](), list[str]()
    for run in runs:
        examples, estimates = shown_to(run, source, *asked)
        found.append(some_of(examples, n, seed).with_fixed_binarisation())
        remarks += [line for line in estimates if line not in remarks]
        _check_same(found[0], found[-1], runs[0], run)
    return found, tuple(remarks)


def _check_same(first: Dataset, other: Dataset, run: Run, beside: Run) -> None:
    """Raises PthetaError if two runs have different examples."""
    if first.spec.shape != other.spec.shape or not np.array_equal(first.keys(), other.keys()):
        raise PthetaError(
            f"{beside.path} and {run.path} have different examples: plot runs of the same data "
            "set, or give a SOURCE for all"
        )


def _codes(
    run: Run, title: str, data: Dataset, dims: tuple[int, int] | None, weights: str, seed: int
) -> Codes:
    model = run.model(weights)
    batch = with_conditions(model, data).batch(slice(None))
    found = tasks.scatter(model, batch.x, conditions_with(run, batch), dims=dims, seed=seed)
    width, y = found.codes.z.shape[1], _numbers(data)[0]
    inside, covered = found.overlap() or (None, None)
    plane = None if y is None else by_neighbour(found.points, y)
    whole = None if y is None or width == 2 else by_neighbour(found.codes.z, y)
    return Codes(title, width, found, plane, whole, inside, covered)


def _numbers(data: Dataset) -> tuple[Tensor | None, tuple[str, ...]]:
    """The label of each example as an index into the names that occur, and these names; None if
    there is at most one."""
    if data.labels is None or len(data.present_classes()) < 2:
        return None, ()
    names = data.present_classes()
    number = {name: i for i, name in enumerate(names)}
    return torch.tensor([number[name] for name in labels_of(data)]), names


def _floors(data: Dataset, found: Sequence[Codes]) -> dict[str, IntervalEstimate]:
    """Nearest-neighbour accuracy of PCA of the network inputs, with two components and with the
    code's dimension; and of always predicting the most frequent class."""
    y, names = _numbers(data)
    if y is None:
        return {}
    what = "pixels" if len(data.spec.shape) == 3 else "columns"
    h = data.spec.compared(data.batch(slice(None)).x).double()
    floors = {}
    if h.shape[1] > 2:
        floors[f"2 principal components of {what}"] = by_neighbour(plane_of(h).of(h), y)
    centred = h - h.mean(0)
    for width in sorted({one.width for one in found if one.width > 2}):
        if width < min(h.shape):
            axes = torch.linalg.svd(centred, full_matrices=False)[2][:width]
            floors[f"{width} principal components"] = by_neighbour(centred @ axes.T, y)
    most = Counter(y.tolist()).most_common(1)[0][1]
    return {**floors, f"always {names[int(y.mode().values)]!r}": wilson(most, len(y))}


def _draw(done: Scattered, data: Dataset, drawing: Drawing, place: Path, seed: int) -> None:
    y, names = _numbers(data)
    chosen = torch.from_numpy(np.random.default_rng(seed).permutation(len(data)))
    some = chosen[: drawing.ellipses]
    shown = [_panel(one, y, some) for one in done.runs]
    planes(shown, names, drawing.look, place)


def _panel(one: Codes, y: Tensor | None, some: Tensor) -> Panel:
    """some: indices of the examples whose posteriors are drawn"""
    found, plane = one.found, one.found.plane
    ellipses = None
    if found.codes.std is not None and len(some):
        ellipses = (plane.covariances(found.codes.std[some]), some)
    across, down = _axes(one)
    return Panel(
        *(one.title, across, down),
        points=found.points,
        labels=y,
        ellipses=ellipses,
        prior=found.expected,
        aggregate=found.aggregate,
    )


def _axes(one: Codes) -> tuple[str, str]:
    """Labels of the two axes."""
    dims, (first, second) = one.found.plane.dims, one.found.plane.share
    if dims is not None:
        return f"z{dims[0]}", f"z{dims[1]}"
    return f"PC 1 of {one.width} ({100 * first:.0f} %)", f"PC 2 ({100 * second:.0f} %)"
