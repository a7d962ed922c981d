"""Uses that give images: sampling, completion, reconstruction, walks."""

from __future__ import annotations

import json
from functools import partial

import click

import ptheta
from ptheta.cli import types
from ptheta.cli.asked import OPTIONS, asked, asked_options
from ptheta.cli.common import (
    DATA,
    JSON,
    NUMBER,
    PRIOR,
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

beside_pictures = partial(asked_options, without=("image",))
MEASURING = ("n", "each", "candidates", "search_steps", "data", "seed")  # what --measure reads
SHOWING = ("image", "mask", "known", "out", "scale", *(o[1] for o in OPTIONS.values()))


@cli.command(panel=USE)
@RUN
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of images, or of rows of a table.  [default: 64, or one for each caption of "
    "--caption-file]",
)
@SEED
@out
@asked_options
@click.option(
    "--caption-file",
    type=types.SOURCE,
    help="Text file (UTF-8 or UTF-16) of captions, one to a line, in the place of --caption.",
)
@click.option(
    "--same-noise",
    is_flag=True,
    help="Draw the images of every condition from the same noise, so that only it differs.",
)
@click.option(
    "--between",
    type=types.Whole(2),
    metavar="STEPS",
    help="Of two conditions, draw what lies between them in so many steps, a row for each, all of "
    "the same noise.",
)
@click.option(
    "--missing",
    is_flag=True,
    help="Leave out of each row of a table the cells that a training row, drawn at random, lacks.",
)
@click.option(
    "--reject",
    is_flag=False,
    flag_value="drs",
    metavar="[drs|mh]",
    help="Of a GAN: choose samples by its discriminator, calibrated on held-out data: drs (without "
    "a word) rejects, mh moves chains. Name RUN before it.",
)
@click.option(
    "--truncation",
    type=types.POSITIVE,
    metavar="T",
    help="Of a GAN: draw codes within [-T, T], for better and less various samples.",
)
@click.option(
    "--temperature",
    type=types.POSITIVE,
    metavar="T",
    help="Divide logits by T (autoregressive models), or multiply base noise by T (flows, VAEs).",
)
@click.option(
    "--mean/--draw",
    default=False,
    help="Of a model whose decoder is a distribution, such as a VAE: show the mean of p(x | z) for "
    "each code, or draw its pixels, each on its own, as all metrics take samples.  [default: "
    "--draw]",
)
@click.option(
    "--steps",
    type=types.Whole(1),
    metavar="S",
    help="Of models that draw in steps (ddpm, flow-matching): how many, for each sample.",
)
@click.option(
    "--guidance",
    type=types.Real(0.0),
    metavar="W",
    help="Of such a model that was trained with --drop-condition: the weight of the condition; 0 "
    "leaves it out, 1 takes it as it was learned, more exaggerates it.",
)
@click.option("--force", is_flag=True, help="Overwrite a table or an array of rows that is there.")
@click.option(
    "--data",
    type=types.SOURCE,
    help="Where the run's data lies now, by which --reject is calibrated.",
)
@WEIGHTS
@PRIOR
@THREADS
def sample(run: str, **options: Parsed) -> None:
    """Draw images, or rows of a table, from a trained RUN.

    Into a folder, the same command continues where it was stopped; a table in it, metadata.jsonl,
    has the label, the attributes or the caption that each image was asked for. Rows of a run that
    is conditional on labels have theirs in a column.

    Examples:
      ptheta sample runs/vae --out grid.png
      ptheta sample runs/cvae -n 1000 --label 7 --out sevens
    """
    condition = asked(run, options)
    show(ptheta.sample(run, condition=condition, **options))


@cli.command(panel=USE)
@RUN
@click.option(
    "--image",
    type=types.SOURCE,
    help="Picture to complete, or folder of them. By default test images.",
)
@click.option(
    "--mask",
    type=types.SOURCE,
    help="Picture that is white where pixels are unknown (grey is taken as white from half on), as "
    "large as the image, or as those of the run, and then stretched; a folder of them with the "
    "names of the images; the name of the unknown part: upper, lower, left, right, border, "
    "centre, half, or a random hole, strokes or pixels; or the box that is unknown, "
    "left,top,right,bottom in pixels, right and bottom being the first ones beyond it: 4,4,12,12.",
)
@click.option("--known", help="The same names, for the part that is given.  [default: upper]")
@beside_pictures
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test images.  [default: 8, with --measure 50]",
)
@click.option(
    "--each",
    type=types.LAYERED,
    help="Number of completions of each image.  [default: 1 of a picture, 7 of a test image, with "
    "--measure 4]",
)
@whole(
    "--candidates",
    1,
    "Number of completions to choose from, where known pixels follow unknown ones; of a GAN, of "
    "codes that are tried.",
    types.LAYERED,
)
@click.option(
    "--search-steps",
    type=types.Whole(0),
    help="Steps of a GAN's search for a code.  [default: those of its training options, 200]",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Write nothing: hide parts of test images by five masks, complete them, and print how "
    "near that is and how much completions differ, beside what needs no learning.",
)
@JSON
@DATA
@SEED
@out_unless
@THREADS
def inpaint(run: str, measure: bool, as_json: bool, **options: Parsed) -> None:
    """Complete images of which only a part is known.

    Into a folder, pictures of yours (--image) are written as large as they are, under their own
    names. Else each image is written in a row with its known part and the completions. Known
    pixels stay what they are.

    Examples:
      ptheta inpaint runs/pixelcnn --known upper --out completed.png
      ptheta inpaint runs/vae --image photos --mask 4,4,12,12 --out done
    """
    if measure:
        refuse(SHOWING, "is of pictures to complete, and --measure measures")
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
        raise PthetaError("name --out, the file or folder to write; or --measure")
    condition = asked(run, options)
    done = ptheta.inpaint(run, condition=condition, **options)
    if as_json:
        click.echo(json.dumps(done.to_json(), indent=2))
    else:
        show(done)


