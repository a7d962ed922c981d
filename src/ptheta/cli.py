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
        click.Option(["--data"], required=True, help="Name of a data set, or a path."),
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
    ]

    def run(data: str, out: str, resume: bool, recipe: str, **options: Any) -> None:
        from ptheta import api

        done = api.train(name, data, out, recipe=recipe, resume=resume, **_given(options))
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


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=64, show_default=True, help="How many images.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same images.")
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
@click.option("--label", "labels", multiple=True, type=int, help="Condition; may be repeated.")
@click.option("--attributes", help="Condition of a model of attributes: 1,0,0.5,...")
@click.option("--weights", default="best", show_default=True, help="best or last.")
@click.option(
    "--prior", default="auto", show_default=True, help="own, fitted (by `ptheta fit`), or auto."
)
def sample(
    run: str,
    number: int,
    seed: int,
    out: str,
    labels: tuple[int, ...],
    attributes: str | None,
    weights: str,
    prior: str,
) -> None:
    """Draw images from a trained RUN."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model = _open(run).model(weights, prior)
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


NUMBER = click.option("-n", "--number", default=8, show_default=True, help="How many test images.")
OTHER_DATA = click.option("--data", help="Images of this data instead of the run's own.")
OUT = click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
SEED = click.option("--seed", default=0, show_default=True, help="Seed of all noise.")


@cli.command()
@click.argument("run")
@NUMBER
@OTHER_DATA
@OUT
def reconstruct(run: str, number: int, data: str | None, out: str) -> None:
    """Encode and decode test images: image, what its code gives back."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model, x, y = _some_images(_open(run), number, data)
    images = _side_by_side([x, tasks.reconstruct(model, x, y)])
    columns = 2 * max(1, round(len(x) ** 0.5 / 2))
    click.echo(f"{write_images(images, out, columns)}: {len(x)} images")


@cli.command()
@click.argument("run")
@click.option("--noise", default="gaussian", show_default=True, help="See `dae` for the kinds.")
@click.option("--level", default=0.5, show_default=True, help="Its strength, see `dae`.")
@NUMBER
@OTHER_DATA
@SEED
@OUT
def denoise(
    run: str, noise: str, level: float, number: int, data: str | None, seed: int, out: str
) -> None:
    """Damage test images and let the model repair them: image, damaged, repaired."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model, x, y = _some_images(_open(run), number, data)
    damaged, repaired = tasks.denoise(model, x, noise, level, condition=y, seed=seed)
    columns = 3 * max(1, round(len(x) ** 0.5 / 2))
    path = write_images(_side_by_side([x, damaged, repaired]), out, columns)
    before, after = tasks.psnr(x, damaged), tasks.psnr(x, repaired)
    click.echo(f"{path}: {len(x)} images, {before:.1f} dB before, {after:.1f} dB after")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=8, show_default=True, help="How many walks.")
@click.option("--steps", default=10, show_default=True, help="Images in a walk.")
@click.option("--images/--codes", default=True, help="Between test images, or codes of the prior.")
@click.option("--straight", is_flag=True, help="Along lines in the place of great circles.")
@OTHER_DATA
@SEED
@OUT
def interpolate(
    run: str,
    number: int,
    steps: int,
    images: bool,
    straight: bool,
    data: str | None,
    seed: int,
    out: str,
) -> None:
    """Walk through the latent space, one walk in a row."""
    from ptheta import tasks
    from ptheta.capabilities import Encodes
    from ptheta.tasks.export import write_images

    opened, ends, y = _open(run), None, None
    model = opened.model()
    if images and isinstance(model, Encodes):
        _, x, y = _some_images(opened, 2 * number, data)
        number = len(x) // 2
        ends, y = (x[:number], x[number : 2 * number]), None if y is None else y[:number]
    walk = tasks.interpolate(
        model, number, steps, ends=ends, condition=y, straight=straight, seed=seed
    )
    click.echo(f"{write_images(walk, out, steps)}: {number} walks of {steps} images")


@cli.command()
@click.argument("run")
@click.option("--side", default=20, show_default=True, help="Images across and down.")
@click.option("--dims", default="0,1", show_default=True, help="Dimensions across and down.")
@click.option("--label", default=0, show_default=True, help="Of a conditional model.")
@OUT
def manifold(run: str, side: int, dims: str, label: int, out: str) -> None:
    """Draw the images over two dimensions of the code."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    pair = [int(d) for d in _numbers(dims, "--dims")]
    if len(pair) != 2:
        raise PthetaError(f"--dims {dims}: want two, such as 0,1")
    x = tasks.manifold(_open(run).model(), side, dims=(pair[0], pair[1]), label=label)
    click.echo(f"{write_images(x, out, side)}: {side}x{side} images over dimensions {dims}")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=8, show_default=True, help="Dimensions, most used first.")
