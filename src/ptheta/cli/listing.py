"""Commands that list models, data sets and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

import ptheta
from ptheta.cli import types
from ptheta.cli.common import IMAGE_COLUMN, JSON, Parsed, cli, given
from ptheta.cli.help import LIST
from ptheta.cli.tables import columns, flowing, print_flowing, print_table, print_wrapped, wrapped
from ptheta.data.columns.summary import summary
from ptheta.errors import PthetaError
from ptheta.files.atomic import write_atomic
from ptheta.models import registry
from ptheta.runs.examples import EXAMPLES, PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from ptheta.models.graph import Graph


WIDE = 800  # approximate width in pixels of the image that --out writes


@cli.command(panel=LIST)
@click.argument(
    "name",
    required=False,
    shell_complete=lambda ctx, param, typed: types.one_of(registry.models())(ctx, param, typed),
)
@click.option("--tasks", is_flag=True, help="Print a table of models and the tasks they support.")
@click.option("--tree", is_flag=True, help="Print the models as a tree, by how they define p(x).")
@click.option(
    "--graph",
    type=types.File(".png", ".svg", ".pdf"),
    help="Image to write, with the graphical model of NAME: its random variables and their "
    "dependences.",
)
@JSON
def models(name: str | None, tasks: bool, tree: bool, graph: Path | None, as_json: bool) -> None:
    """List the models, or describe the model NAME and what it can do.

    Examples:
      ptheta models
      ptheta models vae --graph vae.png
      ptheta models --tasks
    """
    if sum((name is not None, tasks, tree)) > 1:
        raise PthetaError("NAME, --tasks and --tree exclude each other: give one of them")
    if graph is not None and name is None:
        raise PthetaError("--graph needs a model: give its NAME")
    if tasks:
        _print_tasks(as_json)
    elif tree:
        _print_tree(as_json)
    elif name is not None:
        _print_model(name, graph, as_json)
    elif as_json:
        click.echo(json.dumps(ptheta.list_models(), indent=2))
    else:
        _print_models()


def _print_models() -> None:
    found = registry.models()
    for family in dict.fromkeys(entry.family for entry in found.values()):
        click.echo(family.capitalize())
        rows = [(name, entry) for name, entry in found.items() if entry.family == family]
        print_wrapped([[f"  {name}", entry.about or entry.paper] for name, entry in rows])
    print_flowing("ptheta models NAME describes one model, --tasks lists what each can do")
    print_flowing(f"Trained runs to try: {', '.join(f'{PREFIX}{name}' for name in EXAMPLES)}")


def _print_model(name: str, picture: Path | None, as_json: bool) -> None:
    from ptheta.models.about import graph_of  # and torch

    info, graph = ptheta.list_models(name)[name], graph_of(name)
    if picture is not None:
        _draw_graph(name, graph, picture)
    tasks = {task: row["models"][name] for task, row in ptheta.list_tasks().items()}
    if as_json:
        click.echo(json.dumps({**info, "tasks": tasks}, indent=2))
        return
    shown = {task: task if can == "yes" else f"{task} ({can})" for task, can in tasks.items()}
    facts = {
        "family": f"{info['family']} ({', '.join(info['place'])})",
        "paper": info["paper"],
        "learns": _and(info["data"]),
        "accepts": "labels, attributes, captions or images" if info["conditional"] else "",
        "can": ", ".join(text for task, text in shown.items() if tasks[task] != "no"),
        "supported for": info["use"],
        "not when": info["avoid"],
    }
    print_flowing(f"{name}: {info['about']}")
    print_wrapped([[f"  {key}", value] for key, value in facts.items() if value])
    if graph is not None:
        _print_graph(graph)
    click.echo("Recipes")
    print_wrapped([[f"  {recipe}", about] for recipe, about in info["recipes"].items()])
    print_flowing(f"Options: ptheta train {name} --help")


def _and(words: Sequence[str]) -> str:
    """images, points and tables"""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _print_graph(graph: Graph) -> None:
    click.echo("Variables")
    print_wrapped([[f"  {v.name}", v.role, v.what] for v in graph.variables])
    for arrow in graph.arrows:
        part = " (inference)" if arrow.part == "inference" else ""
        print_flowing(f"  {arrow.source} -> {arrow.target}{part}  {arrow.law}".rstrip())


def _draw_graph(name: str, graph: Graph | None, picture: Path) -> None:
    from ptheta.report.graphs import draw  # and matplotlib

    if graph is None:
        raise PthetaError(f"--graph: {name} does not declare its random variables")
    drawn = draw(graph, picture.suffix.lower())
    write_atomic(picture, lambda place: place.write_bytes(drawn))


def _print_tasks(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(ptheta.list_tasks(), indent=2))
        return
    from ptheta.tasks.matrix import matrix  # and torch

    print_table(matrix())
    print_flowing("fit: after `ptheta fit` has fitted a prior to the codes")


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


@cli.command(panel=LIST)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script for a shell.

    To enable it, add eval "$(ptheta completion bash)" to ~/.bashrc.

    Examples:
      ptheta completion bash
      ptheta completion zsh
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "ptheta", "_PTHETA_COMPLETE").source())


@cli.command(panel=LIST)
@JSON
def metrics(as_json: bool) -> None:
    """List the metrics and which direction is better.

    Examples:
      ptheta metrics
      ptheta metrics --json
    """
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
    print_flowing("X is the feature extractor, T a loss term")


@cli.command(panel=LIST)
@click.argument("source", required=False, type=types.SOURCE)
@click.option(
    "--size",
    type=types.SIDE,
    help="Resize and crop images to this many pixels on each side, as in training.",
)
@click.option(
    "--channels",
    type=types.COUNT,
    help="Convert images to this many channels (1 or 3), as in training.",
)
@click.option("--white", type=types.POSITIVE, help="Pixel value of white, as in training.")
@IMAGE_COLUMN
@click.option("--label-column", metavar="NAME", help="Column of the labels.")
@click.option("--caption-column", metavar="NAME", help="Column of the captions.")
@click.option("--columns", type=types.NAMES, default="", help="Columns of a table: a,b,c.")
@click.option(
    "--category-columns",
    type=types.NAMES,
    default="",
    help="Categorical columns of a table.",
)
@click.option(
    "--pairs",
    metavar="KIND",
    help="Kind of pairs, such as side-by-side or edges: `ptheta train pix2pix --help` lists all.",
)
@click.option("--input-column", metavar="NAME", help="Column of the inputs of pairs.")
@click.option("--reverse", is_flag=True, help="Swap the inputs and the targets of pairs.")
@click.option("--pair-strength", type=types.POSITIVE, help="Strength of the synthetic change.")
@click.option(
    "--label-maps",
    default="none",
    metavar="PART",
    help="Parts of a pair whose colours are labels: none, input, target or both.",
)
@click.option("--label-colours", type=types.Whole(2, 256), help="Number of colours in these parts.")
@click.option("--domain-columns", type=types.NAMES, default="", help="Columns of domains: a,b.")
@click.option("--where", type=types.NAMES, default="", help="Use only examples with NAME=VALUE,...")
@click.option(
    "--unseen",
    type=types.NAMES,
    default="",
    help="Attributes of which some combinations are held out of training: a,b.",
)
@click.option("--unseen-share", type=types.POSITIVE, default=0.1, help="Fraction that is held out.")
@click.option(
    "--out",
    type=types.File(".png", ".jpg", ".webp"),
    help="Image to write, with some examples, inputs left of targets.",
)
@JSON
def data(source: str | None, out: Path | None, as_json: bool, **options: Parsed) -> None:
    """List the built-in data sets, or describe SOURCE.

    Examples:
      ptheta data
      ptheta data photos --size 32 --out first.png
    """
    if source is None:
        _refuse_alone(("out", *options))
        about: Mapping[str, object] = ptheta.list_datasets()
        lines = wrapped([[name, str(what)] for name, what in about.items()], columns())
    else:
        described = ptheta.describe(source, **options)
        cells = [f"{name}: {summary(what)}" for name, what in described.get("columns", {}).items()]
        readable = {**described, "columns": cells} if cells else described
        text = "\n".join(f"{key}: {_text(value)}" for key, value in readable.items())
        about, lines = described, flowing(text, columns())
        if out is not None:
            _draw(out, source, options)
    click.echo(json.dumps(about, indent=2) if as_json else "\n".join(lines))


def _refuse_alone(names: Iterable[str]) -> None:
    """Raises PthetaError for an option about SOURCE if no SOURCE is given."""
    odd = next((name for name in names if given(name)), None)
    if odd is not None:
        raise PthetaError(f"--{odd.replace('_', '-')} needs a SOURCE: give the data as well")


def _draw(out: Path, source: str, options: dict[str, Parsed]) -> None:
    """Writes the first images. Raises PthetaError if the data are not images."""
    drawn = ptheta.open_images(source, **options).preview().encoded(out.suffix.lower(), WIDE)
    write_atomic(out, lambda place: place.write_bytes(drawn))


def _text(value: object) -> str:
    """Formats a value of `describe`."""
    if isinstance(value, dict) and any(isinstance(v, str) for v in value.values()):
        return "".join(f"\n  {k}: {v}" for k, v in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "\n  ".join(["", *map(str, value)]) if value else "none"
    return str(value)
