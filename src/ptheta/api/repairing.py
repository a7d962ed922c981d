"""The `denoise` and `reconstruct` functions, for test images or given images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.compared import Compared, Comparison
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output, conditions_with, side_by_side, squarish
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Own, make_of_pictures, rows_of_pictures
from ptheta.api.record import Identity
from ptheta.batch import Condition
from ptheta.capabilities import Denoises
from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.data.turns import in_turn
from ptheta.errors import PthetaError
from ptheta.measures.similarity import WINDOW
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.denoise import FLOORS, Damage, repaired, score
from ptheta.tasks.denoise.floors import Clean
from ptheta.tasks.denoise.principal import Principal, enough
from ptheta.tasks.needs import Autoencodes, require, require_one
from ptheta.tasks.reconstruction import score_reconstruction

NOISE, LEVEL = "gaussian", 0.5  # defaults for test images
SHOWN, MEASURED = 8, 1000  # test images in the grid, and in the table
CHOICE = 500  # maximum number of training images used to choose the number of components


@on_device
def denoise(
    run: str | Path | Run,
    noise: str | Sequence[str] | None = None,
    level: float | Sequence[float] | None = None,
    *,
    image: str | Path | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    n: int | None = None,
    measured: int | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Denoise test images and evaluate the result, or denoise given images.

    For test images each row of the grid shows the original, the corrupted image, the model's
    restoration, and that of each baseline; the result is a `Compared`.

    Args:
        run: run folder, or a `Run`
        noise, level: as for `ptheta.tasks.denoise`; each kind is combined with each level (default:
            gaussian, 0.5)
        image: image file or folder to denoise. With `noise` the images are corrupted first;
            otherwise a model that takes the noise level gets `level`, that of the Gaussian noise in
            them. With a folder as `out`, results keep the file names
        condition: conditions of these images, cycled through, such as {"labels": ["cat"]}
        n: number of test images in the grid (default 8)
        measured: number of test images in the table (default 1000, or all)
        data: new location of the run's data, or other images
        weights: "best" or "last" weights of the run
        seed: random seed
        out, scale: as for `sample`
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot denoise, for unknown noise or levels, if a file is not an
            image, or for options that apply only to test images or only to `image`
    """
    check_numbers(n=n, measured=measured, seed=seed)
    damages = _damages(noise, level, seed)
    output, opened = Output.at(out, scale), Run.open(run, weights)
    images_only(opened.spec, "denoising")
    if image is None:
        no_condition(condition)
        asked = Asked.of(n, measured)
        return _repaired_tests(opened, damages, asked, data, output)
    pictures_alone({"-n": n, "--measured": measured, "--data": data})
    if noise is None:
        _check_level(opened.model(), level)
    return _repaired_pictures(opened, image, damages, noise is not None, condition, output)


