"""The latent space: pictures of it, what it holds, a prior for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ptheta.cli import types
from ptheta.cli.common import (
    DATA,
    FIGURE,
    JSON,
    OUT,
    RUN,
    SEED,
    THREADS,
    cli,
    integers,
    label,
    number,
    open_run,
    print_table,
    some_images,
)
from ptheta.cli.following import after_fit
from ptheta.errors import PthetaError

USED_BY = 1000  # test images by which the most used dimensions are found


@cli.command()
@RUN
@click.option(
    "--side", type=types.COUNT, default=20, show_default=True, help="Images across and down."
)
@click.option(
    "--dims",
    help="Dimensions across and down, such as 0,1; by default the two most used on test images.",
)
@label("Name of a class, of a conditional model; by default its first.")
@DATA
@OUT
@THREADS
def manifold(
    run: str, side: int, dims: str | None, label: str | None, data: str | None, out: Path
) -> None:
    """Draw the images over two dimensions of the code."""
    from ptheta import tasks
    from ptheta.tasks.export import check_size, write_images

    opened = open_run(run)
    check_size(out, side * side, opened.spec.shape, side)
    model = opened.model()
    pair, how = two_dimensions(opened, model, dims, data)
    x = tasks.manifold(model, side, dims=pair, label=label)
    path = write_images(x, out, side)
    click.echo(f"{path}: {side}x{side} images over dimensions {pair[0]},{pair[1]}{how}")


def two_dimensions(
    run: Any, model: Any, dims: str | None, data: str | None
) -> tuple[tuple[int, int], str]:
    """The dimensions of --dims; else, of more than two, the two most used on test images where the
    model encodes. With how they were chosen, for the message."""
    from ptheta import tasks
    from ptheta.capabilities import Encodes
    from ptheta.tasks.walks import code_size

    size = code_size(model)
    chosen = dims is None and size > 2 and isinstance(model, Encodes)
    if data is not None and not chosen:
        raise PthetaError(
            "--data gives images to choose the dimensions by, and there is nothing to choose: "
            "leave it out"
        )
    if dims is not None:
        pair = integers(dims, "--dims")
        if len(pair) != 2:
            raise PthetaError(f"--dims {dims}: want two, such as 0,1")
        return (pair[0], pair[1]), ""
    if not chosen:
        return (0, 1), f", the first two of {size}: --dims gives others" if size > 2 else ""
    _, x, y = some_images(run, USED_BY, data)
    first, second = tasks.most_used(model, x, y)[:2]
    return (first, second), f", the two most used of {size}: --dims gives others"


@cli.command()
@RUN
@number(text="Dimensions, most used first.")
@click.option("--steps", type=types.COUNT, default=9, show_default=True, help="Images in a row.")
@click.option(
    "--reach",
    type=types.Real(),
    default=3.0,
    show_default=True,
    help="Ends of a row, either side of 0.",
)
@click.option(
    "--image",
    type=types.Whole(0),
    default=0,
    show_default=True,
    help="Which test image to start from.",
)
@DATA
@OUT
@THREADS
def traverse(
    run: str, number: int, steps: int, reach: float, image: int, data: str | None, out: Path
) -> None:
    """Change one dimension of an image's code at a time, a dimension in each row."""
    from ptheta import tasks
    from ptheta.tasks.export import check_size, write_images

    opened = open_run(run)
    model, x, y = some_images(opened, max(USED_BY, image + 1), data)
    if image >= len(x):
        raise PthetaError(f"--image {image}: there are {len(x)} test images, 0 to {len(x) - 1}")
    dims = tasks.most_used(model, x, y)[:number]
    check_size(out, len(dims) * steps, opened.spec.shape, steps)
    one = None if y is None else y[image : image + 1]
    z = model.encode(x[image : image + 1], one)[0].detach()
    rows = tasks.traverse(model, z, dims, steps=steps, reach=reach, condition=one)
    shown = ", ".join(map(str, dims))
    click.echo(f"{write_images(rows, out, steps)}: dimensions {shown}, one in each row")


@cli.command()
@RUN
@number(2000, kind=types.Whole(2))
@JSON
@DATA
@SEED
@FIGURE
@THREADS
def latents(
    run: str, number: int, as_json: bool, data: str | None, seed: int, out: Path | None
) -> None:
    """Look at the codes: active units, KL of each dimension, aggregate posterior and prior."""
    from ptheta.distributions.latents import ACTIVE_KL, ACTIVE_VARIANCE
    from ptheta.metrics.latent import latent_report
    from ptheta.report import figures

    opened = open_run(run)
    report = latent_report(opened.model(), opened.data("test", data), n=number, seed=seed)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        rows = [["dimension", "KL, nats", "Var of mean", "q(z) mean", "q(z) variance"]]
        for j in report.order():
            values = [report.kl, report.mean_variance]
            values += [report.aggregate_mean, report.aggregate_variance]
            rows.append([f"z{j}", *(f"{of[j]:.3f}" for of in values)])
        print_table(rows)
        total = float(report.kl.sum())
        click.echo(
            f"{report.active} of {len(report.kl)} units active: KL above {ACTIVE_KL} nats and "
            f"variance of the mean above {ACTIVE_VARIANCE} ({report.active_by_variance} by the "
            f"variance alone); KL {total:.2f} nats in all"
        )
        click.echo(f"q(z) to p(z): squared MMD {report.distance:.3g} +- {report.error:.1g}")
    if out is not None:
        click.echo(f"{figures.latents(report, out)}", err=as_json)


@cli.command()
@RUN
@click.option(
    "--components",
    type=types.COUNT,
    default=10,
    show_default=True,
    help="Gaussians in the mixture.",
)
@click.option(
    "--images",
    type=types.COUNT,
    default=20_000,
    show_default=True,
    help="Training images, at most.",
)
@DATA
@SEED
@THREADS
def fit(run: str, components: int, images: int, data: str | None, seed: int) -> None:
    """Fit a prior to the codes of a trained RUN, so that an autoencoder can sample, too."""
    from ptheta import api

    api.fit(run, data, components=components, images=images, seed=seed)
    click.echo(f"{run}: {components} Gaussians fitted; next: {after_fit(run)}")


@cli.command()
@RUN
@click.option("--labels", default="10,100,1000,all", show_default=True, help="How many labels.")
@click.option(
    "--draws",
    type=types.LAYERED,
    default=3,
    show_default=True,
    help="Draws of the labelled images.",
)
@click.option(
    "--steps", type=types.COUNT, default=300, show_default=True, help="Steps of fine-tuning."
)
@JSON
@DATA
@SEED
@FIGURE
@THREADS
def probe(
    run: str,
    labels: str,
    draws: int,
    steps: int,
    as_json: bool,
    data: str | None,
    seed: int,
    out: Path | None,
) -> None:
    """Classify with the representation: linear, fine-tuned, and from scratch with the same labels;
    a few labels up to all."""
    from ptheta import api
    from ptheta.report import figures

    words = [word.strip() for word in labels.split(",")]
    counts = [None if w == "all" else integers(w, "--labels")[0] for w in words]
    found = api.probe(run, counts, data, draws=draws, steps=steps, seed=seed)
    if as_json:
        click.echo(json.dumps([vars(p) | {"mean": p.mean} for p in found], indent=2))
    else:
        rows = [["labels", "way", "test accuracy"]]
        rows += [[str(p.labels), p.way, f"{p.mean:.3f} +- {p.spread:.3f}"] for p in found]
        print_table(rows)
    if out is not None:
        click.echo(f"{figures.probes(found, out)}", err=as_json)
