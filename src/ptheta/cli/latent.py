"""The latent space: pictures of it, what it holds, a prior for it."""

from __future__ import annotations

import json
from typing import Any

import click

from ptheta.cli.common import (
    OTHER_DATA,
    OUT,
    SEED,
    at_least,
    cli,
    integers,
    label_of,
    open_run,
    print_table,
    some_images,
)
from ptheta.errors import PthetaError

USED_BY = 1000  # test images by which the most used dimensions are found


@cli.command()
@click.argument("run")
@click.option("--side", default=20, show_default=True, help="Images across and down.")
@click.option(
    "--dims",
    help="Dimensions across and down, such as 0,1; by default the two most used on test images.",
)
@click.option("--label", help="Name of a class, of a conditional model; by default its first.")
@OTHER_DATA
@OUT
def manifold(
    run: str, side: int, dims: str | None, label: str | None, data: str | None, out: str
) -> None:
    """Draw the images over two dimensions of the code."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    opened = open_run(run)
    model = opened.model()
    pair, how = two_dimensions(opened, model, dims, data)
    asked = None if label is None else label_of(opened, label)
    x = tasks.manifold(model, side, dims=pair, label=asked)
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
    from ptheta.tasks.export import write_images

    at_least("-n", number)
    at_least("--image", image, 0)
    model, x, y = some_images(open_run(run), max(USED_BY, image + 1), data)
    if image >= len(x):
        raise PthetaError(f"--image {image}: there are {len(x)} test images, 0 to {len(x) - 1}")
    dims = tasks.most_used(model, x, y)[:number]
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
    at_least("-n", number, 2)
    from ptheta.latents import ACTIVE_KL, ACTIVE_VARIANCE
    from ptheta.metrics.latent import latent_report
    from ptheta.report import figures

    opened = open_run(run)
    report = latent_report(opened.model(), opened.data("test", data), n=number, seed=seed)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        rows = [["dimension", "KL, nats", "Var of mean", "q(z) mean", "q(z) variance"]]
        for j in report.order():
            numbers = [report.kl, report.mean_variance]
            numbers += [report.aggregate_mean, report.aggregate_variance]
            rows.append([f"z{j}", *(f"{values[j]:.3f}" for values in numbers)])
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
@click.argument("run")
@click.option("--components", default=10, show_default=True, help="Gaussians in the mixture.")
@click.option("--images", default=20_000, show_default=True, help="Training images, at most.")
@OTHER_DATA
@SEED
def fit(run: str, components: int, images: int, data: str | None, seed: int) -> None:
    """Fit a prior to the codes of a trained RUN, so that an autoencoder can sample, too."""
    from ptheta import api

    at_least("--images", images)
    api.fit(run, data, components=components, images=images, seed=seed)
    click.echo(f"{run}: {components} Gaussians fitted; next: ptheta sample {run} --out grid.png")


@cli.command()
@click.argument("run")
@click.option("--labels", default="10,100,1000,all", show_default=True, help="How many labels.")
@click.option("--draws", default=3, show_default=True, help="Draws of the labelled images.")
@click.option("--steps", default=300, show_default=True, help="Steps of fine-tuning.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@OTHER_DATA
@SEED
@click.option("--out", help="A picture: probe.png.")
def probe(
    run: str,
    labels: str,
    draws: int,
    steps: int,
    as_json: bool,
    data: str | None,
    seed: int,
    out: str | None,
) -> None:
    """Classify with the representation: linear, fine-tuned, and from scratch with the same labels;
    a few labels up to all."""
    from ptheta import api
    from ptheta.report import figures

    words = [word.strip() for word in labels.split(",")]
    counts = [None if w == "all" else integers(w, "--labels")[0] for w in words]
    at_least("--draws", draws)
    at_least("--steps", steps)
    found = api.probe(run, counts, data, draws=draws, steps=steps, seed=seed)
    if as_json:
        click.echo(json.dumps([vars(p) | {"mean": p.mean} for p in found], indent=2))
    else:
        rows = [["labels", "way", "test accuracy"]]
        rows += [[str(p.labels), p.way, f"{p.mean:.3f} +- {p.spread:.3f}"] for p in found]
        print_table(rows)
    if out is not None:
        click.echo(f"{figures.probes(found, out)}", err=as_json)
