"""What the help of a command looks like: verbs in sections, options in sections, two examples.

The layout is that of rich-click. A verb names its section (`@cli.command(panel=USE)`), and its
examples stand at the end of its docstring, below "Examples:", a command in each line.
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
MEASURE, LIST = "Measure", "List"
SECTIONS = (TRAIN, USE, LOOK, MEASURE, LIST)
OFTEN = "Options of many commands"  # the section of what is the same everywhere
EXAMPLES = "\n\nExamples:\n"
WIDEST = 100  # columns, in a wider terminal
NARROWEST = 60  # columns: in a narrower terminal lines wrap, and no word is lost
USUAL = 80  # columns of a terminal that does not tell
LAYOUT = RichHelpConfiguration(theme="default-slim", text_markup=None, max_width=WIDEST)
CONTEXT: dict[str, object] = {
    "help_option_names": ["-h", "--help"],
    "rich_help_config": LAYOUT,
}


class Context(RichContext):
    """A command at work, whose help is never so narrow that words are lost."""

    def make_formatter(self, error_mode: bool = False) -> RichHelpFormatter:
        made = super().make_formatter(error_mode)
        made.width = max(NARROWEST, made.width or USUAL)
        return made


class Verb(RichCommand):
    """A command whose docstring ends with examples."""

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
    """A group that names the nearest command for a typo."""

    command_class = Verb
    context_class = Context
    kind = "command"

    def get_help(self, ctx: click.Context) -> str:
        return _trimmed(super().get_help(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if ctx.resilient_parsing:  # a shell asks what completes it, and shows no faults
            return super().resolve_command(ctx, args)
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise unknown(self.kind, name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _trimmed(text: str) -> str:
    """Without the spaces that fill up each line."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


class Often(RichOption):
    """An option that is the same in many commands."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, panel=OFTEN, **kwargs)  # type: ignore[arg-type]


def sections() -> list[RichCommandPanel]:
    """Those of the verbs, in their order."""
    return [RichCommandPanel(name) for name in SECTIONS]


def lines(formatter: click.HelpFormatter, title: str, texts: Iterable[str]) -> None:
    """A section of plain lines, which are not broken: a command is copied whole."""
    from rich.text import Text  # here and below: only the help needs it

    assert isinstance(formatter, RichHelpFormatter)
    shown = [Text(f"  {text}", no_wrap=True, overflow="ignore") for text in texts]
    if shown:
        formatter.write(Text(f"{title}:"), *shown, Text(""), sep="\n", crop=False)


def rows(formatter: click.HelpFormatter, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """A section of names, and what each is."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    assert isinstance(formatter, RichHelpFormatter)
    table = Table.grid(padding=(0, 2))
    for name, text in pairs:
        table.add_row(Text(name, no_wrap=True, style="bold"), Text(text))
    if table.row_count:
        formatter.write(Text(f"{title}:"), Padding(table, (0, 0, 1, 2)))