@click.option("--steps", default=9, show_default=True, help="Images in a row.")
@click.option("--reach", default=3.0, show_default=True, help="Ends of a row, either side of 0.")
@click.option("--image", default=0, show_default=True, help="Which test image to start from.")
@OTHER_DATA
@OUT
def traverse(
    run: str, number: int, steps: int, reach: float, image: int, data: str | None, out: str
) -> None:
    """Change one dimension of an image's code at a time, a dimension in each row."""
    from ptheta import tasks
    from ptheta.metrics.latent import codes
    from ptheta.tasks.export import write_images

    opened = _open(run)
    model, x, y = _some_images(opened, image + 1, data)
    spread = codes(model, opened.data("test", data), 1000).var(0)
    dims = spread.argsort(descending=True)[:number].tolist()
    one = None if y is None else y[image : image + 1]
    z = model.encode(x[image : image + 1], one)[0].detach()
    rows = tasks.traverse(model, z, dims, steps=steps, reach=reach, condition=one)
    shown = ", ".join(map(str, dims))
    click.echo(f"{write_images(rows, out, steps)}: dimensions {shown}, one in each row")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=2000, show_default=True, help="How many test images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@OTHER_DATA
@SEED
@click.option("--out", help="A picture: latents.png.")
def latents(
    run: str, number: int, as_json: bool, data: str | None, seed: int, out: str | None
) -> None:
    """Look at the codes: active units, KL of each dimension, aggregate posterior and prior."""
    from ptheta.metrics.latent import latent_report
    from ptheta.report import figures

    opened = _open(run)
    report = latent_report(opened.model(), opened.data("test", data), n=number, seed=seed)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        rows = [["dimension", "KL, nats", "Var of mean", "q(z) mean", "q(z) variance"]]
        for j in report.order():
            numbers = [report.kl, report.mean_variance]
            numbers += [report.aggregate_mean, report.aggregate_variance]
            rows.append([f"z{j}", *(f"{values[j]:.3f}" for values in numbers)])
        _print_table(rows)
        total = float(report.kl.sum())
        click.echo(f"{report.active} of {len(report.kl)} units active, KL {total:.2f} nats")
        click.echo(f"q(z) to p(z): squared MMD {report.distance:.3g} +- {report.error:.1g}")
    if out is not None:
        click.echo(f"{figures.latents(report, out)}", err=as_json)


@cli.command()
@click.argument("run")
@click.option("--components", default=10, show_default=True, help="Gaussians in the mixture.")
@click.option("--images", default=20_000, show_default=True, help="Training images, at most.")
@SEED
def fit(run: str, components: int, images: int, seed: int) -> None:
    """Fit a prior to the codes of a trained RUN, so that an autoencoder can sample, too."""
    from ptheta import api

    api.fit(run, components=components, images=images, seed=seed)
    click.echo(f"{run}: {components} Gaussians fitted; next: ptheta sample {run} --out grid.png")


@cli.command()
@click.argument("run")
@click.option("--labels", default="10,100,1000,all", show_default=True, help="How many labels.")
@click.option("--draws", default=3, show_default=True, help="Draws of the labelled images.")
@click.option("--steps", default=300, show_default=True, help="Steps of fine-tuning.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@SEED
@click.option("--out", help="A picture: probe.png.")
def probe(
    run: str, labels: str, draws: int, steps: int, as_json: bool, seed: int, out: str | None
) -> None:
    """Classify with the representation: linear, fine-tuned, and from scratch with the same labels;
    a few labels up to all."""
    from ptheta import api
    from ptheta.report import figures

    words = [word.strip() for word in labels.split(",")]
    counts = [None if w == "all" else int(_numbers(w, "--labels")[0]) for w in words]
    found = api.probe(run, counts, draws=draws, steps=steps, seed=seed)
    if as_json:
        click.echo(json.dumps([vars(p) | {"mean": p.mean} for p in found], indent=2))
    else:
        rows = [["labels", "way", "test accuracy"]]
        rows += [[str(p.labels), p.way, f"{p.mean:.3f} +- {p.spread:.3f}"] for p in found]
        _print_table(rows)
    if out is not None:
        click.echo(f"{figures.probes(found, out)}", err=as_json)


@cli.command()
@click.argument("run", metavar="RUN|IMAGES")
@click.option("--data", help="Evaluate on this data instead of the run's own test images.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-n", "--number", default=1000, show_default=True, help="Images to draw.")
@click.option(
    "--extractor",
    help="Of the distances: digits, fashion, pixels, efficientnet-lite0 or inception-2015.",
)
@click.option("--is-k", default=50, show_default=True, help="Importance samples of a bound.")
@click.option(
    "--ais", default=0, show_default=True, help="Test images for annealed importance sampling."
)
@SEED
def evaluate(
    run: str,
    data: str | None,
    as_json: bool,
    number: int,
    extractor: str | None,
    is_k: int,
    ais: int,
    seed: int,
) -> None:
    """Measure a trained RUN and write its evaluation.json; or a folder of images of any origin
    against the test images of --data."""
    from ptheta import api
    from ptheta.runs import is_run

    if not is_run(run) and Path(run).exists():
        if data is None:
            raise PthetaError(
                f"{run} is no run: to measure the images in it, give --data with the real ones"
            )
        result = api.score(run, data, n=number, extractor=extractor, seed=seed)
    else:
        result = api.evaluate(
            run, data, n=number, extractor=extractor, is_k=is_k, ais_images=ais, seed=seed
        )
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
    """Measure several RUNs (or the folder of a sweep) alike and write one report."""
    from ptheta.report.compare import compare as write_report
    from ptheta.sweep import runs_of

    paths = [path for run in runs for path in runs_of(run)]
    page = write_report([_open(path) for path in paths], Path(out), n=number, seed=seed)
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


def _open(run: str | Path) -> Any:
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
