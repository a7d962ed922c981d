"""What there is: models, data and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import IMAGE_COLUMN, JSON, Parsed, cli, given
from ptheta.cli.tables import columns, flowing, print_flowing, print_table, print_wrapped, wrapped
from ptheta.data.columns.told import told
from ptheta.errors import PthetaError
from ptheta.files.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from ptheta.models.about import ModelInfo

WIDE = 800  # pixels of a picture of the first images, about


@cli.command()
@click.option("--tasks", is_flag=True, help="Print which model can do which task, as a table.")
@click.option("--tree", is_flag=True, help="Print the models by what they say of p(x), as a tree.")
@JSON
def models(tasks: bool, tree: bool, as_json: bool) -> None:
    """List the models and what each can do."""
    if tasks and tree:
        raise PthetaError("--tasks and --tree are two answers: ask for one of them")
    if tasks:
        _print_tasks(as_json)
        return
    if tree:
        _print_tree(as_json)
        return
    table = ptheta.list_models()
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    for family in dict.fromkeys(row["family"] for row in table.values()):
        click.echo(family)
        rows = {name: row for name, row in table.items() if row["family"] == family}
        print_wrapped([[f"  {name}", row["paper"], _can(row)] for name, row in rows.items()])
    print_flowing(
        "log_prob: log p(x) itself. bound: less than log p(x), or with exact that itself where the "
        "data are real numbers. partition: an estimate of log p(x), from two sides."
    )


def _print_tasks(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(ptheta.list_tasks(), indent=2))
        return
    from ptheta.tasks.matrix import matrix  # and torch

    print_table(matrix())
    print_flowing("fit: after `ptheta fit` has fitted a prior to its codes")


def _print_tree(as_json: bool) -> None:
    from ptheta.models.taxonomy import leaves  # and torch

    found = leaves()
    if as_json:
        click.echo(json.dumps([leaf._asdict() for leaf in found], indent=2))
        return
    above: tuple[str, ...] = ()
    for leaf in found:
        for depth, name in enumerate(leaf.path):
            if leaf.path[: depth + 1] != above[: depth + 1]:
                about = f": {leaf.about}" if depth == len(leaf.path) - 1 else ""
                print_flowing(f"{'  ' * depth}{name}{about}")
        for family, names in leaf.models.items():
            print_flowing(f"{'  ' * len(leaf.path)}{family}: {', '.join(names)}")
        above = leaf.path


def _can(row: ModelInfo) -> str:
    return ", ".join(name for name, can in row["capabilities"].items() if can)


@cli.command()
@JSON
def metrics(as_json: bool) -> None:
    """List the numbers of an evaluation: their names, which values are better, what they are of."""
    table = ptheta.list_metrics()
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    for section in dict.fromkeys(row["section"] for row in table.values()):
        rows = {name: row for name, row in table.items() if row["section"] == section}
        click.echo(section)
        print_wrapped(
            [[f"  {name}", row["better"], row["of"], row["about"]] for name, row in rows.items()]
        )
    print_flowing("X stands for the extractor of the features, T for a term")


@cli.command()
@click.argument("source", required=False, type=types.SOURCE)
@click.option(
    "--size",
    type=types.SIDE,
    help="Resize and crop the pictures to this many pixels across and down, as in training.",
)
@click.option(
    "--channels",
    type=types.COUNT,
    help="Convert the pictures to this many channels (1 or 3), as in training.",
)
@click.option("--white", type=types.POSITIVE, help="Value that is white, as in training.")
@IMAGE_COLUMN
@click.option("--label-column", metavar="NAME", help="Column of the labels.")
@click.option("--caption-column", metavar="NAME", help="Column of the captions.")
@click.option("--columns", type=types.NAMES, default="", help="Columns of a table: a,b,c.")
@click.option(
    "--category-columns",
    type=types.NAMES,
    default="",
    help="Columns of a table that are categories.",
)
@click.option(
    "--pairs",
    metavar="KIND",
    help="Kind of pairs, such as side-by-side or edges: `ptheta train pix2pix --help` lists all.",
)
@click.option("--input-column", metavar="NAME", help="Column of the inputs of pairs.")
@click.option("--reverse", is_flag=True, help="Exchange the inputs and the targets of pairs.")
@click.option("--pair-strength", type=types.POSITIVE, help="How strong the made change is.")
@click.option(
    "--label-maps",
    default="none",
    metavar="PART",
    help="Parts of a pair whose colours are labels: none, input, target or both.",
)
@click.option("--label-colours", type=types.Whole(2, 256), help="How many colours these have.")
@click.option("--domain-columns", type=types.NAMES, default="", help="Columns of domains: a,b.")
@click.option("--where", type=types.NAMES, default="", help="Only examples with NAME=VALUE,...")
@click.option(
    "--unseen",
    type=types.NAMES,
    default="",
    help="Attributes of which some combinations are held out of training: a,b.",
)
@click.option("--unseen-share", type=types.POSITIVE, default=0.1, help="Share that is held out.")
@click.option(
    "--out",
    type=types.File(".png", ".jpg", ".webp"),
    help="Picture to write of some images, inputs left of targets.",
)
@JSON
def data(source: str | None, out: Path | None, as_json: bool, **options: Parsed) -> None:
    """List the embedded data sets, or look into SOURCE (a name or a path)."""
    if source is None:
        _refuse_alone(("out", *options))
        about: Mapping[str, object] = ptheta.list_datasets()
        lines = wrapped([[name, str(what)] for name, what in about.items()], columns())
    else:
        described = ptheta.describe(source, **options)
        cells = [f"{name}: {told(what)}" for name, what in described.get("columns", {}).items()]
        readable = {**described, "columns": cells} if cells else described
        said = "\n".join(f"{key}: {_said(value)}" for key, value in readable.items())
        about, lines = described, flowing(said, columns())
        if out is not None:
            _draw(out, source, options)
    click.echo(json.dumps(about, indent=2) if as_json else "\n".join(lines))


def _refuse_alone(names: Iterable[str]) -> None:
    """Raises PthetaError for an option that says how SOURCE is read, which is not given."""
    odd = next((name for name in names if given(name)), None)
    if odd is not None:
        raise PthetaError(f"--{odd.replace('_', '-')} is of SOURCE: name the data, too")


def _draw(out: Path, source: str, options: dict[str, Parsed]) -> None:
    """Writes the first images. Raises PthetaError for what holds none."""
    drawn = ptheta.open_images(source, **options).preview().encoded(out.suffix.lower(), WIDE)
    write_atomic(out, lambda place: place.write_bytes(drawn))


def _said(value: object) -> str:
    """A value of `describe` for a reader."""
    if isinstance(value, dict) and any(isinstance(v, str) for v in value.values()):
        return "".join(f"\n  {k}: {v}" for k, v in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "\n  ".join(["", *map(str, value)]) if value else "none"
    return str(value)
