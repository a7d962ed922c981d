"""What there is: models and data."""

from __future__ import annotations

import json
from typing import Any

import click

from ptheta import registry
from ptheta.cli.common import cli, print_table


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    used = [c for c in CAPABILITIES if any(row["capabilities"][c] for row in table.values())]
    rows = [["model", "family", *used, "paper"]]
    for name, row in table.items():
        marks = ["yes" if row["capabilities"][c] else "-" for c in used]
        rows.append([name, row["family"], *marks, row["paper"]])
    print_table(rows)


@cli.command()
@click.argument("source", required=False)
@click.option("--size", type=int, help="Side in pixels that pictures are brought to, as in train.")
@click.option("--channels", type=int, help="1 (grey) or 3 (colour), as in train.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data(source: str | None, size: int | None, channels: int | None, as_json: bool) -> None:
    """List the embedded data sets, or look into SOURCE (a name or a path)."""
    from ptheta.data import EMBEDDED, describe

    if source is None:
        if as_json:
            click.echo(json.dumps(EMBEDDED, indent=2))
        else:
            print_table([[name, about] for name, about in EMBEDDED.items()])
        return
    about = describe(source, size=size, channels=channels)
    if as_json:
        click.echo(json.dumps(about, indent=2))
        return
    for key, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = "\n  ".join(["", *map(str, value)]) if value else "none"
        click.echo(f"{key}: {value}")
