"""Uses that give images: sampling, completion, reconstruction, walks."""

from __future__ import annotations

import click

from ptheta.cli.common import (
    NUMBER,
    OTHER_DATA,
    OUT,
    SEED,
    at_least,
    cli,
    given,
    label_of,
    numbers,
    open_run,
    side_by_side,
    some_images,
)
from ptheta.errors import PthetaError


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=64, show_default=True, help="How many images.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same images.")
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
@click.option("--label", "labels", multiple=True, help="Name of a class; may be repeated.")
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
    labels: tuple[str, ...],
    attributes: str | None,
    weights: str,
    prior: str,
) -> None:
    """Draw images from a trained RUN."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    opened = open_run(run)
    model = opened.model(weights, prior)
    vector = None if attributes is None else numbers(attributes, "--attributes")
    asked = [label_of(opened, text) for text in labels]
    x = tasks.sample(model, number, seed=seed, labels=asked or None, attributes=vector)
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
@OTHER_DATA
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

    at_least("--each", each)
    opened = open_run(run)
    model, x, labels = some_images(opened, number, data)
    mask = tasks.region(known, opened.spec)
    rows = [x, x * mask]
    for i in range(each):
        rows.append(
            tasks.inpaint(model, x, mask, seed=seed + i, labels=labels, candidates=candidates)
        )
    images = side_by_side(rows)
    click.echo(f"{write_images(images, out, len(rows))}: {len(x)} images, {each} completions each")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=8, show_default=True, help="How many test images.")
@OTHER_DATA
@click.option("--out", required=True, help="grid.png, x.npy (uint8 N,C,H,W) or a folder.")
def surprise(run: str, number: int, data: str | None, out: str) -> None:
    """Map how unexpected each pixel is given the earlier ones: image, map (white: the most)."""
    from ptheta import tasks
    from ptheta.pixels import from_unit
    from ptheta.tasks.export import write_images

    opened = open_run(run)
    model, x, labels = some_images(opened, number, data)
    bits = tasks.surprise(model, x, labels)
    images = side_by_side([x, from_unit(bits / bits.max())])
    path = write_images(images, out, 2 * max(1, round(len(x) ** 0.5 / 2)))
    click.echo(f"{path}: {bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits")


@cli.command()
@click.argument("run")
@NUMBER
@OTHER_DATA
@OUT
def reconstruct(run: str, number: int, data: str | None, out: str) -> None:
    """Encode and decode test images: image, what its code gives back."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model, x, y = some_images(open_run(run), number, data)
    images = side_by_side([x, tasks.reconstruct(model, x, y)])
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

    model, x, y = some_images(open_run(run), number, data)
    damaged, repaired = tasks.denoise(model, x, noise, level, condition=y, seed=seed)
    columns = 3 * max(1, round(len(x) ** 0.5 / 2))
    path = write_images(side_by_side([x, damaged, repaired]), out, columns)
    before, after = tasks.psnr(x, damaged), tasks.psnr(x, repaired)
    click.echo(f"{path}: {len(x)} images, {before:.1f} dB before, {after:.1f} dB after")


@cli.command()
@click.argument("run")
@click.option("-n", "--number", default=8, show_default=True, help="How many walks.")
@click.option("--steps", default=10, show_default=True, help="Images in a walk.")
@click.option(
    "--images/--codes",
    default=None,
    help="Between test images, or codes of the prior; by default images where the model encodes.",
)
@click.option("--straight", is_flag=True, help="Along lines in the place of great circles.")
@OTHER_DATA
@SEED
@OUT
def interpolate(
    run: str,
    number: int,
    steps: int,
    images: bool | None,
    straight: bool,
    data: str | None,
    seed: int,
    out: str,
) -> None:
    """Walk through the latent space, one walk in a row."""
    from ptheta import tasks
    from ptheta.capabilities import Encodes
    from ptheta.tasks.export import write_images

    at_least("-n", number)
    opened, ends, y = open_run(run), None, None
    model = opened.model()
    encodes = isinstance(model, Encodes)
    if images and not encodes:
        raise PthetaError(
            "--images: this model has no codes of images (it has no `encode`): give --codes to "
            "walk between codes of its prior"
        )
    between = encodes if images is None else images
    if between and given("seed"):
        raise PthetaError(
            "--seed draws codes of the prior, and the walks are between test images: leave it out, "
            "or give --codes"
        )
    if not between and data is not None:
        raise PthetaError(
            "--data gives images to walk between, and the walks are between codes of the prior: "
            f"{'leave out --codes' if encodes else 'leave it out'}"
        )
    if between:
        _, x, y = some_images(opened, 2 * number, data)
        number = len(x) // 2
        ends, y = (x[:number], x[number : 2 * number]), None if y is None else y[:number]
    walk = tasks.interpolate(
        model, number, steps, ends=ends, condition=y, straight=straight, seed=seed
    )
    what = "test images" if between else "codes of the prior"
    path = write_images(walk, out, steps)
    click.echo(f"{path}: {number} walks of {steps} images between {what}")
