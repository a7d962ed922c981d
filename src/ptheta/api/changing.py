"""The `arithmetic` function: edit images by vector arithmetic on their codes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.api.films import FILMED, Moving, Screen
from ptheta.api.grid import Grid, conditions_with
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Own, rows_of_pictures
from ptheta.batch import Condition
from ptheta.conditions import word
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.selection import LABEL, matching, values_of
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError, unknown
from ptheta.files.atomic import make_folder
from ptheta.files.out import check_file
from ptheta.files.paths import expand
from ptheta.files.tensors import load_tensors, save_tensors
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.arithmetic import (
    Groups,
    closed_form,
    codes_of,
    difference,
    moved,
    slope,
)

EACH = 200  # images of a group from whose codes a direction is computed
SHOWN = 8
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
TURNS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # steps along a numeric attribute or a closed-form direction


@dataclass(frozen=True)
class Ways:
    """How the direction is defined; exactly one must be given.

    plus, minus: groups: NAME=VALUE,... or a class of training images, or image files; along: a
        numeric attribute of training images; closed: number of closed-form directions; saved: a
        file
    """

    plus: str | None
    minus: str | None
    along: str | None
    closed: int | None
    saved: str | Path | None

    def check(self) -> None:
        """Raises PthetaError unless exactly one is given."""
        given = {
            "--plus": self.plus,
            "--along": self.along,
            "--closed-form": self.closed,
            "--direction": self.saved,
        }
        named = [flag for flag, value in given.items() if value is not None]
        if len(named) != 1:
            raise PthetaError(
                f"{' and '.join(named) or 'no direction'}: give one of {', '.join(given)}"
            )
        if self.minus is not None and self.plus is None:
            raise PthetaError("--minus needs --plus: give the group to move towards as well")


@dataclass(frozen=True, repr=False)
class Moved(Grid):
    """Result of `ptheta.arithmetic`.

    directions: by name, (N or 1, L): one for each image, or one for all
    codes: codes of the original images, (N, L); strengths: step sizes of the columns
    """

    directions: Mapping[str, Tensor] = None  # type: ignore[assignment]
    codes: Tensor = None  # type: ignore[assignment]
    strengths: tuple[float, ...] = ()


@dataclass(frozen=True)
class Found:
    """Directions by name, each (L,) or one for each image (N, L), and whether they can be saved."""

    each: dict[str, Tensor]

    @property
    def fixed(self) -> dict[str, Tensor]:
        return {name: one for name, one in self.each.items() if one.ndim == 1}


@on_device
def arithmetic(
    run: str | Path | Run,
    *,
    plus: str | None = None,
    minus: str | None = None,
    along: str | None = None,
    closed_form: int | None = None,
    direction: str | Path | None = None,
    image: str | Path | None = None,
    where: Sequence[str] = (),
    condition: Mapping[str, Sequence[str]] | None = None,
    n: int = SHOWN,
    each: int = EACH,
    near: int | None = None,
    strengths: Sequence[float] | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    save: str | Path | None = None,
    fps: float | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Moved:
    """Edit images by moving their latent codes along a direction and decoding them.

    Give exactly one kind of direction: `plus` (with `minus`), `along`, `closed_form` or
    `direction`. In a film (.gif) each original is shown still above the moving image.

    Args:
        run: run folder, or a `Run`
        plus: group to move the images towards: NAME=VALUE,... (attributes or `label`), a class of
            training images, or an image file or folder
        minus: group to move the images away from. Default: for an attribute or label, the group
            with the image's own value, which is looked up or else taken from the nearest mean code
        along: numeric or ordered attribute to move along
        closed_form: number of closed-form directions
        direction: file of directions written by `save`
        image: image file or folder to edit; default: n test images
        where: select the test images by NAME=VALUE, ...
        condition: conditions of the images in `image`, cycled through
        n: number of test images
        each: maximum number of images in a group
        near: number of images of the image's own group to use, those with the nearest codes, each
            matched with the most similar images of the other group; default: all, by the means of
            both groups
        strengths: step sizes; 1 is the distance between the groups, or one standard deviation with
            `along`
        data: new location of the run's data
        weights: "best" or "last" weights of the run
        seed: random seed
        out, scale: as for `sample`
        save: .safetensors file to write the direction to
        fps: frames per second of a film (default 8)
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model does not decode images from codes, if a group is empty, or unless
            exactly one direction is given
    """
    check_numbers(n=n, each=each, near=near, seed=seed)
    ways = Ways(plus, minus, along, closed_form, direction)
    ways.check()
    if near is not None and plus is None:
        raise PthetaError("--near applies only to groups (--plus): leave it out")
    screen, opened = Screen.at(out, scale, fps), Run.open(run)
    images_only(opened.spec, "arithmetic")
    place = None if save is None else check_file(save, (".safetensors",), flag="--save")
    how_far = _how_far(ways, strengths, screen)
    model = opened.model(weights)
    shown = _shown(opened, model, image, where, condition, n, data, seed)
    known = _Known(opened, model, each, near, data, seed)
    found = _directions(ways, model, known, shown)
    if place is not None:
        _save(found, place, opened)
    return _written(opened, model, shown, found, how_far, screen)


def _in_steps(usual: tuple[float, ...], screen: Screen) -> tuple[float, ...]:
    """Default step sizes; finer in a film."""
    if screen.film is None:
        return usual
    return tuple(np.linspace(usual[0], usual[-1], FILMED).tolist())


def _how_far(ways: Ways, strengths: Sequence[float] | None, screen: Screen) -> tuple[float, ...]:
    """The given step sizes, else the defaults. Raises PthetaError for non-finite numbers."""
    usual = STRENGTHS if ways.plus is not None or ways.saved is not None else TURNS
    found = _in_steps(usual, screen) if strengths is None else tuple(strengths)
    if not all(math.isfinite(s) for s in found) or not found:
        raise PthetaError(f"--strength {list(found)}: want finite numbers")
    return found


@dataclass(frozen=True)
class Shown:
    """The images to edit, with their codes, conditions and, for test images, attributes."""

    x: Tensor
    codes: Tensor
    y: Condition | None
    data: Dataset | None


def _shown(
    run: Run,
    model: nn.Module,
    image: str | Path | None,
    where: Sequence[str],
    condition: Mapping[str, Sequence[str]] | None,
    n: int,
    data: Source | None,
    seed: int,
) -> Shown:
    if image is not None:
        if where:
            raise PthetaError(
                "--where selects test images and cannot be combined with --image: leave it out"
            )
        rows = rows_of_pictures(model, condition)
        own = Own.at(image, model, images_only(run.spec, "arithmetic"), "changes")
        x = torch.stack([own.read(i) for i in range(min(n, len(own)))])
        y = None if rows is None else rows[torch.arange(len(x)) % len(rows)]
        return Shown(x, codes_of(model, x, y, seed=seed), y, None)
    if condition:
        raise PthetaError("test images have their own conditions: leave these out, or give --image")
    test = run.data("test", data)
    if where:
        test = test.subset(matching(test, where, "--where"))
    some = in_turn(test).subset(slice(0, n))
    batch = some.batch(slice(0, n))
    y = conditions_with(run, batch)
    return Shown(batch.x, codes_of(model, batch.x, y, seed=seed), y, some)


@dataclass(frozen=True)
class _Known:
    """The training images from which directions are computed."""

    run: Run
    model: nn.Module
    each: int
    near: int | None
    data: Source | None
    seed: int

    def train(self) -> Dataset:
        found = self.run.look(self.data).images
        if found is None:
            raise PthetaError(
                "the run's training images, from which the direction is computed, are not "
                "available: give --data, or folders of images"
            )
        return found

    def codes(self, data: Dataset) -> Tensor:
        """Codes of a random subset."""
        batch = data.shuffled(self.seed).batch(slice(0, self.each))
        return codes_of(self.model, batch.x, conditions_with(self.run, batch), seed=self.seed)

    def named(self, text: str | None) -> str | None:
        """Expands a class name to label=NAME, unless an image file has that name."""
        if text is None or "=" in text or expand(text).exists():
            return text
        return f"{LABEL}={text}" if text in self.train().present_classes() else text

    def group(self, text: str, flag: str) -> Tensor:
        """The codes of a group, (M, L)."""
        if "=" in text and not expand(text).exists():
            train = self.train()
            return self.codes(train.subset(matching(train, text.split(","), flag)))
        if self.run.condition is not None:
            raise PthetaError(
                f"{flag} {text}: this model is conditional on {word(self.run.condition)}, which "
                "image files do not have: give a group of training images (NAME=VALUE)"
            )
        spec = images_only(self.run.spec, "arithmetic")
        own = Own.at(text, self.model, spec, "changes", flag)
        x = torch.stack([own.read(i) for i in range(min(self.each, len(own)))])
        return codes_of(self.model, x, seed=self.seed)


def _directions(ways: Ways, model: nn.Module, known: _Known, shown: Shown) -> Found:
    if ways.saved is not None:
        return Found(_load(ways.saved))
    if ways.closed is not None:
        vectors = closed_form(model, ways.closed)
        sd = shown.codes.std(0, correction=0).mean() if len(shown.codes) > 1 else torch.tensor(1.0)
        step = float(sd) or 1.0
        return Found({f"closed form {i + 1}": step * v for i, v in enumerate(vectors)})
    if ways.along is not None:
        train = known.train().shuffled(known.seed).subset(slice(0, 10 * known.each))
        values = _numbers(train, ways.along)
        batch = train.batch(slice(0, len(train)))
        codes = codes_of(model, batch.x, conditions_with(known.run, batch), seed=known.seed)
        return Found({f"along {ways.along}": slope(codes, values)})
    to, away = known.named(ways.plus), known.named(ways.minus)
    assert to is not None
    if away is not None:
        plus, minus = known.group(to, "--plus"), known.group(away, "--minus")
        name = f"{to} - {away}"
        if known.near is None:
            return Found({name: difference(minus, plus)})
        groups, own = Groups({"+": plus, "-": minus}), ["-"] * len(shown.codes)
        return Found({name: groups.towards("+", shown.codes, own, known.near)})
    return Found({f"towards {to}": _from_own(to, known, shown)})


def _from_own(text: str, known: _Known, shown: Shown) -> Tensor:
    """Directions from the group of each image to the given one: (N, L)."""
    name, _, value = text.partition("=")
    if not value or "," in text:
        raise PthetaError(f"--plus {text}: also give the group to move away from (--minus)")
    train = known.train()
    asked = matching(train, [text], "--plus")
    words = values_of(train, name)
    target = str(words[asked][0])
    every = dict.fromkeys(words.tolist())
    groups = Groups({word: known.codes(train.subset(words == word)) for word in every})
    own = _own_groups(shown, name, groups)
    if own is None:
        warnings.warn(
            f"{name} of the images is unknown: assigned by the nearest mean code",
            stacklevel=4,
        )
        own = groups.nearest(shown.codes)
    return groups.towards(target, shown.codes, own, known.near)


def _own_groups(shown: Shown, name: str, groups: Groups) -> list[str] | None:
    """The group of each image, if known."""
    if shown.data is None:
        return None
    there = name in shown.data.attributes_named() or (
        name == LABEL and shown.data.labels is not None
    )
    if not there:
        return None
    own: list[str] = values_of(shown.data, name).tolist()
    return own if all(one in groups.codes for one in own) else None


def _numbers(data: Dataset, name: str) -> Tensor:
    """An attribute as numbers: its values, or the ranks of its words."""
    if data.attributes is None:
        raise PthetaError(
            f"--along {name}: these {data.examples} have only labels, which are not ordered: "
            "give groups (--plus, --minus)"
        )
    if name not in data.attributes_named():
        raise unknown("attribute for --along", name, data.attributes_named())
    column = data.attributes_named().index(name)
    rows = data.rows(slice(None))
    return torch.as_tensor(np.asarray(data.attributes[rows, column], dtype=np.float32))


def _written(
    run: Run,
    model: nn.Module,
    shown: Shown,
    found: Found,
    strengths: tuple[float, ...],
    screen: Screen,
) -> Moved:
    steps, n = len(strengths), len(shown.x)
    screen.check(n, 1 + len(found.each), steps, run.spec)
    walks = {
        name: moved(model, shown.codes, one, strengths, shown.y).unflatten(0, (n, steps))
        for name, one in found.each.items()
    }
    moving = _moving(shown.x, walks, strengths, still=screen.film is not None)
    about = f"{n} images, {', '.join(found.each)}"
    grid = screen.write(moving, about)
    return Moved(
        *(grid.images, grid.columns, about, grid.path),
        directions=found.each,
        codes=shown.codes,
        strengths=strengths,
    )


def _moving(
    x: Tensor, walks: Mapping[str, Tensor], strengths: tuple[float, ...], *, still: bool
) -> Moving:
    """Images next to their edited versions, (N, steps, C, H, W) by direction; each row begins with
    the original. still: show the original as a separate still member (films)."""
    if still:
        stays = x[:, None].expand_as(next(iter(walks.values())))
        return Moving(torch.stack([stays, *walks.values()], 1), ("image", *walks))
    rows = torch.stack([torch.cat([x[:, None], walk], 1) for walk in walks.values()], 1)
    headings = ("image", *(f"{s:+g}" if s else "its code" for s in strengths))
    return Moving(rows, headings=headings)


def _save(found: Found, place: Path, run: Run) -> None:
    """Raises PthetaError if the directions differ between images."""
    if not found.fixed:
        raise PthetaError(
            "--save needs one direction for all images, but without --minus or with --near each "
            "image has its own: give --minus and leave --near out"
        )
    make_folder(place.parent)
    save_tensors(place, found.fixed, {"run": run.path.name, "model": run.plan.model})


def _load(path: str | Path) -> dict[str, Tensor]:
    found = {name: one.float() for name, one in load_tensors(expand(path)).items()}
    if not found or any(one.ndim != 1 or not one.isfinite().all() for one in found.values()):
        raise PthetaError(f"--direction {path}: want one-dimensional tensors of finite numbers")
    return found
