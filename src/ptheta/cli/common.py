"""Shared by all commands: the command group and recurring options."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from ptheta import __version__
from ptheta.cli import types
from ptheta.cli.help import CONTEXT, Commands, Often, lines
from ptheta.config import brief
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from rich_click import RichContext, RichHelpFormatter

    from ptheta.api import Grid, Rows, Translations

# Value of an option as parsed by click, of the type that the option declares. A command passes its
# options by name to the function of the Python interface, which has the same ones.
Parsed: TypeAlias = Any
Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


BEGIN = (
    "ptheta sample example:vae --out grid.png",  # a trained run shipped with the package
    "ptheta demo --quick",
)


def _use(modules: tuple[str, ...]) -> None:
    from ptheta import plugins  # slow to import

    for module in modules:
        plugins.use(module)


class Program(Commands):
    """Group of all commands. Its help lists commands to try first."""

    def format_epilog(self, ctx: RichContext, formatter: RichHelpFormatter) -> None:  # type: ignore[override]
        lines(formatter, "Getting started", BEGIN)


@click.group(cls=Program, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="ptheta")
@click.option(
    "--plugin",
    "modules",
    multiple=True,
    metavar="MODULE",
    expose_value=False,
    callback=lambda ctx, param, modules: _use(modules),
    help="Import a plug-in module that registers models, losses, ... (see docs/plugins.md).",
)
def cli() -> None:
    """Deep generative models: learn p_theta(x) from data, then sample, evaluate and compare."""


def number(
    default: int = 8, text: str = "Number of test images.", kind: types.Whole = types.COUNT
) -> Decorator:
    """The -n option of a command."""
    return click.option(
        *("-n", "--number", "n"), type=kind, default=default, show_default=True, help=text
    )


def whole(flag: str, default: int, text: str, kind: types.Whole = types.COUNT) -> Decorator:
    """An integer option with a default."""
    return click.option(flag, type=kind, default=default, show_default=True, help=text)


def _use_threads(ctx: click.Context, param: click.Parameter, count: int | None) -> None:
    """Sets the number of threads for the running command."""
    if count:
        from ptheta.compute import threads  # and torch

        ctx.with_resource(threads.fixed(count))


PROCESSES = click.option(
    "--processes",
    type=types.PROCESSES,
    help="Number of processes of this machine that share the work. The result does not depend on "
    "it: with --threads to the bit; by default each process has its share of the cores.  "
    "[default: 1, or those of torchrun or srun]",
)
DEVICE = click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Device to compute on: cpu, cuda, mps, or auto (the GPU if there is one). Another device "
    "has other noise and rounding, so that results of a seed differ.",
    cls=Often,
)
RUN = click.argument("run", type=types.SOURCE)
NUMBER = number()
DATA = click.option(
    "--data",
    type=types.SOURCE,
    help="New location of the run's data, or other images to use instead.",
    cls=Often,
)
_PLACES = (
    "File or folder to write: an image (grid.png, .jpg, .webp), an array (x.npy, x.npz: uint8 "
    "N,C,H,W) or a folder of images"
)
_OUT = click.option(
    "--out",
    type=types.SOURCE,
    required=True,
    help=f"{_PLACES}; for a model of tables, x.csv, x.parquet or x.npy.",
)
_OUT_UNLESS = click.option("--out", type=types.SOURCE, help=f"{_PLACES}.")
_OUT_OR_FILM = click.option(
    "--out",
    type=types.SOURCE,
    required=True,
    help=f"{_PLACES}; or walk.gif, a film that plays forwards and backwards.",
)
_FPS = click.option(
    "--fps",
    type=types.Real(0, above=True),
    help="Frames per second of a film, at most 50.  [default: 8]",
)
_SCALE = click.option(
    "--scale",
    type=types.COUNT,
    help="Integer factor by which images are enlarged. By default small images are enlarged to "
    "about 64 pixels.",
    cls=Often,
)
FIGURE = click.option("--out", type=types.PICTURE, help="Also plot the result to this .png file.")
IMAGE_COLUMN = click.option(
    "--image-column",
    metavar="NAME",
    help="Column of the images, if the source has columns (parquet, metadata.csv, ...).",
    cls=Often,
)
SEED = click.option(
    "--seed",
    cls=Often,
    type=types.SEED,
    default=0,
    show_default=True,
    help="Random seed. The same seed gives the same results.",
)
WEIGHTS = click.option(
    "--weights",
    default="best",
    show_default=True,
    help="Weights of the run: best or last.",
    cls=Often,
)
PRIOR = click.option(
    "--prior",
    default="auto",
    show_default=True,
    help="Prior over the codes: own, fitted (by `ptheta fit`), or auto (fitted if the model has "
    "no prior of its own).",
    cls=Often,
)
# options of commands that process examples: which examples, and where to write their table
EXAMPLES = click.argument("source", type=types.SOURCE, required=False)
SPLIT = click.option(
    "--split",
    help="Split of SOURCE: train, val or test. By default test, or all of a SOURCE that has no "
    "splits.",
)
LABEL_COLUMN = click.option(
    "--label-column",
    metavar="NAME",
    help="Column of the labels, if SOURCE has columns. By default as for the run's data.",
)
TABLE = click.option(
    "--out", type=types.File(".csv"), help="Write a row for each example to this .csv file."
)
FORCE = click.option("--force", is_flag=True, help="Overwrite existing files.", cls=Often)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.", cls=Often)
THREADS = click.option(
    "--threads",
    type=types.THREADS,
    expose_value=False,
    callback=_use_threads,
    help="Number of CPU threads. By default, and for 0, one thread for small computations, else "
    "one per core (or OMP_NUM_THREADS).",
    cls=Often,
)


def out(command: Callable[..., None]) -> Callable[..., None]:
    """The --out and --scale options of a command that writes images."""
    return _OUT(_SCALE(command))


def out_or_film(command: Callable[..., None]) -> Callable[..., None]:
    """The --out, --fps and --scale options of a command that writes images or films."""
    return _OUT_OR_FILM(_FPS(_SCALE(command)))


def out_unless(command: Callable[..., None]) -> Callable[..., None]:
    """The --out, --scale options where --out is optional."""
    return _OUT_UNLESS(_SCALE(command))


def refuse(names: Sequence[str], why: str) -> None:
    """Raises PthetaError if the user gave an option that has no effect."""
    options = click.get_current_context().command.params
    odd = next((p for p in options if p.name in names and given(p.name)), None)
    if odd is not None:
        raise PthetaError(f"{odd.opts[0]} {why}: leave one out")


def show(grid: Grid | Rows | Translations) -> None:
    """Prints where images or rows were written, and what they show."""
    click.echo(f"{grid.path}: {grid.about}")


def given(option: str) -> bool:
    """Whether the user set this option of the running command, even to its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def integers(text: str, flag: str) -> list[int]:
    """Parses a comma-separated list of integers."""
    found = _floats(text)
    if not all(value.is_integer() for value in found):
        raise PthetaError(f"{flag} {brief(text)}: want integers separated by commas")
    return [int(value) for value in found]


def _floats(text: str) -> list[float]:
    """Parses a list of numbers; [NaN] if it is not one."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return [math.nan]