@cli.command(panel=LOOK)
@RUN
@NUMBER
@DATA
@out
@THREADS
def surprise(**options: Parsed) -> None:
    """Map how unexpected each pixel is, given the earlier ones.

    Each test image is written beside its map, in which white is the most unexpected.

    Examples:
      ptheta surprise runs/pixelcnn --out bits.png
      ptheta surprise runs/made -n 4 --scale 6 --out bits.png
    """
    show(ptheta.surprise(**options))


@cli.command(panel=USE)
@RUN
@click.argument("input", type=types.SOURCE, required=False)
@click.option("--to", metavar="DOMAIN", help="Domain that is wanted, where there are several.")
@whole("--styles", 1, "Number of answers to each, of a model that knows several.", types.LAYERED)
@click.option(
    *("-n", "--number", "n"),
    type=types.COUNT,
    help="Number of test inputs (8 by default), or of pictures of a folder (all by default).",
)
@click.option(
    "--size",
    type=types.SIDE,
    help="Pixels that the shorter side of a picture is brought to. By default it stays as it is.",
)
@click.option(
    "--tile",
    type=types.TILE,
    help="Side in pixels of the tiles that a picture of more than tile x tile pixels is worked at "
    "in.  [default: 1024]",
)
@click.option(
    "--from-target",
    is_flag=True,
    help="Of a run whose inputs are made of images (--pairs edges and the like): INPUT is such "
    "images. Each is written as a row of the input that is made of it, the outputs, and itself.",
)
@WEIGHTS
@DATA
@SEED
@out
@THREADS
def translate(**options: Parsed) -> None:
    """Carry pictures over to what they are paired with, or a domain.

    INPUT is a picture or a folder of pictures; the answers have their names, in the folder --out
    (or in a file, of one picture). The same command continues where it was stopped. Without INPUT,
    test inputs of the run's data are shown in a grid, each with its outputs, its target, and the
    training target that is nearest to the output.

    Examples:
      ptheta translate runs/pix2pix --out test.png
      ptheta translate runs/pix2pix drawings --out answers
    """
    show(ptheta.translate(**options))
