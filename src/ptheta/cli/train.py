"""Training: `train` and `sweep`, whose options are read off the configs of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

import ptheta
from ptheta import config
from ptheta.cli import types
from ptheta.cli.common import Commands, Parsed, cli
from ptheta.cli.following import after_sweep, after_training
from ptheta.errors import PthetaError, unknown
from ptheta.files.paths import expand
from ptheta.models import registry
from ptheta.models.entries import Listed

PLACES = ("data", "out", "recipe")  # options beside those of the configs that a file may give
LABELS = {"model": "Model options", "data": "Data options", "train": "Training options"}


class ModelCommands(Commands):
    """`ptheta train MODEL` and its like: the options of MODEL are read off its configs."""

    kind = "model"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.models())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        make = MAKERS[self.name or ""]
        return make(name) if registry.known(name) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"Models (their options: ptheta {self.name} MODEL --help)"):
            formatter.write_dl([(n, _about(entry)) for n, entry in registry.models().items()])


def _about(entry: Listed) -> str:
    """What a model is, where that is said, its family and its paper."""
    known = ", ".join(filter(None, (entry.family, entry.paper)))
    return f"{entry.about} ({known})" if entry.about else known


class Setting(click.Option):
    """A field of a config as an option. section: the heading of the help that it stands below"""

    def __init__(self, names: list[str], section: str, metavar: str | None, text: str) -> None:
        super().__init__(names, default=None, metavar=metavar, help=text)
        self.section = section


class Sectioned(click.Command):
    """A command whose help lists the options of each config in a section of its own, and what the
    recipes are."""

    recipes: Mapping[str, str] = {}  # name -> what it is

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Recipes"):
            formatter.write_dl(list(self.recipes.items()))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                title = param.section if isinstance(param, Setting) else "Options"
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


@cli.group(cls=ModelCommands)
def train() -> None:
    """Train MODEL on data and write a run folder."""


@cli.group(cls=ModelCommands)
def sweep() -> None:
    """Train MODEL with a grid of settings and several seeds. The same command continues."""


def _model_options(name: str) -> list[click.Parameter]:
    """An option for each field of a model's configs, and what every training takes."""
    from ptheta.runs import plan

    params: list[click.Parameter] = [
        click.Option(
            ["--data"],
            type=types.SOURCE,
            required=True,
            help="Name of a data set, or a path. To continue a run: where its data lies now.",
        ),
        click.Option(
            ["--recipe"],
            default="default",
            show_default=True,
            help=f"Settings to start from: {', '.join(registry.entry(name).recipes())}.",
        ),
        click.Option(
            ["--config"],
            type=types.SOURCE,
            is_eager=True,  # what it gives stands in for flags that are required
            callback=_read_config,
            help="TOML or JSON file of options, in UTF-8. Flags override it. It may give data, out "
            "and recipe as well.",
        ),
    ]
    for part, cls in plan.sections(name).items():
        params += [_setting(opt, LABELS[part]) for opt in config.options(cls).values()]
    return params


def _given(options: dict[str, Parsed]) -> dict[str, Parsed]:
    """The options that the user set, by flag or in the file of --config."""
    table: dict[str, Parsed] = options.pop("config") or {}
    return table | {k: v for k, v in options.items() if v is not None}


def _read_config(
    ctx: click.Context, param: click.Parameter, file: str | None
) -> dict[str, object] | None:
    """The options in the file of --config; those of `PLACES` become defaults of the flags.

    Raises PthetaError for a name that is no option of the command's model.
    """
    if file is None:
        return None
    table = _flat(config.read_file(expand(file)), file)
    places = {name: table.pop(name) for name in PLACES if name in table}
    for name, value in places.items():
        if not isinstance(value, str):
            raise PthetaError(f"config file {file}: {name} = {config.brief(value)}: want a text")
    ctx.default_map = places
    known = [p.name for p in ctx.command.params if isinstance(p, Setting) and p.name is not None]
    for name in table:
        if name not in known:
            raise unknown(f"option of {ctx.command.name} in {file}", name, known)
    return table


def _train_command(name: str) -> click.Command:
    """`ptheta train` of one model."""
    params: list[click.Parameter] = [
        click.Option(["--out"], required=True, help="Run folder to write."),
        click.Option(["--resume"], is_flag=True, help="Continue the run in --out."),
        click.Option(
            ["--more-data"],
            is_flag=True,
            help="With --resume: also train on images that were added to the data since.",
        ),
    ]

    def run(
        data: str, out: str, resume: bool, more_data: bool, recipe: str, **options: Parsed
    ) -> None:
        done = ptheta.train(
            *(name, data, out),
            recipe=recipe,
            resume=resume,
            more_data=more_data,
            **_given(options),
        )
        after = after_training(name, done.path, done.spec, done.condition)
        click.echo(f"{done.path}: trained; next: {after}")

    return _sectioned(name, params, run)


