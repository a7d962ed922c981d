"""What the commands share: the group, options that recur, small helpers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ptheta import __version__
from ptheta.cli import types
from ptheta.config import brief
from ptheta.errors import PthetaError, unknown


class Commands(click.Group):
    """A group that names the nearest command for a typo."""

    kind = "command"

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            raise unknown(self.kind, name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ptheta")
def cli() -> None:
    """Deep generative models: learn p_theta(x) from data, then sample, score and compare."""


def number(
    default: int = 8, text: str = "How many test images.", kind: click.ParamType = types.COUNT
) -> Any:
    """-n of a verb."""
    return click.option(
        *("-n", "--number"), type=kind, default=default, show_default=True, help=text
    )


def _use_threads(ctx: click.Context, param: click.Parameter, count: int | None) -> None:
    """For the command at hand, everything has so many threads."""
    if count:
        from ptheta.compute import threads  # and torch

        ctx.with_resource(threads.fixed(count))


RUN = click.argument("run", type=types.SOURCE)
NUMBER = number()
DATA = click.option(
    "--data",
    type=types.SOURCE,
    help="Where the run's data lies now, or other images in place of it.",
)
OUT = click.option(
    "--out",
    type=types.IMAGES,
    required=True,
    help="A picture (grid.png, .jpg, .webp), an array (x.npy, x.npz: uint8 N,C,H,W) or a folder.",
)
FIGURE = click.option("--out", type=types.PICTURE, help="A picture to write as well: x.png.")
IMAGE_COLUMN = click.option(
    "--image-column",
    metavar="NAME",
    help="Column of the pictures, where the source has columns (parquet, metadata.csv, ...).",
)
SEED = click.option(
    "--seed",
    type=types.SEED,
    default=0,
    show_default=True,
    help="Seed of all noise: the same one gives the same numbers and images.",
)
WEIGHTS = click.option("--weights", default="best", show_default=True, help="best or last.")
PRIOR = click.option(
    "--prior", default="auto", show_default=True, help="own, fitted (by `ptheta fit`), or auto."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
THREADS = click.option(
    "--threads",
    type=types.THREADS,
    expose_value=False,
    callback=_use_threads,
    help="CPU threads; by default, and for 0, one where the steps of the work are small, else one "
    "for each core (or OMP_NUM_THREADS).",
)


def label(text: str, many: bool = False) -> Any:
    """--label of a verb; `many`: it may be repeated, and is called `labels`."""
    return click.option("--label", "labels" if many else "label", multiple=many, help=text)


def some_images(
    run: Any, number: int, data: str | None, *, out: Path | None = None, times: int = 1
) -> tuple[Any, Any, Any]:
    """The model of a run, the first test images, and their conditions where it wants them.

    out, times: where so many images for each of these are to be written. Raises PthetaError where
    they are too many for that, before the work that gives them.
    """
    from ptheta.capabilities import conditional
    from ptheta.conditions import word
    from ptheta.tasks.export import check_size

    batch = run.data("test", data).batch(slice(0, number))
    if out is not None:
        check_size(out, times * len(batch.x), run.spec.shape)
    model = run.model()
    if conditional(model) and batch.condition is None:
        raise PthetaError(
            f"this model is conditional and the images have no {word(run.condition)}: give --data"
        )
    return model, batch.x, batch.condition if conditional(model) else None


def given(option: str) -> bool:
    """Whether the user set this option of the command at hand, be it to its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def numbers(text: str, flag: str) -> list[float]:
    """The finite numbers of a list with commas."""
    found = _floats(text)
    if not all(map(math.isfinite, found)):
        raise PthetaError(f"{flag} {brief(text)}: want numbers with commas between them")
    return found


def integers(text: str, flag: str) -> list[int]:
    """The whole numbers of a list with commas."""
    found = _floats(text)
    if not all(value.is_integer() for value in found):
        raise PthetaError(f"{flag} {brief(text)}: want whole numbers with commas between them")
    return [int(value) for value in found]


def _floats(text: str) -> list[float]:
    """NaN stands for what is no list of numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return [math.nan]


def side_by_side(columns: list[Any]) -> Any:
    """Image batches (N, C, H, W) side by side: (N * columns, C, H, W), an image's own in a row."""
    import torch

    return torch.stack(columns, 1).flatten(0, 1)


def open_run(run: str | Path) -> Any:
    from ptheta.runs.folder import Run

    return Run.open(run)


def print_table(rows: list[list[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
