"""Layout of the help: commands in sections, options in sections, two examples each.

rich-click does the layout. A command names its section (`@cli.command(panel=USE)`); its examples
come at the end of its docstring, below "Examples:", one command per line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import click
from rich_click import (
    RichCommand,
    RichCommandPanel,
    RichContext,
    RichGroup,
    RichHelpConfiguration,
    RichHelpFormatter,
    RichOption,
    RichOptionPanel,
)

from ptheta.errors import unknown

TRAIN, USE, LOOK = "Train", "Use", "Look inside"
MEASURE, LEARN, LIST = "Measure", "Learn", "List"
SECTIONS = (TRAIN, USE, LOOK, MEASURE, LEARN, LIST)
OFTEN = "Options of many commands"  # section of options shared by many commands
EXAMPLES = "\n\nExamples:\n"
WIDEST = 100  # columns, in a wider terminal
NARROWEST = 60  # columns: a narrower terminal wraps lines instead of truncating words
USUAL = 80  # columns if the terminal does not report its width
LAYOUT = RichHelpConfiguration(theme="default-slim", text_markup=None, max_width=WIDEST)
CONTEXT: dict[str, object] = {
    "help_option_names": ["-h", "--help"],
    "rich_help_config": LAYOUT,
}


class Context(RichContext):
    """click context that keeps the help wide enough not to truncate words."""

    def make_formatter(self, error_mode: bool = False) -> RichHelpFormatter:
        made = super().make_formatter(error_mode)
        made.width = max(NARROWEST, made.width or USUAL)
        return made


class Verb(RichCommand):
    """A command; the examples at the end of its docstring are shown in the help's epilog."""

    context_class = Context
    examples: tuple[str, ...] = ()

    def __init__(
        self,
        name: str | None,
        *,
        params: list[click.Parameter] | None = None,
        callback: Callable[..., object] | None = None,
        help: str | None = None,
        panel: str | None = None,
    ) -> None:
        text, _, examples = inspect.cleandoc(help or "").partition(EXAMPLES)
        super().__init__(
            name=name,
            params=params,
            callback=callback,
            help=text,
            panel=panel,
            panels=[RichOptionPanel("Options"), RichOptionPanel(OFTEN)],
        )
        self.examples = tuple(line.strip() for line in examples.splitlines() if line.strip())

    def format_epilog(self, ctx: RichContext, formatter: RichHelpFormatter) -> None:  # type: ignore[override]
        lines(formatter, "Examples", self.examples)

    def get_help(self, ctx: click.Context) -> str:
        return _trimmed(super().get_help(ctx))


class Commands(RichGroup):
    """A group that names the nearest command for a typo. A command may have a name of two words,
    such as "data pack" next to "data"."""

    command_class = Verb
    context_class = Context
    kind = "command"

    def get_help(self, ctx: click.Context) -> str:
        return _trimmed(super().get_help(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if len(args) > 1 and f"{args[0]} {args[1]}" in self.commands:
            args = [f"{args[0]} {args[1]}", *args[2:]]
        name = args[0]
        if ctx.resilient_parsing:  # shell completion: errors are not shown
            return super().resolve_command(ctx, args)
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise unknown(self.kind, name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _trimmed(text: str) -> str:
    """Strips trailing spaces from each line."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


class Often(RichOption):
    """An option shared by many commands."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, panel=OFTEN, **kwargs)  # type: ignore[arg-type]


def sections() -> list[RichCommandPanel]:
    """Sections of the command list, in order."""
    return [RichCommandPanel(name) for name in SECTIONS]


def lines(formatter: click.HelpFormatter, title: str, texts: Iterable[str]) -> None:
    """Writes a section of lines without wrapping, so that commands can be copied whole."""
    from rich.text import Text  # here and below: only the help needs it

    assert isinstance(formatter, RichHelpFormatter)
    shown = [Text(f"  {text}") for text in texts]
    if shown:
        # print joins the texts, and would lose a no_wrap of their own
        plain = {"no_wrap": True, "overflow": "ignore", "crop": False}
        formatter.write(Text(f"{title}:"), *shown, Text(""), sep="\n", **plain)


def rows(formatter: click.HelpFormatter, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Writes a section of names with their descriptions."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    assert isinstance(formatter, RichHelpFormatter)
    table = Table.grid(padding=(0, 2))
    for name, text in pairs:
        table.add_row(Text(name, no_wrap=True, style="bold"), Text(text))
    if table.row_count:
        formatter.write(Text(f"{title}:"), Padding(table, (0, 0, 1, 2)))