def _sweep_command(name: str) -> click.Command:
    """`ptheta sweep` of one model."""
    params: list[click.Parameter] = [
        click.Option(["--out"], required=True, help="Folder to write the runs into."),
        click.Option(
            ["--vary"],
            multiple=True,
            metavar="NAME=A,B",
            help="Option to vary, and its values; + joins the parts of one value. May be repeated.",
        ),
        click.Option(
            ["--seeds"],
            type=types.LAYERED,
            default=3,
            show_default=True,
            help="Number of runs of each setting, with seeds 0, 1, ...",
        ),
    ]

    def run(
        data: str, out: str, vary: tuple[str, ...], seeds: int, recipe: str, **options: Parsed
    ) -> None:
        settings = _settings_of(name, vary)
        given = _given(options)
        if not vary:
            click.echo(
                "no --vary: the runs differ in their seed alone; --vary NAME=A,B adds settings",
                err=True,
            )
        done = ptheta.sweep(name, data, out, settings, seeds=seeds, recipe=recipe, **given)
        told = f"{done.path}: {len(done.runs)} runs trained, {len(done.failed)} failed"
        again = " (the same command tries these again)" if done.failed else ""
        if not done.runs:
            click.echo(f"{told}{again}")
            raise click.exceptions.Exit(1)
        click.echo(f"{told}{again}; next: {after_sweep(done.path)}")

    return _sectioned(name, params, run, leave=("seed",))


def _settings_of(name: str, vary: tuple[str, ...]) -> list[dict[str, object]]:
    from ptheta.runs import sweeps  # and torch

    return sweeps.grid(sweeps.vary(name, vary))


def _sectioned(
    name: str, params: list[click.Parameter], run: Callable[..., None], leave: tuple[str, ...] = ()
) -> click.Command:
    """The command of a model: its own parameters, then those of its configs."""
    entry = registry.entry(name)
    params += [p for p in _model_options(name) if p.name not in leave]
    made = Sectioned(name, params=params, callback=run, help=f"{name}: {_about(entry)}.")
    made.recipes = {recipe: _settings(table) for recipe, table in entry.recipes().items()}
    return made


def _settings(recipe: Mapping[str, Parsed]) -> str:
    """What a recipe is, and the options that it sets."""
    tables = [table for table in recipe.values() if isinstance(table, Mapping)]
    flags = [
        f"--{'' if value is not False else 'no-'}{name.replace('_', '-')}"
        + ("" if isinstance(value, bool) else f" {_value(value)}")
        for table in tables
        for name, value in table.items()
    ]
    return f"{recipe['about']}{': ' if flags else ''}{' '.join(flags)}"


def _value(setting: Parsed) -> str:
    """As it is given to a flag."""
    plain = config.plain(setting)
    return ",".join(map(str, plain)) if isinstance(plain, list) else str(plain)


MAKERS = {"train": _train_command, "sweep": _sweep_command}


def _flat(table: dict[str, object], file: str) -> dict[str, object]:
    """Options of a config file; tables such as [model] and [train] only order them.

    Raises PthetaError for an option that is given twice, and for a table that is none.
    """
    flat: dict[str, object] = {}
    for key, value in table.items():
        part = value if isinstance(value, dict) and key in LABELS else {key: value}
        if key in LABELS and not isinstance(value, dict) and key not in PLACES:
            raise PthetaError(
                f"config file {file}: {key} = {config.brief(value)}: want a table of options; "
                "the model is named on the command line"
            )
        for name, setting in part.items():
            if name in flat:
                raise PthetaError(f"config file {file}: {name} is given twice: give it once")
            flat[name] = setting
    return flat


def _setting(opt: config.Option, section: str) -> Setting:
    """A config field as a command-line option; its value is checked by the config, not by click."""
    flag = opt.name.replace("_", "-")
    shown = "none" if opt.default is None else config.plain(opt.default)
    if isinstance(shown, list):
        shown = ",".join(map(str, shown))
    names = [f"--{flag}/--no-{flag}" if opt.is_flag else f"--{flag}", opt.name]
    several = ",..." if opt.choices and opt.is_tuple else ""
    metavar = None if opt.is_flag else ("|".join(opt.choices) or "VALUE") + several
    text = f"{opt.help}  [{str(shown).lower()}]"
    return Setting(names, section, metavar, text)
