"""The `ratio` function: density ratios by a GAN's calibrated discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptheta import tasks
from ptheta.api.densities import HELD_OUT, SHOWN, draw_ends, ends_of, interval, unseen_of
from ptheta.api.example_sets import examples_of
from ptheta.api.found import names_of
from ptheta.api.grid import Block
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.tabled import texts, write_columns
from ptheta.api.written import Answer, Places
from ptheta.data.memory import Source
from ptheta.measures.results import Estimate
from ptheta.measures.rivals import SIGN, beats, verdict
from ptheta.runs.folder import Run
from ptheta.tasks.ratio import Ratios, Slope
from ptheta.tasks.ratio.find import OWN

PRINTED = 4  # printed examples at each end


@dataclass(frozen=True)
class Real(Answer):
    """Result of `ptheta.ratio`.

    names: names of the examples: file paths, or row numbers
    found: log p_data / p_model of every example, the calibration, and baselines
    """

    names: Sequence[str] = field(repr=False)
    found: Ratios

    def __repr__(self) -> str:
        after = self.found.calibration.after
        return f"Real({len(self.names):,} examples, slope {after.value:.3g} after calibration)"

    def blocks(self) -> list[Block]:
        """The printed output."""
        found = self.found
        before, after = found.calibration.before, found.calibration.after
        rows = self._rated_rows()
        lines = [
            f"slope before calibration {_slope(before)}; 1 is calibrated",
            f"slope after, on unseen examples, {_slope(after)}",
            f"mean p_data / p_model of samples {_text(found.mean_ratio())}; ideally 1",
            f"KL(p_data, p_model) by the discriminator: {_text(found.divergence())} nats",
            *([verdict(rows)] if found.floors else []),
            *self.remarks,
        ]
        title = "real held-out examples against new samples"
        return [Block(title, rows, lines), *self._ends()]

    def _rated_rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("", "area under ROC", "cross-entropy, nats", "chance")]
        own = self.found.cross_entropy(OWN).value
        for name in self.found.rated():
            loss = self.found.cross_entropy(name)
            floor = name in self.found.floors
            wins = floor and beats(loss.value or 0.0, own or 0.0, "less")
            head, sign = f"{name}{' (baseline)' * floor}", SIGN if wins else ""
            rows.append((head, _text(self.found.auc(name)), f"{_text(loss)}{sign}", "0.6931"))
        return rows

    def _ends(self) -> list[Block]:
        """The examples of lowest and highest ratio."""
        found, blocks = self.found, []
        ends = {
            "least real": found.order[:PRINTED],
            "most real": found.order.flip(0)[:PRINTED],
        }
        for title, places in ends.items():
            rows: list[tuple[str, ...]] = [
                ("example", "p_data / p_model", "log of it, nats", "discriminator's")
            ]
            for at in places.tolist():
                value, raw = found.log_ratio[at], found.raw[at]
                rows.append((self.names[at], f"{value.exp():.4g}", f"{value:.4g}", f"{raw:.4g}"))
            blocks.append(Block(title, rows))
        return blocks

    def to_json(self) -> dict[str, object]:
        """The summary over all examples."""
        found = self.found
        return {
            "examples": len(self.names),
            "calibrated_on": len(found.calibration.raw),
            "slope_before": _slope_json(found.calibration.before),
            "slope_after": _slope_json(found.calibration.after),
            "mean_ratio_of_samples": _json(found.mean_ratio()),
            "kl_nats": _json(found.divergence()),
            "rated": {
                name: {
                    "auroc": _json(found.auc(name)),
                    "cross_entropy": _json(found.cross_entropy(name)),
                }
                for name in found.rated()
            },
            "remarks": list(self.remarks),
        }

    def columns(self) -> Mapping[str, Sequence[object]]:
        """Columns of the .csv, one row per example in the order of the source."""
        return {
            "example": list(self.names),
            "log_ratio": texts(self.found.log_ratio),
            "ratio": texts(self.found.log_ratio.exp()),
            "discriminator": texts(self.found.raw),
        }


def _slope(slope: Slope) -> str:
    low, high = slope.interval
    return f"{slope.value:.3f} ({low:.3f} to {high:.3f})"


def _text(found: Estimate) -> str:
    ends = interval(found)
    ends_text = "interval unknown" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
    return f"{found.value:.4f} ({ends_text})"


def _slope_json(slope: Slope) -> dict[str, object]:
    return {"value": slope.value, "interval": list(slope.interval)}


def _json(found: Estimate) -> dict[str, object]:
    return {"value": found.value, "interval": ends_of(found)}


@on_device
def ratio(
    run: str | Path | Run,
    source: Source | None = None,
    *,
    split: str | None = None,
    label_column: str | None = None,
    held_out: int = HELD_OUT,
    floors: bool = True,
    calibration: str = "line",
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    show: str | Path | None = None,
    n: int = SHOWN,
    force: bool = False,
    device: str | None = None,
) -> Real:
    """Estimate p_data(x) / p_model(x) of examples with a GAN's discriminator.

    The discriminator is calibrated on held-out examples and new samples, neither of which it has
    seen.

    Args:
        run: run folder, or a `Run`
        source: any data that `ptheta.open_data` reads; default: the held-out examples themselves,
            each with a calibration that excludes it
        split, label_column: of the source, as for `outliers`
        held_out: maximum number of held-out examples, and of samples, for calibration
        floors: compare the discriminator with small classifiers
        calibration: "line" or "isotonic"
        data: new location of the run's data
        weights: "best" or "last" weights of the run
        seed: random seed
        out: .csv to write a row for each example to
        show: image to write, with the n examples of lowest and of highest ratio
        n: examples in each row of that image
        force: overwrite existing files
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model has no discriminator, if its loss does not estimate a density
            ratio, or if the run's data is not available
    """
    check_numbers(n=n, seed=seed, held_out=held_out)
    places = Places.at(out, show, source, force=force)
    opened = Run.open(run)
    places.images(opened.spec, "examples")
    model = opened.model(weights)
    unseen = unseen_of(opened.own(data), held_out)
    given, remarks = examples_of(opened, source, split, label_column) or (None, ())
    found = tasks.ratio(model, given, unseen, floors=floors, kind=calibration, seed=seed)
    interval = f"calibrated on {len(unseen):,} held-out {unseen.examples} and as many samples"
    shown = unseen if given is None else given
    done = Real(names_of(shown), found, remarks=(interval, *remarks), **places.where)
    if places.table is not None:
        write_columns(places.table, done.columns())
    if places.picture is not None:
        draw_ends(places.picture, shown, found.order, ("least real", "most real"), n)
    return done
