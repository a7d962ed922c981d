"""The `train` and `sweep` commands; their options are generated from the model's configs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from rich_click import RichOption

import ptheta
from ptheta import config
from ptheta.cli import help, types
from ptheta.cli.common import Parsed, cli, refuse
from ptheta.cli.following import after_sweep, after_training
from ptheta.cli.help import TRAIN, Commands, Verb
from ptheta.cli.tables import print_flowing
from ptheta.errors import PthetaError, unknown
from ptheta.files.paths import expand
from ptheta.models import registry
from ptheta.models.entries import Listed

if TYPE_CHECKING:
    from rich_click import RichContext, RichHelpFormatter

PLACES = (
    "data",
    "out",
    "recipe",
)  # further options, not in the configs, that a config file may give
WIDEST_VALUE = 26  # maximum width of the metavar column
RESUMED = " Optional with --resume: where the data of the run are now."
LABELS = {"model": "Model options", "data": "Data options", "train": "Training options"}


class ModelCommands(Commands):
    """The commands `ptheta train MODEL`; the options of MODEL are generated from its configs."""

    kind = "model"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.models())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        make = MAKERS[self.name or ""]
        return make(name) if registry.known(name) else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes model names without importing them."""
        found = [
            CompletionItem(name, help=entry.about or entry.paper)
            for name, entry in registry.models().items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        entries = registry.models()
        for family in dict.fromkeys(entry.family for entry in entries.values()):
            found = [(n, e.about or e.paper) for n, e in entries.items() if e.family == family]
            help.rows(formatter, family.capitalize(), found)
        path = ctx.command_path
        help.lines(
            formatter,
            "Help of one model",
            [f"{path} vae --help", f"{path} vae --help-all", "ptheta models vae"],
        )


def _about(entry: Listed) -> str:
    """Description of a model, if it has one, with its family and paper."""
    known = ", ".join(filter(None, (entry.family, entry.paper)))
    return f"{entry.about} ({known})" if entry.about else known


class Setting(RichOption):
    """A config field as an option. rare: shown only by --help-all."""

    def __init__(
        self,
        names: list[str],
        panel: str,
        metavar: str | None,
        text: str,
        rare: bool,
        choices: Sequence[str] = (),
    ) -> None:
        super().__init__(
            names,
            default=None,
            metavar=metavar,
            help=text,
            panel=panel,
            hidden=rare,
            shell_complete=types.one_of(choices),
        )


class OfModel(Verb):
    """The command of one model; its help lists the recipes."""

    recipes: Mapping[str, str] = {}  # name -> description

    def format_epilog(self, ctx: RichContext, formatter: RichHelpFormatter) -> None:  # type: ignore[override]
        help.rows(formatter, "Recipes", self.recipes.items())
        rare = sum(isinstance(p, Setting) and p.hidden for p in self.params)
        if rare:
            help.lines(formatter, f"{rare} more options", [f"{ctx.command_path} --help-all"])
        super().format_epilog(ctx, formatter)


def _help_all(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    """Prints the help with all options that apply to the model."""
    if not asked or ctx.resilient_parsing:
        return
    from ptheta.runs.offered import needless  # and torch

    unused = needless(ctx.info_name or "")
    ctx.command.params = [option for option in ctx.command.params if option.name not in unused]
    for option in ctx.command.params:
        if isinstance(option, Setting):
            option.hidden = False
    click.echo(ctx.get_help())
    ctx.exit()


@cli.group(cls=ModelCommands, panel=TRAIN)
def train() -> None:
    """Train MODEL on data and write a run folder."""


@cli.group(cls=ModelCommands, panel=TRAIN)
def sweep() -> None:
    """Train MODEL with a grid of settings and several seeds.

    Running the same command again resumes.
    """


def _model_options(name: str, resumes: bool) -> list[click.Parameter]:
    """Options for the fields of a model's configs, and those common to all training.

    resumes: whether the command continues a run, whose data are known
    """
    from ptheta.runs import plan

    recipes = registry.entry(name).recipes()
    usual = _values(recipes["default"])
    params: list[click.Parameter] = [
        click.Option(
            ["--data"],
            type=types.SOURCE,
            required=not resumes,
            help=f"Name of a data set, or a path.{RESUMED * resumes}",
        ),
        click.Option(
            ["--recipe"],
            default="default",
            show_default=True,
            help=f"Settings to start from: {', '.join(recipes)}.",
            shell_complete=types.one_of(recipes),
        ),
        click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_help_all,
            help="Show every option and exit.",
        ),
        click.Option(
            ["--config"],
            type=types.SOURCE,
            is_eager=True,  # it may supply required options
            callback=_read_config,
            help="TOML or JSON file of options, in UTF-8; it may also give data, out and recipe. "
            "Command-line options override it.",
        ),
    ]
    for part, cls in plan.sections(name).items():
        params += [
            _setting(opt, LABELS[part], usual.get(opt.name, opt.default))
            for opt in config.options(cls).values()
        ]
    return params


def options_given(options: dict[str, Parsed]) -> dict[str, Parsed]:
    """Options set by the user, on the command line or in the --config file."""
    table: dict[str, Parsed] = options.pop("config") or {}
    return table | {k: v for k, v in options.items() if v is not None}


def _read_config(
    ctx: click.Context, param: click.Parameter, file: str | None
) -> dict[str, object] | None:
    """Reads the options of the --config file; those in `PLACES` become defaults of the flags.

    Raises PthetaError for a name that is not an option of the model.
    """
    if file is None:
        return None
    table = _flat(config.read_file(expand(file)), file)
    places = {name: table.pop(name) for name in PLACES if name in table}
    for name, value in places.items():
        if not isinstance(value, str):
            raise PthetaError(f"config file {file}: {name} = {config.brief(value)}: want a string")
    ctx.default_map = places
    known = [p.name for p in ctx.command.params if isinstance(p, Setting) and p.name is not None]
    for name in table:
        if name not in known:
            raise unknown(f"option of {ctx.command.name} in {file}", name, known)
    return table


def _train_options() -> list[click.Parameter]:
    """The options of `ptheta train` besides those of the model's configs."""
    return [
        _NewRun(
            ["--out"],
            required=True,
            shell_complete=types.files,
            help="Run folder to write; not needed with --dry-run.",
        ),
        click.Option(["--resume"], is_flag=True, help="Continue the run in --out."),
        click.Option(
            ["--more-data"],
            is_flag=True,
            help="With --resume: also train on images added to the data since.",
        ),
        click.Option(
            ["--dry-run"],
            is_flag=True,
            help="Print what would be trained and the estimated time, from a few steps; write "
            "nothing.",
        ),
    ]


class _NewRun(click.Option):
    """The folder of a new run, which a dry run does not write."""

    def process_value(self, ctx: click.Context, value: Parsed) -> Parsed:
        if ctx.params.get("dry_run") and self.value_is_missing(value):  # given options come first
            return None
        return super().process_value(ctx, value)


def _train_command(name: str) -> click.Command:
    """`ptheta train` of one model."""

    def run(
        data: str | None,
        out: str | None,
        resume: bool,
        more_data: bool,
        dry_run: bool,
        recipe: str,
        **options: Parsed,
    ) -> None:
        if dry_run:
            refuse(
                ("resume", "more_data"), "applies to an existing run, and --dry-run to a new one"
            )
            if data is None:
                from ptheta.api.training import no_data  # and torch

                raise no_data()
            print_flowing(
                str(ptheta.dry_run(name, data, recipe=recipe, out=out, **options_given(options)))
            )
            return
        assert out is not None  # required
        done = ptheta.train(
            *(name, data, out),
            recipe=recipe,
            resume=resume,
            more_data=more_data,
            **options_given(options),
        )
        from ptheta.training.launchers import speaks

        if not speaks(os.environ):
            return
        after = after_training(name, done.path, done.spec, done.condition)
        click.echo(f"{done.path}: trained; next: {after}")

    return _of_model(name, _train_options(), run, resumes=True)


def _sweep_options() -> list[click.Parameter]:
    """The options of `ptheta sweep` besides those of the model's configs."""
    return [
        click.Option(
            ["--out"],
            required=True,
            shell_complete=types.files,
            help="Folder to write the runs into.",
        ),
        click.Option(
            ["--vary"],
            multiple=True,
            metavar="NAME=A,B",
            help="Option to vary, with its values; + joins the parts of a tuple value. May be "
            "repeated.",
        ),
        click.Option(
            ["--seeds"],
            type=types.LAYERED,
            default=3,
            show_default=True,
            help="Number of runs of each setting, with seeds 0, 1, ...",
        ),
        click.Option(
            ["--jobs"],
            type=types.Whole(1, types.MOST_JOBS),
            default=1,
            show_default=True,
            help="Number of runs trained at the same time, each a process with its share of the "
            "cores or a GPU of its own; output in OUT/logs.",
        ),
        click.Option(
            ["--cluster"],
            metavar="NAME",
            help="Submit each run as a job through submitit: slurm, or local to try it here.",
        ),
        click.Option(
            ["--cluster-option", "cluster_options"],
            multiple=True,
            metavar="NAME=VALUE",
            help="Parameter of submitit, such as timeout_min=60 or slurm_partition=gpu. May be "
            "repeated.",
        ),
    ]


def _sweep_command(name: str) -> click.Command:
    """`ptheta sweep` of one model."""

    def run(
        data: str,
        out: str,
        vary: tuple[str, ...],
        cluster_options: tuple[str, ...],
        seeds: int,
        jobs: int,
        cluster: str | None,
        recipe: str,
        **options: Parsed,
    ) -> None:
        settings = _settings_of(name, vary)
        where = _pairs(cluster_options)
        given = options_given(options)
        if not vary:
            click.echo(
                "no --vary: the runs differ only in their seed; --vary NAME=A,B adds settings",
                err=True,
            )
        done = ptheta.sweep(
            *(name, data, out, settings),
            seeds=seeds,
            recipe=recipe,
            jobs=jobs,
            cluster=cluster,
            cluster_options=where,
            **given,
        )
        counts = f"{done.path}: {done.counts()}"
        again = " (run the same command to retry these)" if done.failed else ""
        if not done.runs:
            click.echo(f"{counts}{again}")
            raise click.exceptions.Exit(1)
        click.echo(f"{counts}{again}; next: {after_sweep(done.path)}")

    return _of_model(name, _sweep_options(), run, leave=("seed",))


def _pairs(texts: tuple[str, ...]) -> dict[str, int | str]:
    """NAME=VALUE each; a value of digits is a number. Raises PthetaError for other texts."""
    found: dict[str, int | str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise PthetaError(
                f"--cluster-option {text}: want NAME=VALUE such as slurm_partition=gpu"
            )
        found[name] = int(value) if value.isdecimal() else value
    return found


def _settings_of(name: str, vary: tuple[str, ...]) -> list[dict[str, object]]:
    from ptheta.runs import sweeps  # and torch

    return sweeps.grid(sweeps.vary(name, vary))


def _of_model(
    name: str,
    params: list[click.Parameter],
    run: Callable[..., None],
    leave: tuple[str, ...] = (),
    resumes: bool = False,
) -> click.Command:
    """Builds the command of a model: `params`, then the options of its configs."""
    entry = registry.entry(name)
    data, *others = (p for p in _model_options(name, resumes) if p.name not in leave)
    params = [data, *params, *others]
    made = OfModel(name, params=params, callback=run, help=f"{name}: {_about(entry)}.")
    made.recipes = {recipe: _settings(table) for recipe, table in entry.recipes().items()}
    return made


def _settings(recipe: Mapping[str, Parsed]) -> str:
    """Description of a recipe, and the options it sets."""
    flags = [
        f"--{'' if value is not False else 'no-'}{name.replace('_', '-')}"
        + ("" if isinstance(value, bool) else f" {_value(value)}")
        for name, value in _values(recipe).items()
    ]
    return f"{recipe['about']}{': ' if flags else ''}{' '.join(flags)}"


def _values(recipe: Mapping[str, Parsed]) -> dict[str, Parsed]:
    """The options that a recipe sets."""
    tables = [table for table in recipe.values() if isinstance(table, Mapping)]
    return {name: value for table in tables for name, value in table.items()}


def _value(setting: Parsed) -> str:
    """The value as written on the command line."""
    plain = config.plain(setting)
    return ",".join(map(str, plain)) if isinstance(plain, list) else str(plain)


MAKERS = {"train": _train_command, "sweep": _sweep_command}


def _flat(table: dict[str, object], file: str) -> dict[str, object]:
    """Flattens the options of a config file; tables such as [model] and [train] only group them.

    Raises PthetaError if an option is given twice, or a section is not a table.
    """
    flat: dict[str, object] = {}
    for key, value in table.items():
        part = value if isinstance(value, dict) and key in LABELS else {key: value}
        if key in LABELS and not isinstance(value, dict) and key not in PLACES:
            raise PthetaError(
                f"config file {file}: {key} = {config.brief(value)}: want a table of options; "
                "the model is given on the command line"
            )
        for name, setting in part.items():
            if name in flat:
                raise PthetaError(f"config file {file}: {name} is given twice: give it once")
            flat[name] = setting
    return flat


def _setting(opt: config.Option, section: str, usual: object) -> Setting:
    """A config field as a command-line option; its value is checked by the config, not by click.

    usual: its value in the default recipe
    """
    flag = opt.name.replace("_", "-")
    shown = "none" if usual is None else config.plain(usual)
    if isinstance(shown, list):
        shown = ",".join(map(str, shown))
    names = [f"--{flag}/--no-{flag}" if opt.is_flag else f"--{flag}", opt.name]
    text, metavar = opt.help, None if opt.is_flag else "VALUE"
    if opt.choices:
        words = "|".join(opt.choices) + (",..." if opt.is_tuple else "")
        metavar = words if len(words) <= WIDEST_VALUE else "NAME"
        if metavar != words:
            text = f"{text}. One of {', '.join(opt.choices)}"
    text = f"{text} [{str(shown).lower()}]"
    return Setting(names, section, metavar, text, not opt.basic, opt.choices)