@on_device
def reconstruct(
    run: str | Path | Run,
    *,
    image: str | Path | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    n: int | None = None,
    measured: int | None = None,
    data: Source | None = None,
    weights: str = "best",
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Encode and decode test images and evaluate the reconstructions, or reconstruct given images.

    For test images the result is a `Compared`, with the errors on training and test images and
    those of the baselines.

    Args:
        run, image, condition, n, measured, data, weights, out, scale: as for `denoise`
        device: as for `ptheta.sample`

    Raises:
        PthetaError: as `denoise` does
    """
    check_numbers(n=n, measured=measured)
    output, opened = Output.at(out, scale), Run.open(run, weights)
    spec = images_only(opened.spec, "reconstruction")
    if image is None:
        no_condition(condition)
        return _rebuilt_tests(opened, Asked.of(n, measured), data, output)
    pictures_alone({"-n": n, "--measured": measured, "--data": data})
    model = opened.model()
    require(model, Autoencodes, "reconstruct")
    rows = rows_of_pictures(model, condition)
    own = Own.at(image, model, spec, "reconstructs")

    def make(x: Tensor, numbers: range, y: Condition | None) -> list[Tensor]:
        return [x, tasks.reconstruct(model, x, y)]

    headings = ("picture", "reconstruction")
    return make_of_pictures(
        *(opened, own, make, headings, output, {"verb": "reconstruct"}, rows), together=False
    )


# -- given images


def _repaired_pictures(
    run: Run,
    image: str | Path,
    damages: Sequence[Damage],
    added: bool,
    condition: Mapping[str, Sequence[str]] | None,
    output: Output,
) -> Grid:
    """added: whether noise is added, or already in the images"""
    if len(damages) > 1:
        raise PthetaError(
            f"{len(damages)} kinds and levels of noise, and --image supports one: give one "
            "--noise and one --level"
        )
    model, (damage,) = run.model(), damages
    require_one(model, (Denoises, Autoencodes), "denoise")
    rows = rows_of_pictures(model, condition)
    own = Own.at(image, model, images_only(run.spec, "denoising"), "repairs")
    known: Identity = {
        "verb": "denoise",
        "seed": damage.seed,
        "noise": damage.noise if added else None,
        "level": f"{damage.level:g}",
    }

    def make(x: Tensor, numbers: range, y: Condition | None) -> list[Tensor]:
        seen = damage.of(x, numbers) if added else x
        return [x, *([seen] if added else []), repaired(model, seen, damage, y)]

    headings = ("picture", *(("noisy",) if added else ()), "repaired")
    return make_of_pictures(
        *(run, own, make, headings, output, known, rows), together=isinstance(model, Denoises)
    )


# -- options


class Asked(NamedTuple):
    """shown: test images in the grid; measured: in the table"""

    shown: int
    measured: int

    @classmethod
    def of(cls, n: int | None, measured: int | None) -> Asked:
        shown = SHOWN if n is None else n
        return cls(shown, max(shown, MEASURED) if measured is None else measured)


def _damages(
    noise: str | Sequence[str] | None, level: float | Sequence[float] | None, seed: int
) -> list[Damage]:
    """All combinations of noise and level. Raises PthetaError for invalid ones."""
    kinds = [noise] if isinstance(noise, str) else list(noise or [NOISE])
    several = level if isinstance(level, list | tuple) else [LEVEL if level is None else level]
    levels = [_number(one) for one in several or [LEVEL]]
    pairs = dict.fromkeys((kind, one) for kind in kinds for one in levels)
    return [Damage(kind, one, seed) for kind, one in pairs]


def _number(level: object) -> float:
    if isinstance(level, bool) or not isinstance(level, Real):
        raise PthetaError(f"level {brief(str(level))}: want a number, or several in a list")
    return float(level)


def no_condition(condition: Mapping[str, Sequence[str]] | None) -> None:
    """Raises PthetaError if conditions are given for test images."""
    if condition:
        raise PthetaError(
            f"{', '.join(condition)}: conditions apply only to --image, test images have their "
            "own: leave them out"
        )


def pictures_alone(given: Mapping[str, object]) -> None:
    """Raises PthetaError for options of test images if `image` is given. given: options by flag"""
    for flag, value in given.items():
        if value is not None:
            raise PthetaError(f"{flag} applies only to test images, not with --image: leave it out")


def _check_level(model: nn.Module, level: object) -> None:
    """Raises PthetaError if, without added noise, a level is required and missing, or given and
    unused."""
    if isinstance(model, Denoises) and level is None:
        raise PthetaError(
            "this model needs the noise level: give the standard deviation of the Gaussian "
            "noise in the images (--level 0.1, where white - black = 1), or add noise (--noise)"
        )
    if not isinstance(model, Denoises) and level is not None:
        raise PthetaError(
            "--level without --noise: no noise is added, and this model does not use a level: "
            "leave it out, or give --noise"
        )


# -- test images


@dataclass(frozen=True)
class Looked:
    """x, y: test images and their conditions; train: training images, None if not available;
    remarks: lines on them"""

    x: Tensor
    y: Condition | None
    train: Dataset | None
    remarks: tuple[str, ...]

    @classmethod
    def at(cls, run: Run, measured: int, data: Source | None) -> Looked:
        found = run.look(data)
        if (text := run.remark(found, data, copies=False)) is not None:
            warnings.warn(text, stacklevel=4)
        batch = in_turn(found.test).batch(slice(0, measured))
        remarks = [f"{len(batch.x):,} test image{'s' * (len(batch.x) != 1)}"]
        if found.images is None:
            remarks.append(
                "the run's training images are not available: PCA and the mean are left out"
            )
        spec = images_only(run.spec, "this use")
        if min(spec.height, spec.width) < WINDOW:
            remarks.append(f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels: left out")
        return cls(batch.x, conditions_with(run, batch), found.images, tuple(remarks))

    def clean(self) -> Clean | None:
        """Training images to fit the baselines, and others to select their parameters."""
        if self.train is None or len(self.train) < 3:
            return None
        some = self.train.shuffled(0)
        held = min(CHOICE, max(1, len(some) // 10))
        most = min(held + enough(self.x[0].numel()), len(some))
        return Clean(
            some.batch(slice(held, most)).x,
            some.batch(slice(0, held)).x,
        )


def _repaired_tests(
    run: Run, damages: Sequence[Damage], asked: Asked, data: Source | None, output: Output
) -> Compared:
    width = 2 + len(FLOORS)
    looked = Looked.at(run, asked.measured, data)
    n = min(asked.shown, len(looked.x))
    output.check(n * width * len(damages), run.spec, width)
    model, clean = run.model(), looked.clean()
    found: list[Comparison] = []
    for damage in damages:
        scores = score(model, looked.x, damage, clean, condition=looked.y)
        kind = {"noise": damage.noise, "level": damage.level}
        found.append(Comparison(str(damage), kind, tuple(scores)).first(n))
    images = _drawn(looked.x[:n], found, run.plan.model)
    about = f"{n} images, denoised from {_kinds(damages)}"
    grid = output.write(images, about, images.columns)
    return Compared(
        *(grid.images, grid.columns, about, grid.path),
        called=run.plan.model,
        measured=len(looked.x),
        comparisons=tuple(found),
        remarks=looked.remarks,
    )


def _kinds(damages: Sequence[Damage]) -> str:
    return str(damages[0]) if len(damages) == 1 else f"{len(damages)} kinds and levels of noise"


def _drawn(x: Tensor, found: Sequence[Comparison], called: str) -> Images:
    """A row for each image and corruption: original, corrupted, restored by the model, by the
    baselines."""
    rows = []
    for one in found:
        model, noisy, *floors = one.scores
        rows.append(torch.stack([x, *(s.images for s in (noisy, model, *floors))], 1))
    names = [one.name for one in found[0].scores[2:]]
    images = Images.of(torch.cat(rows).flatten(0, 1), ("original", "noisy", called, *names))
    if len(found) == 1:
        return images
    texts = [f"{one.about['noise']} {one.about['level']:g}" for one in found for _ in range(len(x))]
    return replace(images, captions=tuple(texts))


def _rebuilt_tests(run: Run, asked: Asked, data: Source | None, output: Output) -> Compared:
    looked = Looked.at(run, asked.measured, data)
    n = min(asked.shown, len(looked.x))
    output.check(2 * n, run.spec, squarish(n, 2))
    model, clean, found = run.model(), looked.clean(), list[Comparison]()
    axes = None if clean is None else Principal.of(torch.cat([clean.choice, clean.fit]))
    if looked.train is not None:
        batch = in_turn(looked.train).batch(slice(0, asked.measured))
        y = conditions_with(run, batch)
        scores = score_reconstruction(model, batch.x, axes, condition=y)
        found.append(Comparison("training images", {"split": "train"}, tuple(scores)).first(0))
    scores = score_reconstruction(model, looked.x, axes, condition=looked.y)
    found.append(Comparison("test images", {"split": "test"}, tuple(scores)).first(n))
    images = side_by_side(looked.x[:n], found[-1].model.images)
    grid = output.write(images, f"{n} images", squarish(n, 2))
    return Compared(
        *(grid.images, grid.columns, grid.about, grid.path),
        called=run.plan.model,
        measured=len(looked.x),
        comparisons=tuple(found),
        remarks=looked.remarks,
    )
