"""What the commands share: the group, and options that recur."""

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

# What click has read for an option: of the type that the option declares. A command hands its
# options on by name, to the verb of the Python interface that has the same ones.
Parsed: TypeAlias = Any
Decorator: TypeAlias = Callable[[Callable[..., None]], Callable[..., None]]


BEGIN = (
    "ptheta sample example:vae --out grid.png",  # a run that ships with the package
    "ptheta demo --quick",
)


def _use(modules: tuple[str, ...]) -> None:
    from ptheta import plugins  # what it imports takes a moment

    for module in modules:
        plugins.use(module)


class Program(Commands):
    """All verbs. Its help says what can be tried at once."""

    def format_epilog(self, ctx: RichContext, formatter: RichHelpFormatter) -> None:  # type: ignore[override]
        lines(formatter, "To begin with", BEGIN)


@click.group(cls=Program, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="ptheta")
@click.option(
    "--plugin",
    "modules",
    multiple=True,
    metavar="MODULE",
    expose_value=False,
    callback=lambda ctx, param, modules: _use(modules),
    help="Import a module of your own that registers models, losses, ... (see docs/plugins.md).",
)
def cli() -> None:
    """Deep generative models: learn p_theta(x) from data, then sample, evaluate and compare."""


def number(
    default: int = 8, text: str = "Number of test images.", kind: types.Whole = types.COUNT
) -> Decorator:
    """-n of a verb."""
    return click.option(
        *("-n", "--number", "n"), type=kind, default=default, show_default=True, help=text
    )


def whole(flag: str, default: int, text: str, kind: types.Whole = types.COUNT) -> Decorator:
    """An option that is a whole number with a default."""
    return click.option(flag, type=kind, default=default, show_default=True, help=text)


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
    help="Where the run's data lies now, or other images to use in its place.",
    cls=Often,
)
_PLACES = (
    "File or folder to write: a picture (grid.png, .jpg, .webp), an array (x.npy, x.npz: "
    "uint8 N,C,H,W) or a folder of pictures"
)
_OUT = click.option(
    "--out",
    type=types.SOURCE,
    required=True,
    help=f"{_PLACES}; of a model of tables, x.csv, x.parquet or x.npy.",
)
_OUT_UNLESS = click.option("--out", type=types.SOURCE, help=f"{_PLACES}.")
_OUT_OR_FILM = click.option(
    "--out",
    type=types.SOURCE,
    required=True,
    help=f"{_PLACES}; or walk.gif, a film that goes there and back.",
)
_FPS = click.option(
    "--fps",
    type=types.Real(0, above=True),
    help="Frames a second of a film, at most 50.  [default: 8]",
)
_SCALE = click.option(
    "--scale",
    type=types.COUNT,
    help="Pixels of the picture, across and down, for one pixel of an image. By default small "
    "images are enlarged to about 64 pixels.",
    cls=Often,
)
FIGURE = click.option("--out", type=types.PICTURE, help="A .png to draw the result into as well.")
IMAGE_COLUMN = click.option(
    "--image-column",
    metavar="NAME",
    help="Column of the pictures, where the source has columns (parquet, metadata.csv, ...).",
    cls=Often,
)
SEED = click.option(
    "--seed",
    cls=Often,
    type=types.SEED,
    default=0,
    show_default=True,
    help="Seed of all noise. The same seed gives the same numbers.",
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
    help="Prior of the codes: own, fitted (by `ptheta fit`), or auto (fitted where the model "
    "cannot sample by itself).",
    cls=Often,
)
# of the uses that look at examples: which they are, and where a table of them goes
EXAMPLES = click.argument("source", type=types.SOURCE, required=False)
SPLIT = click.option(
    "--split",
    help="Part of SOURCE: train, val or test. By default its test part, or all of it where it has "
    "no parts.",
)
LABEL_COLUMN = click.option(
    "--label-column",
    metavar="NAME",
    help="Column of the labels, where SOURCE has columns. By default as for the run's data.",
)
TABLE = click.option(
    "--out", type=types.File(".csv"), help="A .csv to write a row for each example to."
)
FORCE = click.option("--force", is_flag=True, help="Overwrite files that are there.", cls=Often)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.", cls=Often)
THREADS = click.option(
    "--threads",
    type=types.THREADS,
    expose_value=False,
    callback=_use_threads,
    help="Number of CPU threads. By default, and for 0, one thread where the steps of the work are "
    "small, else one for each core (or OMP_NUM_THREADS).",
    cls=Often,
)


def out(command: Callable[..., None]) -> Callable[..., None]:
    """--out and --scale of a verb that writes images."""
    return _OUT(_SCALE(command))


def out_or_film(command: Callable[..., None]) -> Callable[..., None]:
    """--out, --fps and --scale of a verb whose images may move."""
    return _OUT_OR_FILM(_FPS(_SCALE(command)))


def out_unless(command: Callable[..., None]) -> Callable[..., None]:
    """The same of a verb that may as well write nothing."""
    return _OUT_UNLESS(_SCALE(command))


def refuse(names: Sequence[str], why: str) -> None:
    """Raises PthetaError for an option that the user gave and that has no effect."""
    options = click.get_current_context().command.params
    odd = next((p for p in options if p.name in names and given(p.name)), None)
    if odd is not None:
        raise PthetaError(f"{odd.opts[0]} {why}: leave one out")


def show(grid: Grid | Rows | Translations) -> None:
    """Says where images or rows were written, and what they show."""
    click.echo(f"{grid.path}: {grid.about}")


def given(option: str) -> bool:
    """Whether the user set this option of the command at hand, be it to its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


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
