"""Commands that produce images: sample, inpaint, surprise, translate."""

from __future__ import annotations

import json
import os
from functools import partial

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import OPTIONS, asked, asked_options
from ptheta.cli.common import (
    DATA,
    DEVICE,
    JSON,
    NUMBER,
    PRIOR,
    PROCESSES,
    RUN,
    SEED,
    THREADS,
    WEIGHTS,
    Parsed,
    cli,
    out,
    out_unless,
    refuse,
    show,
    whole,
)
from ptheta.cli.help import LOOK, USE
from ptheta.cli.tables import print_table
from ptheta.errors import PthetaError
from ptheta.measures.rivals import verdict
from ptheta.terminal.progress import shown

condition_options = partial(asked_options, without=("image",))
# options that --measure uses
MEASURING = ("n", "each", "candidates", "search_steps", "weights", "data", "seed", "device")
SHOWING = ("image", "mask", "known", "out", "scale", *(o[1] for o in OPTIONS.values()))


@cli.command(panel=USE)
@RUN
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of images or table rows.  [default: 64, or one per caption of --caption-file]",
)
@SEED
@out
@asked_options
@click.option(
    "--caption-file",
    type=types.SOURCE,
    help="Text file (UTF-8 or UTF-16) with one caption per line, instead of --caption.",
)
@click.option(
    "--same-noise",
    is_flag=True,
    help="Draw the images of all conditions from the same noise, so that only the condition "
    "differs.",
)
@click.option(
    "--between",
    type=types.Whole(2),
    metavar="STEPS",
    help="Interpolate between two conditions in this many steps, one row per step, all with the "
    "same noise.",
)
@click.option(
    "--missing",
    is_flag=True,
    help="In each table row, leave empty the cells that are missing in a random training row.",
)
@click.option(
    "--reject",
    is_flag=False,
    flag_value="drs",
    metavar="[drs|mh]",
    help="For a GAN: select samples with its discriminator, calibrated on held-out data: drs "
    "(rejection sampling; the default of --reject) or mh (Metropolis-Hastings). Put RUN "
    "before this option.",
)
@click.option(
    "--truncation",
    type=types.POSITIVE,
    metavar="T",
    help="For a GAN: draw codes from a normal truncated to [-T, T], for better but less diverse "
    "samples.",
)
@click.option(
    "--temperature",
    type=types.POSITIVE,
    metavar="T",
    help="Sampling temperature T: divides the logits (autoregressive models) or scales the base "
    "noise (flows, VAEs).",
)
@click.option(
    "--mean/--draw",
    default=False,
    help="For a model with a probabilistic decoder, such as a VAE: show the mean of p(x | z), or "
    "sample each pixel independently from p(x | z), as all metrics do.  [default: --draw]",
)
@click.option(
    "--steps",
    type=types.Whole(1),
    metavar="S",
    help="For models that sample in steps (ddpm, flow-matching): number of steps per sample.",
)
@click.option(
    "--guidance",
    type=types.Real(0.0),
    metavar="W",
    help="For such a model trained with --drop-condition: weight of the condition; 0 ignores it, 1 "
    "uses it as trained, larger values exaggerate it.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing table or array of rows.")
