"""The `learn` command: pages of the theory lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import FORCE, JSON, SEED, THREADS, cli
from ptheta.cli.help import LEARN
from ptheta.cli.tables import print_flowing, print_wrapped
from ptheta.errors import PthetaError
from ptheta.lab.table import PAGES
from ptheta.terminal.progress import shown

if TYPE_CHECKING:
    from ptheta.lab.make import Learned


@cli.command(panel=LEARN)
@click.argument(
    "name",
    required=False,
    shell_complete=lambda ctx, param, typed: types.one_of(PAGES)(ctx, param, typed),
)
@click.option("--out", type=types.File(".html"), help="Page to write: one file, no network needed.")
@click.option(
    "--runs",
    multiple=True,
    type=types.SOURCE,
    help="Trained run to show, where the page would otherwise train models itself. May be "
    "repeated.",
)
@FORCE
@JSON
@SEED
@THREADS
def learn(
    name: str | None,
    out: Path | None,
    runs: tuple[str, ...],
    force: bool,
    as_json: bool,
    seed: int,
) -> None:
    """List the pages of the theory lab, or compute one of them.

    A page states what theory says, computes the same numbers now and compares them, with figures
    and sliders. Another seed sets other problems.

    Examples:
      ptheta learn
      ptheta learn dynamics --out dynamics.html
    """
    if name is None:
        if out is not None or runs:
            raise PthetaError("--out and --runs need a page: give its NAME (`ptheta learn`)")
        _list(as_json)
        return
    with shown(f"page {name}"):
        found = ptheta.learn(name, out, seed=seed, runs=runs, force=force)
    if as_json:
        rows = [
            {
                "name": n.name,
                "computed": n.computed,
                "theory": n.theory,
                "relation": n.relation,
                "tolerance": n.tolerance,
                "holds": n.holds,
            }
            for n in found.page.numbers()
        ]
        click.echo(json.dumps({"page": name, "seed": seed, "numbers": rows}, indent=2))
    else:
        _say(found)
    if out is not None:
        click.echo(f"{out}", err=as_json)


def _list(as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({name: page.about for name, page in PAGES.items()}, indent=2))
        return
    print_wrapped([[name, page.about] for name, page in PAGES.items()])
    print_flowing("ptheta learn NAME --out page.html computes a page")


def _say(found: Learned) -> None:
    """The numbers of a page, one to a line, and how many agree."""
    from ptheta.lab.html import row  # and torch
    from ptheta.lab.text import plain

    lines = [["computed", "theory", "agree", "number"]]
    for number in found.page.numbers():
        shown = row(number)
        agree = "" if shown.holds is None else "yes" if shown.holds else "no"
        lines.append([shown.computed, shown.theory, agree, plain(number.name)])
    print_wrapped(lines)
    if not found.numbers:
        print_flowing("theory gives no value for the numbers of these runs")
        return
    print_flowing(
        f"{len(found.numbers) - len(found.disagree)} of {len(found.numbers)} numbers agree with "
        "theory"
    )
