"""The `traverse` function: vary one dimension or named part of a code at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.films import FILMED, Moving, Screen
from ptheta.api.grid import Grid, conditions_with
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Own, rows_of_pictures
from ptheta.batch import Condition
from ptheta.capabilities import Decodes, Encodes
from ptheta.compute.streams import seeded
from ptheta.data.memory import Source
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.arithmetic import codes_of
from ptheta.tasks.conditions import rows_asked
from ptheta.tasks.needs import DecodesPrior, prior_cure, require
from ptheta.tasks.traverse import axes, fixed, most_answered
from ptheta.training.translations import conditions_shown

USED_BY = 1000  # test images from which the most active dimensions are determined
ROWS = 8


@dataclass(frozen=True)
class Start:
    """Starting codes (B, L) and their conditions; source: description of their origin"""

    z: Tensor
    y: Condition | None
    source: str


@on_device
def traverse(
    run: str | Path | Run,
    n: int | None = None,
    *,
    dims: Sequence[int | str] | None = None,
    codes: Sequence[str] = (),
    steps: int | None = None,
    reach: float = 3.0,
    image: int | str | Path | None = None,
    starts: int = 1,
    condition: Mapping[str, Sequence[str]] | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int | None = None,
    out: str | Path | None = None,
    fps: float | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Vary one dimension of a latent code at a time, one row for each; in a film, all at once.

    Args:
        run: run folder, or a `Run`
        n: number of rows (default 8): named parts of the code first (InfoGAN's c0, ...), then the
            most active dimensions on test images if the model has an encoder, else those that
            change images most
        dims: dimensions to vary instead, by index or name: [0, 3], ["c0", "z5"]
        codes: parts of the code fixed in all rows, "c0=3"; without a value, the part is added to
            `dims`
        steps: images in a row (default 9, in a film 16; for a category, all its values)
        reach: range of each row, from -reach to reach, under N(0, 1)
        image: starting point: index of a test image, image file or folder; default: test image 0 if
            the model has an encoder, else a code drawn from the prior
        starts: number of codes to start from, each with its own rows; test images from index
            `image`
        condition: condition of a drawn code or of images, for a conditional model
        data, weights, out, scale: as for `sample`
        seed: seed of a code drawn from the prior to start from
        fps: frames per second of a film (default 8)
        device: as for `ptheta.sample`

    Raises:
        PthetaError: for unknown parts of the code, or if the model does not decode images from
            codes
    """
    check_numbers(n=n, seed=seed, starts=starts)
    screen, opened = Screen.at(out, scale, fps), Run.open(run)
    images_only(opened.spec, "this use")
    model = opened.model(weights)
    require(model, Decodes, "show its latent space")
    given, free = _given(codes)
    start = _start(_Asked(opened, model, image, starts, condition, data, seed))
    named = None if dims is None and not free else [*(dims or ()), *free]
    chosen = _chosen(opened, model, data, n, named, given)
    size = start.z.shape[1]
    z = fixed(model, start.z, given)
    rows = axes(model, size, chosen, _steps(screen, model, size, chosen, steps, reach), reach)
    steps = len(rows[0].values)
    screen.check(len(z), len(rows), steps, opened.spec)
    made = _made(model, replace(start, z=z), chosen, steps, reach)
    names = tuple(axis.name for axis in rows)
    x = made.unflatten(1, (len(rows), steps))
    about = f"dimensions {', '.join(names)} of {start.source}, one per row"
    return screen.write(Moving(x, names), about)


def _chosen(
    run: Run,
    model: nn.Module,
    data: Source | None,
    n: int | None,
    named: Sequence[int | str] | None,
    given: Mapping[str, float],
) -> Sequence[int | str]:
    """The dimensions of the rows. Raises PthetaError if both their number and names are given."""
    if named is None:
        return [
            dim for dim in _usual(run, model, data, ROWS if n is None else n) if dim not in given
        ]
    if n is not None:
        raise PthetaError(f"-n {n}: the dimensions are given by name: leave it out")
    return named


