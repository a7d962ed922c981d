"""Training: `train` and `sweep`, whose options are read off the configs of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ptheta import config, registry
from ptheta.cli.common import Commands, cli

LABELS = {"model": "Model options", "data": "Data options", "train": "Training options"}


class ModelCommands(Commands):
    """`ptheta train MODEL` and its like: the options of MODEL are read off its configs."""

    kind = "model"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.MODELS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        make = MAKERS[self.name or ""]
        return make(name) if name in registry.MODELS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"Models (their options: ptheta {self.name} MODEL --help)"):
            formatter.write_dl([(n, f"{e.family}, {e.paper}") for n, e in registry.MODELS.items()])


class Sectioned(click.Command):
    """A command whose help lists the options of each config in a section of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


@cli.group(cls=ModelCommands)
def train() -> None:
    """Train MODEL on data and write a run folder."""


@cli.group(cls=ModelCommands)
def sweep() -> None:
    """Train MODEL with a grid of settings and several seeds; call again to go on."""


def _model_options(name: str) -> list[click.Parameter]:
    """An option for each field of a model's configs, and what every training takes."""
    from ptheta import plan

    params: list[click.Parameter] = [
        click.Option(
            ["--data"],
            required=True,
            help="Name of a data set, or a path; of a run that goes on, where it lies now.",
        ),
        click.Option(
            ["--recipe"],
            default="default",
            show_default=True,
            help=f"Settings to start from: {', '.join(registry.entry(name).recipes())}.",
        ),
        click.Option(["--config"], help="TOML or JSON file of options; flags win over it."),
    ]
    for part, cls in plan.sections(name).items():
        for opt in config.options(cls).values():
            option = _click_option(opt)
            option.section = LABELS[part]  # type: ignore[attr-defined]
            params.append(option)
    return params


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user set, by flag or in the file of --config."""
    file = options.pop("config")
    given = {k: v for k, v in options.items() if v is not None}
    return given if file is None else _flat(config.read_file(Path(file))) | given


def _train_command(name: str) -> click.Command:
    """`ptheta train` of one model."""
    params: list[click.Parameter] = [
        click.Option(["--out"], required=True, help="Run folder to write."),
        click.Option(["--resume"], is_flag=True, help="Go on with the run in --out."),
        click.Option(
            ["--more-data"],
            is_flag=True,
            help="With --resume: train on the images that came to the data since as well.",
        ),
    ]

    def run(
        data: str, out: str, resume: bool, more_data: bool, recipe: str, **options: Any
    ) -> None:
        from ptheta import api

        how: dict[str, Any] = {"recipe": recipe, "resume": resume, "more_data": more_data}
        done = api.train(name, data, out, **how, **_given(options))
        click.echo(f"{done.path}: trained; next: ptheta sample {done.path} --out grid.png")

    return _sectioned(name, params, run)


def _sweep_command(name: str) -> click.Command:
    """`ptheta sweep` of one model."""
    params: list[click.Parameter] = [
        click.Option(["--out"], required=True, help="Folder of runs to write."),
        click.Option(
            ["--vary"],
            multiple=True,
            metavar="NAME=A,B",
            help="An option and its values, + between the parts of one; may be repeated.",
        ),
        click.Option(
            ["--seeds"], type=int, default=3, show_default=True, help="Runs of each setting."
        ),
    ]

    def run(
        data: str, out: str, vary: tuple[str, ...], seeds: int, recipe: str, **options: Any
    ) -> None:
        from ptheta import sweep as sweeps

        settings = sweeps.grid(sweeps.vary(name, vary))
        given = _given(options)
        done = sweeps.sweep(name, data, out, settings, seeds=seeds, recipe=recipe, **given)
        for run_name, why in done.failed.items():
            click.echo(f"{run_name}: failed: {why}", err=True)
        click.echo(
            f"{done.path}: {len(done.runs)} runs trained, {len(done.failed)} failed; "
            f"next: ptheta compare {done.path} --out {done.path / 'report'}"
        )

    return _sectioned(name, params, run, leave=("seed",))


def _sectioned(
    name: str, params: list[click.Parameter], run: Any, leave: tuple[str, ...] = ()
) -> click.Command:
    """The command of a model: its own parameters, then those of its configs."""
    entry = registry.entry(name)
    params += [p for p in _model_options(name) if p.name not in leave]
    return Sectioned(name, params=params, callback=run, help=f"{entry.family}, {entry.paper}.")


MAKERS = {"train": _train_command, "sweep": _sweep_command}


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """Options of a config file; tables such as [model] and [train] only order them."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= value if isinstance(value, dict) and key in LABELS else {key: value}
    return flat


def _click_option(opt: config.Option) -> click.Option:
    """A config field as a command-line option; its value is checked by the config, not by click."""
    flag = opt.name.replace("_", "-")
    shown = "none" if opt.default is None else config.plain(opt.default)
    if isinstance(shown, list):
        shown = ",".join(map(str, shown))
    names = [f"--{flag}/--no-{flag}" if opt.is_flag else f"--{flag}", opt.name]
    metavar = None if opt.is_flag else "|".join(opt.choices) or "VALUE"
    text = f"{opt.help}  [{str(shown).lower()}]"
    return click.Option(names, default=None, metavar=metavar, help=text)
