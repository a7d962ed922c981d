"""The command line. Nothing here names a model; torch is imported when a command needs it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from ptheta import __version__, config, registry
from ptheta.errors import PthetaError, unknown

LABELS = {"model": "Model options", "data": "Data options", "train": "Training options"}


class Commands(click.Group):
    """A group that names the nearest command for a typo."""

    kind = "command"

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            raise unknown(self.kind, name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class TrainCommands(Commands):
    """`ptheta train MODEL`: the options of MODEL are read off its configs."""

    kind = "model"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(registry.MODELS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return _train_command(name) if name in registry.MODELS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Models (their options: ptheta train MODEL --help)"):
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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ptheta")
def cli() -> None:
    """Deep generative models: learn p_theta(x) from data, then sample, score and compare."""


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
    _print_table(rows)


@cli.command()
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data(source: str | None, as_json: bool) -> None:
    """List the embedded data sets, or look into SOURCE (a name or a path)."""
    from ptheta.data import EMBEDDED, describe

    if source is None:
        if as_json:
            click.echo(json.dumps(EMBEDDED, indent=2))
        else:
            _print_table([[name, about] for name, about in EMBEDDED.items()])
        return
    about = describe(source)
    if as_json:
        click.echo(json.dumps(about, indent=2))
        return
    for key, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = "\n  ".join(["", *map(str, value)]) if value else "none"
        click.echo(f"{key}: {value}")


@cli.group(cls=TrainCommands)
def train() -> None:
    """Train MODEL on data and write a run folder."""


def _train_command(name: str) -> click.Command:
    """The command of one model, with an option for each field of its configs."""
    from ptheta import plan

    params: list[click.Parameter] = [
        click.Option(["--data"], required=True, help="Name of a data set, or a path."),
        click.Option(["--out"], required=True, help="Run folder to write."),
        click.Option(["--resume"], is_flag=True, help="Go on with the run in --out."),
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

    def run(data: str, out: str, resume: bool, recipe: str, **options: Any) -> None:
        from ptheta import api

        file = options.pop("config")
        given = {k: v for k, v in options.items() if v is not None}
        if file is not None:
            given = _flat(config.read_file(Path(file))) | given
        done = api.train(name, data, out, recipe=recipe, resume=resume, **given)
        click.echo(f"{done.path}: trained; next: ptheta sample {done.path} --out grid.png")

    entry = registry.entry(name)
    return Sectioned(name, params=params, callback=run, help=f"{entry.family}, {entry.paper}.")


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


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=64, show_default=True, help="How many images.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same images.")
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
@click.option("--label", "labels", multiple=True, type=int, help="Condition; may be repeated.")
@click.option("--attributes", help="Condition of a model of attributes: 1,0,0.5,...")
@click.option("--weights", default="best", show_default=True, help="best or last.")
def sample(
    run: str,
    number: int,
    seed: int,
    out: str,
    labels: tuple[int, ...],
    attributes: str | None,
    weights: str,
) -> None:
    """Draw images from a trained RUN."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model = _open(run).model(weights)
    vector = None if attributes is None else _numbers(attributes, "--attributes")
    x = tasks.sample(model, number, seed=seed, labels=labels or None, attributes=vector)
    click.echo(f"{write_images(x, out)}: {number} images")