def _made(
    model: nn.Module, start: Start, dims: Sequence[int | str], steps: int, reach: float
) -> Tensor:
    """Decoded images for each code: (B, len(dims) * steps, C, H, W)."""
    each = [None if start.y is None else start.y[i : i + 1] for i in range(len(start.z))]
    made = [
        tasks.traverse(model, one, dims, steps=steps, reach=reach, condition=y)
        for one, y in zip(start.z, each, strict=True)
    ]
    return torch.stack(made)


def _given(codes: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Parses the fixed values of named parts, and the parts without a value. Raises PthetaError for
    invalid or duplicate values."""
    given: dict[str, float] = {}
    free = []
    for text in codes:
        name, equals, value = text.partition("=")
        if not equals:
            free.append(name)
            continue
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise PthetaError(f"--code {text}: want a finite number, such as {name}=1")
        if name in given:
            raise PthetaError(f"--code {text}: {name} has a value already")
        given[name] = number
    return given, free


def _steps(
    screen: Screen,
    model: nn.Module,
    size: int,
    dims: Sequence[int | str],
    asked: int | None,
    reach: float,
) -> int | None:
    """Number of images in a row: more in a film, unless a category determines it."""
    if asked is not None or screen.film is None:
        return asked
    categories = any(axis.part.category for axis in axes(model, size, dims, None, reach))
    return None if categories else FILMED


def _usual(run: Run, model: nn.Module, data: Source | None, n: int) -> Sequence[int | str]:
    """The most active dimensions."""
    if not isinstance(model, Encodes):
        return most_answered(model)[:n]
    batch = in_turn(run.data("test", data)).batch(slice(0, USED_BY))
    return tasks.most_used(model, batch.x, conditions_with(run, batch))[:n]


@dataclass(frozen=True)
class _Asked:
    run: Run
    model: nn.Module
    image: int | str | Path | None
    starts: int
    condition: Mapping[str, Sequence[str]] | None
    data: Source | None
    seed: int | None


def _start(asked: _Asked) -> Start:
    """Codes of images, or codes drawn from the prior."""
    encodes, image = isinstance(asked.model, Encodes), asked.image
    if image is not None and asked.seed is not None:
        raise PthetaError("--seed and --image both give the starting code: leave one out")
    if image is None and (asked.seed is not None or not encodes):
        if asked.data is not None and not encodes:
            raise PthetaError(
                "--data is not used for a code drawn from the prior: leave it out, or give --image"
            )
        return _drawn(asked)
    if image is not None and not isinstance(image, int):
        return _of_pictures(asked, image)
    if asked.condition:
        raise PthetaError("test images have their own conditions: leave these out, or give --seed")
    first, test = image or 0, asked.run.data("test", asked.data)
    if not 0 <= first <= first + asked.starts - 1 < len(test):
        raise PthetaError(
            f"--image {first}{f' and {asked.starts - 1} more' * (asked.starts > 1)}: there are "
            f"{len(test)} test images, 0 to {len(test) - 1}"
        )
    batch = test.batch(slice(first, first + asked.starts))
    y = conditions_with(asked.run, batch)
    last = first + asked.starts - 1
    source = f"test image {first}" if last == first else f"test images {first} to {last}"
    return Start(codes_of(asked.model, batch.x, y), y, source)


def _of_pictures(asked: _Asked, image: str | Path) -> Start:
    y = rows_of_pictures(asked.model, asked.condition)
    spec = images_only(asked.run.spec, "this use")
    own = Own.at(image, asked.model, spec, "changes")
    x = own.first(asked.starts)
    rows = None if y is None else y[torch.arange(len(x)) % len(y)]
    return Start(codes_of(asked.model, x, rows), rows, f"{image}")


def _drawn(asked: _Asked) -> Start:
    model, n = asked.model, asked.starts
    prior = require(model, DecodesPrior, "show its latent space", prior_cure(model))
    if asked.condition:
        some = rows_asked(model, asked.condition)
        y: Condition | None = some[torch.arange(n) % len(some)]
    else:
        y = conditions_shown(model, n, lambda: asked.run.data("test", asked.data))
    seed = asked.seed or 0
    with seeded(seed), torch.no_grad():
        z = prior.sample_latent(n, y)
    return Start(z, y, f"{n} code{'s' * (n > 1)} of seed {seed}")
