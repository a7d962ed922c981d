"""The `interpolate` function: between images (of one or several models), codes, or conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.ends import FROM, TO, Between, Ends, Ways, conditions_of, of_tests
from ptheta.api.films import Moving, Screen
from ptheta.api.grid import Block, Grid
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.batch import Condition
from ptheta.capabilities import Blends, Encodes
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.turns import positions
from ptheta.errors import PthetaError
from ptheta.extractors.placed import placed
from ptheta.extractors.table import choose_extractor
from ptheta.measures.results import Estimate
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.denoise.score import ends as interval
from ptheta.tasks.interpolate import between as walk_between
from ptheta.tasks.midway import FADE, PIXELS, Far, cross_fade, distances, midways
from ptheta.training.translations import conditions_shown

WALKS, STEPS = 8, 10
MEASURED = 100  # walks in the table
HEADS = ("", "ends", "middle", "midpoint farther by")


@dataclass(frozen=True, repr=False)
class Walks(Grid):
    """Interpolations, with distances of their midpoints to the training images, compared with a
    cross-fade.

    midway: by name of the distance and of the run; empty if not computed
    measured: number of walks used; remarks: why it was not computed
    """

    midway: Mapping[str, Mapping[str, Far]] = field(default_factory=dict)
    measured: int = 0
    remarks: tuple[str, ...] = ()

    def blocks(self) -> list[Block]:
        """A table for each distance."""
        tables = [
            Block(_title(name, self.measured), [HEADS, *map(_row, far.items())], _verdicts(far))
            for name, far in self.midway.items()
        ]
        return [*tables, Block(lines=self.remarks)] if self.remarks else tables

    def to_json(self) -> dict[str, object]:
        midway = {
            name: {who: one.to_json() for who, one in far.items()}
            for name, far in self.midway.items()
        }
        about = {"measured": self.measured, "midway": midway, "remarks": list(self.remarks)}
        return {**super().to_json(), **about}


def _title(name: str, n: int) -> str:
    what = "RMS over pixels, 0 to 255" if name == PIXELS else f"in features of {name}"
    return f"Distance to the nearest training image, {what}; {n} walks"


def _row(one: tuple[str, Far]) -> tuple[str, ...]:
    name, far = one
    return (name, f"{far.ends.value:.4g}", f"{far.middle.value:.4g}", _with_ends(far.farther))


def _with_ends(found: Estimate) -> str:
    sides = interval(found)
    return f"{found.value:.3g}" + ("" if sides is None else f" ({sides[0]:.3g} to {sides[1]:.3g})")


def _verdicts(far: Mapping[str, Far]) -> list[str]:
    """A line for each run: whether its midpoints are nearer than those of the cross-fade."""
    return [_verdict(name, one.nearer) for name, one in far.items() if one.nearer is not None]


def _verdict(name: str, nearer: Estimate) -> str:
    sides = interval(nearer)
    if sides is None or sides[0] <= 0 <= sides[1]:
        return f"{name}: its midpoints do not differ significantly from the {FADE}'s"
    turned, word = (nearer, "nearer") if sides[0] > 0 else (_minus(nearer), "farther")
    return f"{name}: its midpoints are {_with_ends(turned)} {word} than the {FADE}'s"


def _minus(found: Estimate) -> Estimate:
    assert found.value is not None
    draws = None if found.draws is None else found.draws.each(lambda value: -value)
    return Estimate(-found.value, found.error, draws)


@dataclass(frozen=True)
class Looked:
    """Runs whose walks are shown together.

    models: by name, with their runs; test: the test images of each, if walks are between test
        images
    """

    runs: Mapping[str, Run]
    models: Mapping[str, nn.Module]
    data: Source | None

    @classmethod
    def at(
        cls, runs: str | Path | Run | Sequence[str | Path | Run], weights: str, data: Source | None
    ) -> Looked:
        """Raises PthetaError for no run, duplicate runs, and runs that are not of images."""
        every = [runs] if isinstance(runs, str | Path | Run) else list(runs)
        opened = [Run.open(run) for run in every]
        if not opened:
            raise PthetaError("no run: give at least one")
        paths = [run.path for run in opened]
        short = [path.name for path in paths]
        names = short if len({*short, FADE}) > len(short) else [str(path) for path in paths]
        if len(set(names)) < len(names):
            raise PthetaError(f"{', '.join(names)}: give each run once")
        for run in opened:
            images_only(run.spec, "a walk")
        models = {name: run.model(weights) for name, run in zip(names, opened, strict=True)}
        return cls(dict(zip(names, opened, strict=True)), models, data)

    @property
    def first(self) -> tuple[Run, nn.Module]:
        name = next(iter(self.runs))
        return self.runs[name], self.models[name]

    def tests(self, name: str) -> Dataset:
        return self.runs[name].data("test", self.data)


@dataclass(frozen=True)
class How:
    """Options, as for `interpolate`."""

    straight: bool
    seed: int
    condition: Mapping[str, Sequence[str]] | None


@on_device
def interpolate(
    runs: str | Path | Run | Sequence[str | Path | Run],
    n: int | None = None,
    *,
    start: str | Path | None = None,
    end: str | Path | None = None,
    steps: int | None = None,
    images: bool | None = None,
    straight: bool = False,
    condition: Mapping[str, Sequence[str]] | None = None,
    measured: int | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int | None = None,
    out: str | Path | None = None,
    fps: float | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Walks:
    """Interpolate in the latent space: n walks of `steps` images, one per row, or a film (.gif).

    Args:
        runs: one run; or several, which interpolate between the same images above a pixel
            cross-fade
        n: maximum number of walks (default 8)
        start, end: ends of the walks: image files or folders, test images ("image=3,17"), or
            conditions of a conditional model (a label, a caption), interpolated with fixed noise;
            for an unconditional model, test images of a class or of NAME=VALUE,...
        steps: images in each walk (default 10, in a film 16)
        images: without start and end, walk between test images (True) or codes drawn from the prior
            (False); default: test images if the model has an encoder
        straight: interpolate linearly instead of along great circles
        condition: conditions of image files for a conditional model, those of start and end in turn
        measured: walks between test images whose midpoints are compared with all training images;
            default: 100 for several runs, 0 for one
        data, weights, out, scale: as for `sample`
        seed: seed of codes from the prior, of the noise of conditions, and of inversion (default 0)
        fps: frames per second of a film (default 8)
        device: as for `ptheta.sample`

    Raises:
        PthetaError: for an option without effect, for ends that are neither images nor conditions
            of the model, or if the model has no latent codes
    """
    check_numbers(n=n, measured=measured, seed=seed)
    screen = Screen.at(out, scale, fps)
    if (start is None) != (end is None):
        raise PthetaError(f"{FROM if end is None else TO} is missing: give {FROM} and {TO}")
    looked = Looked.at(runs, weights, data)
    how, walks = How(straight, seed or 0, condition), WALKS if n is None else n
    if (steps := screen.steps(steps, STEPS)) < 2:
        raise PthetaError(f"--steps {steps}: want 2 or more")
    if start is not None and end is not None:
        _check_given(images)
        return _given(looked, start, end, (walks, steps), how, screen, measured)
    if condition:
        raise PthetaError(f"conditions apply only to given images: give {FROM} and {TO}")
    model = looked.first[1]
    encodes = isinstance(model, Encodes)
    chosen = encodes or len(looked.runs) > 1 if images is None else images
    _check_walk(chosen, encodes, seed, data)
    if chosen:
        between = _test_images(looked, walks)
        return _of_images(looked, between, steps, how, screen, measured, "between test images")
    return _of_codes(looked, walks, steps, how, screen, measured)


def _given(
    looked: Looked,
    start: str | Path,
    end: str | Path,
    size: tuple[int, int],
    how: How,
    screen: Screen,
    measured: int | None,
) -> Walks:
    """Walks between the given ends. size: maximum number of walks, and steps"""
    run, model = looked.first
    meant = Ends(run, model, looked.data).meant(start, end, size[0])
    named = f"from {start} to {end}"
    if isinstance(meant, Ways):
        _check_ways(looked, how, measured)
        return _of_conditions(looked, meant, size, how, screen, named)
    return _of_images(looked, meant, size[1], how, screen, measured, named)


def _check_given(images: bool | None) -> None:
    if images is not None:
        flag = "--images" if images else "--codes"
        raise PthetaError(f"{flag} cannot be combined with {FROM} and {TO}: leave it out")


def _check_ways(looked: Looked, how: How, measured: int | None) -> None:
    """Raises PthetaError for options that do not apply to walks between conditions."""
    if len(looked.runs) > 1:
        raise PthetaError(
            "several runs need images as ends, and these are conditions: give one run"
        )
    if how.straight:
        raise PthetaError("--straight does not apply to walks between conditions: leave it out")
    if how.condition:
        raise PthetaError(f"{FROM} and {TO} already give the conditions: leave the others out")
    _no_measure(measured)


def _no_measure(measured: int | None) -> None:
    if measured is not None:
        raise PthetaError("--measured applies only to walks between test images: leave it out")


def _check_walk(between: bool, encodes: bool, seed: int | None, data: Source | None) -> None:
    """Raises PthetaError for an option without effect on walks between test images, or between
    codes."""
    if between and encodes and seed is not None:
        raise PthetaError(
            "--seed has no effect on walks between test images: leave it out, or give --codes"
        )
    if not between and data is not None:
        raise PthetaError(
            "--data has no effect on walks between codes of the prior: "
            f"{'leave out --codes' if encodes else 'leave it out, or give --images'}"
        )


def _walks(n: int, steps: int) -> str:
    return f"{n} walk{'s' * (n > 1)} of {steps} images"


# -- kinds of walks


def _of_conditions(
    looked: Looked, ways: Ways, size: tuple[int, int], how: How, screen: Screen, named: str
) -> Walks:
    run, model = looked.first
    screen.check(size[0], 1, size[1], run.spec)
    walk = walk_between(model, *size, ways.first, ways.last, seed=how.seed)
    about = f"{_walks(*size)} {named}, each with its own noise"
    return _written(Moving.rows(walk, size[1]), screen, about)


def _of_codes(
    looked: Looked, n: int, steps: int, how: How, screen: Screen, measured: int | None
) -> Walks:
    if len(looked.runs) > 1:
        raise PthetaError("--codes: codes of the prior differ between runs: give one run")
    _no_measure(measured)
    run, model = looked.first
    screen.check(n, 1, steps, run.spec)
    y = conditions_shown(model, n, lambda: run.data("test"))
    walk = tasks.interpolate(model, n, steps, condition=y, straight=how.straight, seed=how.seed)
    about = f"{_walks(n, steps)} between codes of the prior"
    return _written(Moving.rows(walk, steps), screen, about)


def _test_images(looked: Looked, n: int) -> Between:
    """The first n test images, of all classes, and the next n."""
    test = looked.tests(next(iter(looked.runs)))
    n = min(n, len(test) // 2)
    if n < 1:
        raise PthetaError(f"{len(test)} test images: at least two are needed")
    rows = positions(test)
    return Between(of_tests(test, rows[:n]), of_tests(test, rows[n : 2 * n]))


def _of_images(
    looked: Looked,
    between: Between,
    steps: int,
    how: How,
    screen: Screen,
    measured: int | None,
    named: str,
) -> Walks:
    n, several = len(between.first.x), len(looked.runs) > 1
    screen.check(n, len(looked.runs) + several, steps, looked.first[0].spec)
    walks = [_walk(looked, name, between, steps, how) for name in looked.runs]
    about = f"{_walks(n, steps)} {named}"
    names: tuple[str, ...] = ()
    if several:
        walks, names = [*walks, cross_fade(*between.x, steps)], (*looked.runs, FADE)
    moving = Moving(torch.stack(walks, 1), names)
    found = _measured(looked, between, how, measured)
    return _written(moving, screen, about, found)


def _walk(looked: Looked, name: str, between: Between, steps: int, how: How) -> Tensor:
    """Walks of one run: (N, steps, C, H, W)."""
    first, last = _conditions(looked, name, between, how)
    model = looked.models[name]
    walk = tasks.interpolate(
        *(model, len(between.first.x), steps),
        ends=between.x,
        condition=first,
        to=last if isinstance(model, Blends) else None,
        straight=how.straight,
        seed=how.seed,
    )
    found: Tensor = walk.cpu().unflatten(0, (-1, steps))
    return found


def _conditions(
    looked: Looked, name: str, between: Between, how: How
) -> tuple[Condition | None, Condition | None]:
    """Conditions of both ends. Raises PthetaError if a run has other test images than the first
    one."""
    run, model = looked.runs[name], looked.models[name]
    test = None
    for shown in (between.first, between.last):
        if shown.rows is None:
            continue
        test = looked.tests(name) if test is None else test
        own = test.batch(shown.rows).x if shown.rows.max() < len(test) else shown.x[:0]
        if not torch.equal(own, shown.x):
            first = next(iter(looked.runs))
            raise PthetaError(
                f"{name} and {first} have different test images ({run.spec}, and "
                f"{looked.first[0].spec}): give runs of the same data, or --data"
            )
    condition = how.condition if run.condition is not None or len(looked.runs) == 1 else None
    return conditions_of(run, model, between, condition, test)


def _measured(
    looked: Looked, between: Between, how: How, measured: int | None
) -> tuple[Mapping[str, Mapping[str, Far]], int, tuple[str, ...]]:
    """Midpoint distances of walks between test images, their number, and why there are none. Raises
    PthetaError if they are requested and cannot be computed."""
    if measured is not None and not between.of_tests:
        _no_measure(measured)
    if (measured is None and len(looked.runs) == 1) or not between.of_tests:
        return {}, 0, ()
    run = looked.first[0]
    train = run.look(looked.data).images
    if train is None:
        why = (
            "the run's training images, to which midpoints are compared, are not available: "
            "give --data"
        )
        if measured is not None:
            raise PthetaError(why)
        return {}, 0, (why,)
    some = _test_images(looked, MEASURED if measured is None else measured)
    walks = {name: _walk(looked, name, some, 3, how) for name in looked.runs}
    chosen = choose_extractor(looked.tests(next(iter(looked.runs))), None)[0]
    extractor = placed(chosen, run.device)
    found = midways(walks, *some.x, distances(train, extractor))
    return found, len(some.first.x), ()


def _written(
    moving: Moving,
    screen: Screen,
    about: str,
    found: tuple[Mapping[str, Mapping[str, Far]], int, tuple[str, ...]] = ({}, 0, ()),
) -> Walks:
    grid = screen.write(moving, about)
    midway, measured, remarks = found
    return Walks(
        *(grid.images, grid.columns, about, grid.path),
        midway=midway,
        measured=measured,
        remarks=remarks,
    )