@click.option(
    "--data",
    type=types.SOURCE,
    help="New location of the run's data, on which --reject is calibrated.",
)
@WEIGHTS
@PRIOR
@PROCESSES
@DEVICE
@THREADS
def sample(run: str, **options: Parsed) -> None:
    """Sample images, or rows of a table, from a trained RUN.

    With a folder as --out, the same command resumes where it was stopped; metadata.jsonl in the
    folder lists the label, attributes or caption of each image. Table rows from a run conditional
    on labels have a label column.

    Examples:
      ptheta sample runs/vae --out grid.png
      ptheta sample runs/cvae -n 1000 --label 7 --out sevens
    """
    from ptheta.training.launchers import speaks

    condition = asked(run, options)
    drawn = ptheta.sample(run, condition=condition, **options)
    if speaks(os.environ):
        show(drawn)


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Image to complete, or folder of images. By default test images.",
)
@click.option(
    "--mask",
    type=types.SOURCE,
    help="Unknown part of the image. A mask image, white where pixels are unknown (thresholded "
    "at half), of the image's size, or of the run's size and then stretched; a folder of "
    "masks with the names of the images; a name: upper, lower, left, right, border, centre, "
    "half, or a random hole, strokes or pixels; or a box left,top,right,bottom in pixels, "
    "right and bottom exclusive: 4,4,12,12.",
)
@click.option("--known", help="Known part of the image, by the same names.  [default: upper]")
@condition_options
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test images.  [default: 8, with --measure 50]",
)
@click.option(
    "--each",
    type=types.LAYERED,
    help="Number of completions of each image.  [default: 1 for --image, 7 for test images, 4 "
    "with --measure]",
)
@whole(
    "--candidates",
    1,
    "Number of candidate completions, if known pixels come after unknown ones in the model's "
    "order; for a GAN, number of codes to try.",
    types.LAYERED,
)
@click.option(
    "--search-steps",
    type=types.Whole(0),
    help="For a GAN: number of optimisation steps of the code.  [default: the run's training "
    "option, 200]",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Write no images: mask test images in five ways, complete them, and print the accuracy "
    "and diversity of the completions next to baselines without learning.",
)
@JSON
@WEIGHTS
@DATA
@SEED
@out_unless
@DEVICE
@THREADS
def inpaint(run: str, measure: bool, as_json: bool, **options: Parsed) -> None:
    """Complete partly known images.

    With --image and a folder as --out, completed images keep their size and file name. Otherwise
    each image is written in a row with its known part and the completions. Known pixels are never
    changed.

    Examples:
      ptheta inpaint runs/pixelcnn --known upper --out completed.png
      ptheta inpaint runs/vae --image photos --mask 4,4,12,12 --out done
    """
    if measure:
        refuse(SHOWING, "has no effect with --measure")
        scoring = {k: options[k] for k in MEASURING if options[k] is not None}
        with shown(run):
            scores = ptheta.api.score_inpainting(run, **scoring)
        if as_json:
            click.echo(json.dumps(scores.to_json(), indent=2))
            return
        rows = scores.table()
        print_table(rows)
        click.echo("\n" + "\n".join([*scores.legend(), verdict(rows)]))
        return
    if options["out"] is None:
        raise PthetaError("give --out, the file or folder to write, or --measure")
    condition = asked(run, options)
    done = ptheta.inpaint(run, condition=condition, **options)
    if as_json:
        click.echo(json.dumps(done.to_json(), indent=2))
    else:
        show(done)


@cli.command(panel=LOOK)
@RUN
@NUMBER
@WEIGHTS
@DATA
@out
@DEVICE
@THREADS
def surprise(**options: Parsed) -> None:
    """Map how unexpected each pixel is, given the earlier ones.

    Each test image is written next to its map, in which white is the most unexpected.

    Examples:
      ptheta surprise runs/pixelcnn --out bits.png
      ptheta surprise runs/made -n 4 --scale 6 --out bits.png
    """
    show(ptheta.surprise(**options))


@cli.command(panel=USE)
@RUN
@click.argument("input", type=types.SOURCE, required=False)
@click.option("--to", metavar="DOMAIN", help="Target domain, if there are several.")
@whole(
    "--styles", 1, "Number of outputs per input, for a model with several styles.", types.LAYERED
)
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test inputs (default: 8) or of images of a folder (default: all).",
)
@click.option(
    "--size",
    type=types.SIDE,
    help="Resize the shorter side of each image to this many pixels. By default images keep "
    "their size.",
)
@click.option(
    "--tile",
    type=types.TILE,
    help="Tile side in pixels: images of more than tile x tile pixels are processed in tiles.  "
    "[default: 1024]",
)
@click.option(
    "--from-target",
    is_flag=True,
    help="For a run whose inputs are derived from the targets (--pairs edges and similar): INPUT "
    "contains targets. Each is written in a row: the derived input, the outputs, and the "
    "target.",
)
@WEIGHTS
@DATA
@SEED
@out
@DEVICE
@THREADS
def translate(**options: Parsed) -> None:
    """Translate images to their paired target or to another domain.

    INPUT is an image or a folder of images; the outputs keep the file names, in the folder --out
    (or in one file, for one image). The same command resumes where it was stopped. Without INPUT,
    test inputs of the run's data are shown in a grid, each with its outputs, its target, and the
    training target nearest to the output.

    Examples:
      ptheta translate runs/pix2pix --out test.png
      ptheta translate runs/pix2pix drawings --out answers
    """
    show(ptheta.translate(**options))