@cli.command()
@click.argument("run")
@click.option(
    "--known",
    default="upper",
    show_default=True,
    help="What is given: upper, lower, left, right, border or centre.",
)
@click.option("-n", "--number", default=8, show_default=True, help="How many test images.")
@click.option("--each", default=7, show_default=True, help="Completions of each image.")
@click.option(
    "--candidates",
    default=1,
    show_default=True,
    help="Completions to choose from, where known pixels follow unknown ones.",
)
@click.option("--data", help="Images of this data instead of the run's own.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same images.")
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
def inpaint(
    run: str,
    known: str,
    number: int,
    each: int,
    candidates: int,
    data: str | None,
    seed: int,
    out: str,
) -> None:
    """Complete test images of which only a part is known: original, part, completions."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    opened = _open(run)
    model, x, labels = _some_images(opened, number, data)
    mask = tasks.region(known, opened.spec)
    rows = [x, x * mask]
    for i in range(each):
        rows.append(
            tasks.inpaint(model, x, mask, seed=seed + i, labels=labels, candidates=candidates)
        )
    images = _side_by_side(rows)
    click.echo(f"{write_images(images, out, len(rows))}: {len(x)} images, {each} completions each")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=8, show_default=True, help="How many test images.")
@click.option("--data", help="Images of this data instead of the run's own.")
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
def surprise(run: str, number: int, data: str | None, out: str) -> None:
    """Map how unexpected each pixel is given the earlier ones: image, map (white: the most)."""
    from ptheta import tasks
    from ptheta.pixels import from_unit
    from ptheta.tasks.export import write_images

    opened = _open(run)
    model, x, labels = _some_images(opened, number, data)
    bits = tasks.surprise(model, x, labels)
    images = _side_by_side([x, from_unit(bits / bits.max())])
    path = write_images(images, out, 2 * max(1, round(len(x) ** 0.5 / 2)))
    click.echo(f"{path}: {bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits")


@cli.command()
@click.argument("run")
@click.option("--data", help="Evaluate on this data instead of the run's own test images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw.")
@click.option("--extractor", help="Features of the distances: digits, fashion or pixels.")
@click.option("--seed", default=0, show_default=True, help="Seed of all noise.")
def evaluate(
    run: str, data: str | None, as_json: bool, number: int, extractor: str | None, seed: int
) -> None:
    """Measure a trained RUN and write its evaluation.json."""
    from ptheta import api

    result = api.evaluate(run, data, n=number, extractor=extractor, seed=seed)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        _print_table([[r.metric, r.text()] for r in result.results])


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", required=True, help="Folder for report.html and report.json.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw of each.")
@click.option("--seed", default=0, show_default=True, help="Seed of all noise.")
def compare(runs: tuple[str, ...], out: str, number: int, seed: int) -> None:
    """Measure several RUNs alike and write one report."""
    from ptheta.report.compare import compare as write_report

    page = write_report([_open(run) for run in runs], Path(out), n=number, seed=seed)
    click.echo(f"{page}: open it in a browser")


@cli.command()
@click.option("--out", default="runs/demo", show_default=True, help="Folder for runs and report.")
@click.option("--data", default="digits", show_default=True, help="What to learn.")
@click.option(
    "--speed", default=1.0, show_default=True, help="Divides the training time of every model."
)
def demo(out: str, data: str, speed: float) -> None:
    """Train one model of each family, compare them, and write report.html."""
    from ptheta.demo import run_demo

    page = run_demo(Path(out), data, speed)
    click.echo(f"{page}")


def _some_images(run: Any, number: int, data: str | None) -> tuple[Any, Any, Any]:
    """The model of a run, the first test images, and their labels where it wants them."""
    from ptheta.capabilities import conditional

    if number < 1:
        raise PthetaError(f"-n {number}: ask for at least one image")
    batch = run.data("test", data).batch(slice(0, number))
    model = run.model()
    if conditional(model) and batch.y is None:
        raise PthetaError("this model is conditional and the images have no labels: give --data")
    return model, batch.x, batch.y if conditional(model) else None


def _numbers(text: str, flag: str) -> list[float]:
    """The numbers of a list with commas."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PthetaError(f"{flag} {text}: want numbers with commas between them") from None


def _side_by_side(columns: list[Any]) -> Any:
    """Image batches (N, C, H, W) side by side: (N * columns, C, H, W), an image's own in a row."""
    import torch

    return torch.stack(columns, 1).flatten(0, 1)


def _open(run: str) -> Any:
    from ptheta.runs import Run

    return Run.open(run)


def _print_table(rows: list[list[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def main(argv: list[str] | None = None) -> None:
    """The installed command. Bad input: one line on stderr and status 2."""
    status = 0
    try:
        cli.main(args=argv, prog_name="ptheta", standalone_mode=False)
    except PthetaError as error:
        number = getattr(error, "number", None)  # of the signal that stopped a training
        status = 2 if number is None else 128 + number
        click.echo(f"ptheta: {error}", err=True)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else str(error))
        status = 2
    except click.ClickException as error:
        click.echo(f"ptheta: {_one_line(error)}", err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("ptheta: interrupted", err=True)
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output has gone
        sys.stderr.close()
    sys.exit(status)


def _one_line(error: click.ClickException) -> str:
    """click's message, with the nearest option where one was mistyped."""
    ctx = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        known = [name for param in ctx.command.get_params(ctx) for name in param.opts]
        return str(unknown("option", error.option_name, known))
    text = " ".join(error.format_message().split())
    where = f" (see: {ctx.command_path} --help)" if ctx is not None else ""
    return text[0].lower() + text[1:] + where


if __name__ == "__main__":
    main()
