"""What there is: models and data."""

from __future__ import annotations

import json
from typing import Any

import click

from ptheta.cli import types
from ptheta.cli.common import IMAGE_COLUMN, JSON, cli, print_table
from ptheta.cli.tables import print_wrapped
from ptheta.models import registry


@cli.command()
@JSON
def models(as_json: bool) -> None:
    """List the models and what each can do."""
    from ptheta.capabilities import CAPABILITIES, capabilities

    table: dict[str, Any] = {}
    for name, entry in registry.MODELS.items():
        can = capabilities(entry.load_model())
        table[name] = {
            "family": entry.family,
            "paper": entry.paper,
            "capabilities": {capability: capability in can for capability in CAPABILITIES},
            "recipes": {k: recipe["about"] for k, recipe in entry.recipes().items()},
        }
    if as_json:
        click.echo(json.dumps(table, indent=2))
        return
    for family in dict.fromkeys(row["family"] for row in table.values()):
        rows = [
            [
                f"  {name}",
                row["paper"],
                ", ".join(k for k, can in row["capabilities"].items() if can),
            ]
            for name, row in table.items()
            if row["family"] == family
        ]
        click.echo(family)
        print_wrapped(rows)


@cli.command()
@click.argument("source", required=False, type=types.SOURCE)
@click.option(
    "--size", type=types.SIDE, help="Side in pixels that pictures are brought to, as in train."
)
@click.option("--channels", type=types.COUNT, help="1 (grey) or 3 (colour), as in train.")
@click.option("--white", type=types.POSITIVE, help="The value that is white, as in train.")
@IMAGE_COLUMN
@click.option("--label-column", metavar="NAME", help="Column of the labels.")
@click.option("--caption-column", metavar="NAME", help="Column of the captions.")
@JSON
def data(
    source: str | None,
    size: int | None,
    channels: int | None,
    white: float | None,
    as_json: bool,
    **named: str | None,
) -> None:
    """List the embedded data sets, or look into SOURCE (a name or a path)."""
    from ptheta.data import EMBEDDED, describe

    if source is None:
        if as_json:
            click.echo(json.dumps(EMBEDDED, indent=2))
        else:
            print_table([[name, about] for name, about in EMBEDDED.items()])
        return
    about = describe(source, size=size, channels=channels, white=white, **named)
    if as_json:
        click.echo(json.dumps(about, indent=2))
        return
    for key, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = "\n  ".join(["", *map(str, value)]) if value else "none"
        click.echo(f"{key}: {value}")
