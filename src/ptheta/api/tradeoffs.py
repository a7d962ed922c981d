"""The `tradeoff` function: precision and recall over truncation or temperature."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptheta import tasks
from ptheta.api.densities import interval, unseen_of
from ptheta.api.grid import Block
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.data.memory import Source
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import placed
from ptheta.extractors.table import choose_extractor
from ptheta.files.atomic import make_folder, write_atomic
from ptheta.files.out import check_new
from ptheta.measures.results import Estimate
from ptheta.report.plots import COLOURS, GREY, panels
from ptheta.runs.folder import Run
from ptheta.tasks.outliers.distances import features_of
from ptheta.tasks.tradeoff import Point, Tradeoff, ways_of

N = 1000  # samples at each value


@dataclass(frozen=True)
class Traded:
    """Result of `ptheta.tradeoff`.

    found: the curve; n: samples of each point; extractor: the feature extractor
    path: file of the plot; None if not written
    """

    found: Tradeoff = field(repr=False)
    n: int
    extractor: str
    path: Path | None = None

    def __repr__(self) -> str:
        return f"Traded({len(self.found.points)} values of {self.found.by}, {self.extractor})"

    def named(self) -> list[tuple[str, Point]]:
        """All points with their names, the real examples last."""
        points = [(f"{self.found.by} {p.value:g}", p) for p in self.found.points]
        floor = ("training examples (baseline)", self.found.floor)
        return [*points, ("plain samples", self.found.plain), floor]

    def blocks(self) -> list[Block]:
        """The printed output."""
        rows: list[tuple[str, ...]] = [("", "precision", "recall")]
        rows += [(name, _text(p.precision), _text(p.recall)) for name, p in self.named()]
        line = f"{self.n:,} of each against as many held-out examples, features: {self.extractor}"
        return [Block(rows=rows, lines=[line])]

    def to_json(self) -> dict[str, object]:
        points = [
            {
                "of": name,
                "value": p.value,
                "precision": _json(p.precision),
                "recall": _json(p.recall),
            }
            for name, p in self.named()
        ]
        return {
            "by": self.found.by,
            "samples": self.n,
            "extractor": self.extractor,
            "points": points,
        }


def _text(found: Estimate) -> str:
    low, high = _ends(found)
    return f"{found.value:.3f} ({low:.3f} to {high:.3f})"


def _ends(found: Estimate) -> tuple[float, float]:
    """95 % interval within [0, 1]; the whole range if there are too few examples for an error."""
    low, high = interval(found) or (0.0, 1.0)
    return max(0.0, low), min(1.0, high)


def _json(found: Estimate) -> dict[str, object]:
    return {"value": found.value, "interval": list(_ends(found))}


@on_device
def tradeoff(
    run: str | Path | Run,
    *,
    values: Sequence[float] = (),
    n: int = N,
    extractor: str | Extractor | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    force: bool = False,
    device: str | None = None,
) -> Traded:
    """Measure precision and recall of samples over truncation or temperature.

    Truncation applies to GANs; temperature to autoregressive models, flows and VAEs. Training
    examples in place of samples give the attainable values.

    Args:
        run: run folder, or a `Run`
        values: truncations or temperatures; default: seven common values
        n: maximum number of samples at each value, and of held-out examples
        extractor: feature extractor for images; default: as for `evaluate`
        data: new location of the run's data
        weights: "best" or "last" weights of the run
        seed: random seed
        out: .png to plot the curve to
        force: overwrite an existing file
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model supports neither, or if its data is not available
    """
    check_numbers(n=n, seed=seed)
    path = check_new(out, (".png",), "--out", force)
    opened = Run.open(run)
    model = opened.model(weights)
    ways_of(model)  # fails before the data is read
    match = opened.own(data)
    real = unseen_of(match, n).with_fixed_binarisation()
    assert match.train is not None  # it is available
    train = match.train.shuffled(0).subset(slice(0, len(real))).with_fixed_binarisation()
    seen = placed(choose_extractor(real, extractor)[0], opened.device)
    found = tasks.tradeoff(
        model,
        real.batch(slice(0, len(real))).x,
        train.batch(slice(0, len(train))).x,
        lambda x: features_of(seen, x),
        values,
        seed=seed,
    )
    done = Traded(found, min(len(real), len(train)), seen.name, path)
    if path is not None:
        _draw(path, done)
    return done


def _draw(path: Path, done: Traded) -> None:
    figure, (axis,) = panels(1, 4.6, 4.0)
    found = done.found
    recall = [p.recall.value or 0.0 for p in found.points]
    precision = [p.precision.value or 0.0 for p in found.points]
    axis.plot(recall, precision, "-o", color=COLOURS[0], markersize=4, label=found.by)
    for p in found.points:
        at = (p.recall.value or 0.0, p.precision.value or 0.0)
        axis.annotate(f"{p.value:g}", at, xytext=(4, 4), textcoords="offset points", fontsize=7)
    for name, p, sign in (
        ("plain samples", found.plain, "s"),
        ("training examples", found.floor, "*"),
    ):
        colour = GREY if p is found.floor else COLOURS[1]
        x, y = [p.recall.value or 0.0], [p.precision.value or 0.0]
        axis.plot(x, y, sign, color=colour, markersize=9, label=name)
    axis.set_xlabel("recall", fontsize=9)
    axis.set_ylabel("precision", fontsize=9)
    axis.set(xlim=(0, 1.05), ylim=(0, 1.05))  # fractions, whose small differences are noise
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    make_folder(path.parent)
    write_atomic(path, lambda place: place.write_bytes(file.getvalue()))
