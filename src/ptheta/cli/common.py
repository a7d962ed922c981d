"""What the commands share: the group, options that recur, small helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ptheta import __version__
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


NUMBER = click.option("-n", "--number", default=8, show_default=True, help="How many test images.")
OTHER_DATA = click.option(
    "--data", help="Where the run's data lies now, or other images in place of it."
)
OUT = click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
SEED = click.option("--seed", default=0, show_default=True, help="Seed of all noise.")


def some_images(run: Any, number: int, data: str | None) -> tuple[Any, Any, Any]:
    """The model of a run, the first test images, and their labels where it wants them."""
    from ptheta.capabilities import conditional

    if number < 1:
        raise PthetaError(f"-n {number}: ask for at least one image")
    batch = run.data("test", data).batch(slice(0, number))
    model = run.model()
    if conditional(model) and batch.y is None:
        raise PthetaError("this model is conditional and the images have no labels: give --data")
    return model, batch.x, batch.y if conditional(model) else None


def label_of(run: Any, text: str) -> int:
    """The number that a run's model has for a label. Raises PthetaError where it knows none."""
    from ptheta.conditions import Labels

    if not isinstance(run.condition, Labels):
        raise PthetaError(f"--label {text}: this model takes no labels; leave the label out")
    return run.condition.parse(text)


def given(option: str) -> bool:
    """Whether the user set this option of the command at hand, be it to its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def at_least(flag: str, value: int, least: int = 1) -> None:
    """Raises PthetaError for a count below `least`: a negative one would count from the end."""
    if value < least:
        raise PthetaError(f"{flag} {value}: want {least} or more")


def numbers(text: str, flag: str) -> list[float]:
    """The numbers of a list with commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PthetaError(f"{flag} {text}: want numbers with commas between them") from None


def integers(text: str, flag: str) -> list[int]:
    """The whole numbers of a list with commas."""
    found = numbers(text, flag)
    if not all(value.is_integer() for value in found):
        raise PthetaError(f"{flag} {text}: want whole numbers")
    return [int(value) for value in found]


def side_by_side(columns: list[Any]) -> Any:
    """Image batches (N, C, H, W) side by side: (N * columns, C, H, W), an image's own in a row."""
    import torch

    return torch.stack(columns, 1).flatten(0, 1)


def open_run(run: str | Path) -> Any:
    from ptheta.runs import Run

    return Run.open(run)


def print_table(rows: list[list[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
