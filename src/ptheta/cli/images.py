"""Uses that give images: sampling, completion, reconstruction, walks."""

from __future__ import annotations

from pathlib import Path

import click

from ptheta.cli import types
from ptheta.cli.asked import asked, asked_options, check_asked
from ptheta.cli.common import (
    DATA,
    NUMBER,
    OUT,
    PRIOR,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    cli,
    given,
    number,
    open_run,
    side_by_side,
    some_images,
)
from ptheta.errors import PthetaError


@cli.command()
@RUN
@number(64, "How many images.")
@SEED
@OUT
@asked_options
@WEIGHTS
@PRIOR
@THREADS
def sample(
    run: str,
    number: int,
    seed: int,
    out: Path,
    weights: str,
    prior: str,
    **given: tuple[str, ...],
) -> None:
    """Draw images from a trained RUN. Into a folder, the same command goes on where it was
    stopped."""
    from ptheta.tasks.draw import samples
    from ptheta.tasks.export import check_size, export

    opened = open_run(run)
    check_size(out, number, opened.spec.shape)
    wanted = asked(given)
    check_asked(opened, wanted)
    images = samples(
        *(opened, number), seed=seed, condition=wanted or None, weights=weights, prior=prior
    )
    click.echo(f"{export(images, out)}: {number} images")


@cli.command()
@RUN
@click.option(
    "--known",
    default="upper",
    show_default=True,
    help="What is given: upper, lower, left, right, border or centre.",
)
@NUMBER
@click.option(
    "--each", type=types.LAYERED, default=7, show_default=True, help="Completions of each image."
)
@click.option(
    "--candidates",
    type=types.LAYERED,
    default=1,
    show_default=True,
    help="Completions to choose from, where known pixels follow unknown ones.",
)
@DATA
@SEED
@OUT
@THREADS
def inpaint(
    run: str,
    known: str,
    number: int,
    each: int,
    candidates: int,
    data: str | None,
    seed: int,
    out: Path,
) -> None:
    """Complete test images of which only a part is known: original, part, completions."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    opened = open_run(run)
    mask = tasks.region(known, opened.spec)
    model, x, labels = some_images(opened, number, data, out=out, times=each + 2)
    rows = [x, x * mask]
    for i in range(each):
        rows.append(
            tasks.inpaint(model, x, mask, seed=seed + i, labels=labels, candidates=candidates)
        )
    images = side_by_side(rows)
    click.echo(f"{write_images(images, out, len(rows))}: {len(x)} images, {each} completions each")


@cli.command()
@RUN
@NUMBER
@DATA
@OUT
@THREADS
def surprise(run: str, number: int, data: str | None, out: Path) -> None:
    """Map how unexpected each pixel is given the earlier ones: image, map (white: the most)."""
    from ptheta import tasks
    from ptheta.specs import from_unit
    from ptheta.tasks.export import write_images

    model, x, labels = some_images(open_run(run), number, data, out=out, times=2)
    bits = tasks.surprise(model, x, labels)
    most = bits.max().clamp_min(1e-9)  # all is 0 where everything was certain
    images = side_by_side([x, from_unit(bits / most)])
    path = write_images(images, out, 2 * max(1, round(len(x) ** 0.5 / 2)))
    click.echo(f"{path}: {bits.mean():.4g} bits/dim, white is {bits.max():.3g} bits")


@cli.command()
@RUN
@NUMBER
@DATA
@OUT
@THREADS
def reconstruct(run: str, number: int, data: str | None, out: Path) -> None:
    """Encode and decode test images: image, what its code gives back."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model, x, y = some_images(open_run(run), number, data, out=out, times=2)
    images = side_by_side([x, tasks.reconstruct(model, x, y)])
    columns = 2 * max(1, round(len(x) ** 0.5 / 2))
    click.echo(f"{write_images(images, out, columns)}: {len(x)} images")


@cli.command()
@RUN
@click.option("--noise", default="gaussian", show_default=True, help="See `dae` for the kinds.")
@click.option(
    "--level", type=types.Real(0), default=0.5, show_default=True, help="Its strength, see `dae`."
)
@NUMBER
@DATA
@SEED
@OUT
@THREADS
def denoise(
    run: str, noise: str, level: float, number: int, data: str | None, seed: int, out: Path
) -> None:
    """Damage test images and let the model repair them: image, damaged, repaired."""
    from ptheta import tasks
    from ptheta.tasks.export import write_images

    model, x, y = some_images(open_run(run), number, data, out=out, times=3)
    damaged, repaired = tasks.denoise(model, x, noise, level, condition=y, seed=seed)
    columns = 3 * max(1, round(len(x) ** 0.5 / 2))
    path = write_images(side_by_side([x, damaged, repaired]), out, columns)
    before, after = tasks.psnr(x, damaged), tasks.psnr(x, repaired)
    click.echo(f"{path}: {len(x)} images, {before:.1f} dB before, {after:.1f} dB after")


@cli.command()
@RUN
@number(text="How many walks.")
@click.option(
    "--steps", type=types.Whole(2), default=10, show_default=True, help="Images in a walk."
)
@click.option(
    "--images/--codes",
    default=None,
    help="Between test images, or codes of the prior; by default images where the model encodes.",
)
@click.option("--straight", is_flag=True, help="Along lines in the place of great circles.")
@DATA
@SEED
@OUT
@THREADS
def interpolate(
    run: str,
    number: int,
    steps: int,
    images: bool | None,
    straight: bool,
    data: str | None,
    seed: int,
    out: Path,
) -> None:
    """Walk through the latent space, one walk in a row."""
    from ptheta import tasks
    from ptheta.capabilities import Encodes
    from ptheta.tasks.export import check_size, write_images

    opened, ends, y = open_run(run), None, None
    model = opened.model()
    encodes = isinstance(model, Encodes)
    if images and not encodes:
        raise PthetaError(
            "--images: this model has no codes of images (it has no `encode`): give --codes to "
            "walk between codes of its prior"
        )
    between = encodes if images is None else images
    _check_walk(between, encodes, data)
    if between:
        _, x, y = some_images(opened, 2 * number, data)
        number = len(x) // 2
        ends, y = (x[:number], x[number : 2 * number]), None if y is None else y[:number]
    check_size(out, number * steps, opened.spec.shape, steps)
    walk = tasks.interpolate(
        model, number, steps, ends=ends, condition=y, straight=straight, seed=seed
    )
    what = "test images" if between else "codes of the prior"
    path = write_images(walk, out, steps)
    click.echo(f"{path}: {number} walks of {steps} images between {what}")


def _check_walk(between: bool, encodes: bool, data: str | None) -> None:
    """Raises PthetaError for an option that would have no effect on walks between test images, or
    between codes."""
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
