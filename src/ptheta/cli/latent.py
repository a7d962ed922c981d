"""Commands about the latent space: manifold, latents, fit, probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    DEVICE,
    FIGURE,
    JSON,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    given,
    integers,
    number,
    out,
    refuse,
    show,
    whole,
)
from ptheta.cli.following import after_fit
from ptheta.cli.help import LOOK, MEASURE, TRAIN
from ptheta.cli.tables import print_table
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.metrics.latent import LatentReport


@cli.command(panel=LOOK)
@RUN
@whole("--side", 20, "Number of images across and down.")
@click.option(
    "--dims",
    help="Dimensions across and down, such as 0,1. By default the two most active on test images.",
)
@click.option("--label", help="Class name, for a conditional model. By default its first class.")
@WEIGHTS
@DATA
@out
@DEVICE
@THREADS
def manifold(dims: str | None, **options: Parsed) -> None:
    """Plot decoded images over two dimensions of the code.

    Examples:
      ptheta manifold runs/vae --out manifold.png
      ptheta manifold runs/vae --dims 0,1 --side 12 --out manifold.png
    """
    show(ptheta.manifold(dims=None if dims is None else two_dimensions(dims), **options))


def two_dimensions(text: str) -> tuple[int, int]:
    """Parses --dims. Raises PthetaError if it is not two dimensions."""
    pair = integers(text, "--dims")
    if len(pair) != 2:
        raise PthetaError(f"--dims {text}: want two, such as 0,1")
    return pair[0], pair[1]


@cli.command(panel=LOOK)
@RUN
@number(2000, kind=types.Whole(2))
@JSON
@WEIGHTS
@DATA
@SEED
@FIGURE
@DEVICE
@THREADS
def latents(as_json: bool, out: Path | None, **options: Parsed) -> None:
    """Analyse the codes: active units, KL, posterior and prior.

    Examples:
      ptheta latents runs/vae
      ptheta latents runs/vae --out latents.png
    """
    report = ptheta.latents(out=out, **options)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _print_latents(report)
    if out is not None:
        click.echo(f"{out}", err=as_json)


def _print_latents(report: LatentReport) -> None:
    rows = [["dimension", "KL, nats", "Var of mean", "q(z) mean", "q(z) variance"]]
    for j in report.order():
        values = [report.kl, report.mean_variance]
        values += [report.aggregate_mean, report.aggregate_variance]
        rows.append([f"z{j}", *(f"{of[j]:.3f}" for of in values)])
    print_table(rows)
    click.echo(report.activity())
    click.echo(f"q(z) to p(z): squared MMD {report.distance:.3g} +- {report.error:.1g}")


@cli.command(panel=TRAIN)
@RUN
@click.option(
    "--model",
    metavar="NAME",
    help="Model that learns the maps of codes of a vq-vae, such as pixelcnn. By default a mixture "
    "of Gaussians.",
)
@click.option("--recipe", metavar="NAME", help="Recipe of --model.  [default: default]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of --model or of its training, such as steps=2000 or condition=labels. May be "
    "repeated.",
)
@click.option("--resume", is_flag=True, help="Continue the training of --model.")
@whole("--components", 10, "Number of Gaussians in the mixture.")
@whole("--images", 20_000, "Maximum number of training images to encode.")
@WEIGHTS
@DATA
@SEED
@DEVICE
@THREADS
def fit(
    run: str,
    model: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    components: int,
    **options: Parsed,
) -> None:
    """Fit a prior to the codes of RUN, so that it can sample.

    An autoencoder has none of its own. The codes of vq-vae get a prior by --model, which is trained
    on the GPU if there is one, unless --device is given.

    Examples:
      ptheta fit runs/ae
      ptheta fit runs/ae --components 20
      ptheta fit runs/vq --model pixelcnn --set steps=2000 --set condition=labels
    """
    if model is not None and not given("device"):
        options["device"] = None  # as for `ptheta train`
    if model is None:
        refuse(("recipe", "settings", "resume"), "is of --model, and there is none")
        ptheta.fit(run, components=components, **options)
        told = f"{components} Gaussians"
    else:
        refuse(("components",), "is of a mixture of Gaussians, and --model of another prior")
        pairs, own = _pairs(settings), options | {"recipe": recipe or "default"}
        if twice := [name for name in pairs if name in own or name in ("model", "threads")]:
            raise PthetaError(
                f"--set {twice[0]}: it is an option of ptheta fit itself, give --{twice[0]}"
            )
        ptheta.fit(run, model=model, **own, **pairs)
        told = model
    after = after_fit(run, ptheta.Run.open(run).spec)
    click.echo(f"{run}: {told} fitted; next: {after}")


def _pairs(settings: tuple[str, ...]) -> dict[str, Parsed]:
    """The options of --set. Raises PthetaError for what has no name, and for one given twice."""
    found: dict[str, Parsed] = {}
    for text in settings:
        name, sign, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name or name in found:
            raise PthetaError(f"--set {text}: want NAME=VALUE, each name once")
        found[name] = value
    return found


@cli.command(panel=MEASURE)
@RUN
@click.option(
    "--labels",
    default="10,100,1000,all",
    show_default=True,
    help="Numbers of labelled training images.",
)
@whole("--draws", 3, "Number of random subsets of the labelled images.", types.LAYERED)
@whole("--steps", 300, "Number of fine-tuning steps.")
@JSON
@WEIGHTS
@DATA
@SEED
@FIGURE
@DEVICE
@THREADS
def probe(labels: str, as_json: bool, out: Path | None, **options: Parsed) -> None:
    """Evaluate the representation of RUN by classification.

    Compares a linear probe, a fine-tuned classifier and one trained from scratch on the same
    labels, from a few labels to all.

    Examples:
      ptheta probe runs/vae
      ptheta probe runs/vae --labels 10,100,all --out probe.png
    """
    words = [word.strip() for word in labels.split(",")]
    counts = [None if w == "all" else integers(w, "--labels")[0] for w in words]
    found = ptheta.probe(labels=counts, out=out, **options)
    if as_json:
        click.echo(json.dumps([vars(p) | {"mean": p.mean} for p in found], indent=2))
    else:
        rows = [["labels", "way", "test accuracy"]]
        rows += [[str(p.labels), p.way, f"{p.mean:.3f} +- {p.spread:.3f}"] for p in found]
        print_table(rows)
        if all(p.way == "linear" for p in found):
            click.echo("its codes have no gradient, by which an encoder could be fine-tuned")
    if out is not None:
        click.echo(f"{out}", err=as_json)
