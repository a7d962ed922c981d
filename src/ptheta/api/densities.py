"""The `density` function: log-likelihood of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta import tasks
from ptheta.api.example_sets import examples_of, fresh
from ptheta.api.export import Images
from ptheta.api.found import names_of
from ptheta.api.grid import Block, Output
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.tabled import texts, write_columns
from ptheta.api.written import Answer, Places
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.trained import DataMatch
from ptheta.measures.intervals import spread
from ptheta.measures.results import NORMAL, Estimate
from ptheta.measures.rivals import SIGN, beats, verdict
from ptheta.runs.folder import Run
from ptheta.tasks.density import SAMPLES, Densities

HELD_OUT = 2000  # maximum number of held-out examples to rank against
SHOWN = 8  # examples in each row of the image
PRINTED = 4  # printed examples at each end
MODEL = "model"
KINDS = {"=": "exact", "<=": "a bound: the true value is at most this", "~": "an estimate"}
OF_LOG_P = {"=": "=", "<=": ">=", "~": "~"}  # relation for log p, given that for -log p


@dataclass(frozen=True)
class Likely(Answer):
    """Result of `ptheta.density`.

    names: names of the examples: file paths, or row numbers
    found: log p of every example, ranks, and baselines
    """

    names: Sequence[str] = field(repr=False)
    found: Densities

    def __repr__(self) -> str:
        found = self.found
        return f"Likely({len(self.names):,} examples, -log p {found.relation} {found.how})"

    def means(self) -> dict[str, Estimate]:
        """Mean -log p in nats: of the model, here and on held-out examples, and of the baselines
        here."""
        names = {MODEL: ""}
        if self.found.held_out is not self.found.log_p:
            names[f"{MODEL}, held out"] = "held out"
        names |= {name: name for name in self.found.floors}
        return {shown_remarks: self.found.mean(name) for shown_remarks, name in names.items()}

    def blocks(self) -> list[Block]:
        """The printed output."""
        rows = self._mean_rows()
        found = self.found
        unit = "density in the units of the data; " if found.density else ""
        kind = KINDS[found.relation]
        how = "" if found.how == kind else f" ({found.how})"
        lines = [f"-log p {found.relation}: {unit}{kind}{how}"]
        if found.partition is not None:
            z = found.partition
            low, high = sorted((z.lower, z.upper))
            lines.append(
                f"all values share the error of log Z, which is between {low:.5g} and {high:.5g}"
            )
        lines += [verdict(rows) if found.floors else "no baselines", *self.remarks]
        return [Block(rows=rows, lines=lines), *self._ends()]

    def _mean_rows(self) -> list[tuple[str, ...]]:
        means = self.means()
        own = means[MODEL].value
        rows: list[tuple[str, ...]] = [("", "-log p, nats", "95 % interval", "bits/dim")]
        for name, mean in means.items():
            if mean.value is None:
                rows.append((name, "infinite", "", ""))
                continue
            wins = name in self.found.floors and own is not None and beats(mean.value, own, "less")
            bits = mean.value / self.found.dims / np.log(2)
            rows.append(
                (
                    f"{name}{' (baseline)' * (name in self.found.floors)}",
                    f"{mean.relation} {mean.value:.5g}{SIGN if wins else ''}",
                    "unknown" if (ends := interval(mean)) is None else spelled(ends, 5),
                    f"{bits:.4g}",
                )
            )
        return rows

    def _ends(self) -> list[Block]:
        """The least and the most likely examples."""
        order, sign = self.found.order, OF_LOG_P[self.found.relation]
        ends = {"least likely": order[:PRINTED], "most likely": order.flip(0)[:PRINTED]}
        blocks = []
        for title, places in ends.items():
            rows: list[tuple[str, ...]] = [
                ("example", f"log p {sign}", "bits/dim", "held-out, less likely")
            ]
            for at in places.tolist():
                share = f"{100 * self.found.below[at]:.1f} %"
                value, bits = f"{self.found.log_p[at]:.5g}", f"{self.found.bits[at]:.4g}"
                rows.append((self.names[at], value, bits, share))
            blocks.append(Block(title, rows))
        return blocks

    def to_json(self) -> dict[str, object]:
        """The summary over all examples, of -log p."""
        found = self.found
        return {
            "examples": len(self.names),
            "held_out": len(found.held_out),
            "relation": found.relation,
            "how": found.how,
            "density": found.density,
            "nats": {
                name: {
                    "value": mean.value,
                    "relation": mean.relation,
                    "interval": ends_of(mean),
                    "bits_per_dim": None
                    if mean.value is None
                    else mean.value / found.dims / float(np.log(2)),
                }
                for name, mean in self.means().items()
            },
            "mean_share_below": found.below.mean().item(),
            "remarks": list(self.remarks),
        }

    def columns(self) -> Mapping[str, Sequence[object]]:
        """Columns of the .csv, one row per example in the order of the source."""
        found = self.found
        sign = OF_LOG_P[found.relation]
        return {
            "example": list(self.names),
            "log_p": texts(found.log_p),
            "relation": [sign] * len(self.names),
            "bits_per_dim": texts(found.bits),
            "held_out_below": texts(found.below),
            **{f"log_p_{name}": texts(values) for name, values in found.floors.items()},
        }


Ends = tuple[float, float]


def interval(mean: Estimate) -> Ends | None:
    """95 % interval, by Student's t if the mean has replicates; None without a value, or with too
    few examples for an error."""
    if mean.value is None or (mean.draws is None and mean.error is None):
        return None
    half = NORMAL * (mean.error or 0.0) if mean.draws is None else spread(mean.draws).half
    return mean.value - half, mean.value + half


def ends_of(found: Estimate) -> list[float] | None:
    """The interval, as JSON."""
    ends = interval(found)
    return None if ends is None else list(ends)


def spelled(ends: Ends, digits: int) -> str:
    """An interval, as text."""
    return " to ".join(f"{end:.{digits}g}" for end in ends)


@on_device
def density(
    run: str | Path | Run,
    source: Source | None = None,
    *,
    split: str | None = None,
    label_column: str | None = None,
    held_out: int = HELD_OUT,
    samples: int = SAMPLES,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    show: str | Path | None = None,
    n: int = SHOWN,
    force: bool = False,
    device: str | None = None,
) -> Likely:
    """Compute log p(x) of examples (exact, bound or estimate) and rank them among held-out
    examples.

    Args:
        run: run folder, or a `Run`
        source: any data that `ptheta.open_data` reads; default: the held-out examples themselves
        split, label_column: of the source, as for `outliers`
        held_out: maximum number of held-out examples to rank against
        samples: importance samples for a bound
        data: new location of the run's data
        weights: "best" or "last" weights of the run
        seed: random seed
        out: .csv to write a row for each example to
        show: image to write, with the n least and the n most likely examples
        n: examples in each row of that image
        force: overwrite existing files
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model has no likelihood, bound or estimate, or if the run's data is not
            available
    """
    check_numbers(n=n, seed=seed, samples=samples, held_out=held_out)
    places = Places.at(out, show, source, force=force)
    opened = Run.open(run)
    places.images(opened.spec, "examples")
    model = opened.model(weights)
    match = opened.own(data)
    unseen = unseen_of(match, held_out)
    shown = examples_of(opened, source, split, label_column)
    given, shown_remarks = (unseen, ()) if shown is None else shown
    found = tasks.density(
        *(model, given, None if shown is None else unseen, match.images),
        samples=samples,
        seed=seed,
    )
    remarks = (f"ranked among {len(unseen):,} held-out {unseen.examples}", *shown_remarks)
    done = Likely(names_of(given), found, remarks=remarks, **places.where)
    if places.table is not None:
        write_columns(places.table, done.columns())
    if places.picture is not None:
        ends = ("least likely", "most likely")
        draw_ends(places.picture, given, found.order, ends, n)
    return done


def unseen_of(match: DataMatch, most: int) -> Dataset:
    """At most `most` held-out examples, without duplicates of training examples."""
    unseen = fresh(match.test, "other data (--data)")
    return unseen.shuffled(0).subset(slice(0, most)) if len(unseen) > most else unseen


def draw_ends(path: Path, data: Dataset, order: Tensor, ends: tuple[str, str], n: int) -> None:
    """Draws the first n examples of an order in one row and the last n in another, with these
    captions."""
    count = min(n, len(data))
    chosen = torch.cat([order[:count], order.flip(0)[:count]])
    x = data.with_fixed_binarisation().subset(chosen.numpy()).batch(slice(0, 2 * count)).x
    about = f"the {ends[0]} and the {ends[1]}"
    Output.at(path, None).write(replace(Images.of(x), captions=ends), about, count)
