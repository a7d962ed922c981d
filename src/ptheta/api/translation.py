"""The `translate` function: translate given images, or test inputs of a run in a grid."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, Unpack, overload

import torch
from torch import nn

from ptheta.api.draw import identity
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.pictures import Given, Reader, pictures_of
from ptheta.api.places import Places
from ptheta.api.record import Identity
from ptheta.api.translating import (
    Translations,
    Way,
    translate_all,
    translate_into,
)
from ptheta.capabilities import varied
from ptheta.data.memory import Source
from ptheta.data.names import called
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import LabelMapSpec, images_only
from ptheta.tasks.shown import shown
from ptheta.tasks.tiling import TILE
from ptheta.tasks.translate import domain, translator_of

TESTED = 8  # default number of test inputs


class TranslateOptions(TypedDict, total=False):
    """The keyword arguments of `translate`."""

    n: int | None
    size: int | None
    tile: int | None
    from_target: bool
    weights: str
    data: Source | None
    seed: int
    out: str | Path | None
    scale: int | None
    device: str | None


@overload
def translate(
    run: str | Path | Run,
    input: None = None,
    to: str | None = None,
    styles: int = 1,
    **options: Unpack[TranslateOptions],
) -> Grid: ...


@overload
def translate(
    run: str | Path | Run,
    input: Given,
    to: str | None = None,
    styles: int = 1,
    **options: Unpack[TranslateOptions],
) -> Translations: ...


@on_device
def translate(
    run: str | Path | Run,
    input: Given | None = None,
    to: str | None = None,
    styles: int = 1,
    *,
    n: int | None = None,
    size: int | None = None,
    tile: int | None = None,
    from_target: bool = False,
    weights: str = "best",
    data: Source | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid | Translations:
    """Translate images to their paired target or to another domain.

    Args:
        run: run folder, or a `Run`
        input: image file or folder; or images in memory: Pillow images, arrays, tensors, or a list
            of these. Default: test inputs of the run's data, each in a row with its outputs, its
            target, and the training target nearest to the first output
        to: name of the target domain, if the model has several. Default for test inputs of two
            domains: the other one
        styles: number of outputs per input, for a model with several styles
        n: number of test inputs (default 8), or of images of a folder (default all)
        size: resize the shorter side of each image to this many pixels; default: images keep their
            size
        tile: process images of more than tile^2 pixels in tiles of this side (default 1024)
        from_target: for a run whose inputs are derived from targets: `input` contains targets, and
            each output is written between the derived input and the target
        weights: as for `Run.model`
        data: new location of the test inputs, or other data
        seed: random seed, for the outputs and the order of the test inputs
        out: folder, or file for one image; outputs take the names of the inputs, numbered if there
            are several. An interrupted call resumes. For test inputs: as for `sample`
        scale: for test inputs, as for `sample`
        device: as for `ptheta.sample`

    Returns:
        `Translations` of the given images, or a `Grid` of test inputs.

    Raises:
        PthetaError: if the model cannot translate, for an unknown domain, if a file is not an
            image, for a number out of range (`ptheta.api.limits`), or for options that apply only
            to test inputs or only to `input`
    """
    check_numbers(styles=styles, n=n, size=size, seed=seed)
    opened = Run.open(run)
    pictures, tests = {"--size": size, "--tile": tile}, {"--data": data, "--scale": scale}
    if input is None:
        if from_target:
            raise PthetaError("--from-target applies only to given images (INPUT): leave it out")
        _refuse(pictures, "applies only to given images (INPUT)")
        wanted = Way(None, styles, seed, TILE)
        output = Output.at(out, scale)
        return _of_tests(opened, weights, to, wanted, TESTED if n is None else n, data, output)
    _refuse(tests, "applies only to test inputs, and images are given")
    model = opened.model(weights)
    way = Way(domain(model, to), styles, seed, TILE if tile is None else tile)
    _say_alike(model, styles)
    reader = Reader.of(opened, translator_of(model).input_spec(), size, from_target=from_target)
    return _of_pictures(opened, model, input, way, reader, n, out, weights)


def _refuse(options: Mapping[str, object], why: str) -> None:
    for flag, value in options.items():
        if value is not None:
            given = value if isinstance(value, int) else called(value)
            raise PthetaError(f"{flag} {given}: this {why}: leave it out")


def _say_alike(model: nn.Module, styles: int) -> None:
    if styles > 1 and not varied(model):
        warnings.warn(
            f"--styles {styles}: this model is deterministic, so all {styles} outputs are "
            "identical",
            stacklevel=4,
        )


def _of_pictures(
    run: Run,
    model: nn.Module,
    given: Given,
    way: Way,
    reader: Reader,
    n: int | None,
    out: str | Path | None,
    weights: str,
) -> Translations:
    spec = images_only(run.spec, "a translation")
    pictures, many = pictures_of(given)
    pictures = pictures[:n]
    if out is None:
        return translate_all(model, pictures, reader, way, None)
    lossless = isinstance(spec, LabelMapSpec)
    each = way.styles if reader.made is None else 1
    places = Places.of(out, pictures, each, many=many, lossless=lossless)
    if not many:
        return translate_all(model, pictures, reader, way, places)
    asked_for: Identity = {
        **identity(run, weights),
        "pictures": str(Path(given).resolve()) if isinstance(given, str | Path) else "in memory",
        "to": way.to,
        "styles": way.styles,
        "seed": way.seed,
        "size": reader.side,
        "from target": int(reader.made is not None),
        "tile": way.tile,
        "torch": str(torch.__version__),
    }
    return translate_into(model, pictures, reader, way, places, asked_for)


def _of_tests(
    run: Run,
    weights: str,
    to: str | None,
    way: Way,
    n: int,
    data: Source | None,
    output: Output,
) -> Grid:
    """Translates test inputs: a row for each, with outputs, target and nearest training target."""
    spec = images_only(run.spec, "a translation")
    model = run.model(weights)
    translator = translator_of(model)
    number = None if to is None and len(translator.domains()) == 2 else domain(model, to)
    _say_alike(model, way.styles)
    found = run.look(data)
    if (text := run.remark(found, data)) is not None:
        warnings.warn(text, stacklevel=4)
    count = min(n, len(found.test)) * (way.styles + 3)
    output.check(count, max(spec, translator.input_spec(), key=lambda of: of.channels))
    made = shown(model, found.test, found.train, n, to=number, styles=way.styles, seed=way.seed)
    about = f"{len(made.inputs)} test inputs"
    if way.styles > 1:
        about = f"{about}, {way.styles} outputs each"
    if made.error is not None:
        about = f"{about}, {made.error:.1f} of 255 from the target on average"
    return output.write(Images.of(made.rows, made.headings), about, len(made.headings))
