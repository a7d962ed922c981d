"""The `inpaint` function: complete test images, or given images."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.draw import DIGITS, identity, named
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output, examples, side_by_side
from ptheta.api.holes import Holes, Masks, masks_asked
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Shape, check_one_size, is_folder, rows_of_pictures
from ptheta.batch import Condition
from ptheta.capabilities import Completes, condition_of, takes_any_size, varied
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files.captions import MOST_ROWS, hatched
from ptheta.measures.errors import decibels, squared_error
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.needs import require
from ptheta.tasks.sample import Part

SHOWN, EACH = 8, 7  # number of test images, completions of each


@dataclass(frozen=True)
class How:
    """each: completions per image, None for the default; candidates, search_steps: as for
    `tasks.inpaint`"""

    each: int | None
    candidates: int
    seed: int
    search_steps: int | None = None

    def many(self, model: nn.Module, usual: int) -> int:
        """Number of completions per image: one for a deterministic model, with a warning."""
        if varied(model) or self.each == 1:
            return usual if self.each is None else self.each
        if self.each is not None:
            warnings.warn(
                f"--each {self.each}: this model is deterministic, so each image gets one "
                "completion",
                stacklevel=4,
            )
        return 1


@dataclass(frozen=True, repr=False)
class Completed(Grid):
    """Result of `ptheta.inpaint`.

    pictures: number of images; each: completions per image
    psnr: PSNR in dB on the unknown pixels, for each completion of each image; None for images
        without ground truth
    """

    pictures: int = 0
    each: int = 1
    psnr: tuple[tuple[float, ...], ...] | None = None

    @classmethod
    def of(
        cls,
        grid: Grid,
        pictures: int,
        each: int,
        psnr: tuple[tuple[float, ...], ...] | None = None,
    ) -> Completed:
        return cls(grid.images, grid.columns, grid.about, grid.path, pictures, each, psnr)

    def to_json(self) -> dict[str, object]:
        """The result as JSON."""
        found: dict[str, object] = {
            "path": None if self.path is None else str(self.path),
            "pictures": self.pictures,
            "each": self.each,
        }
        return found if self.psnr is None else found | {"psnr": self.psnr}


@on_device
def inpaint(
    run: str | Path | Run,
    known: str | None = None,
    *,
    mask: str | Path | None = None,
    image: str | Path | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    n: int | None = None,
    each: int | None = None,
    candidates: int = 1,
    search_steps: int | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Completed:
    """Complete partly known images.

    The grid shows in each row the original, its known part, and the completions.

    Args:
        run: run folder, or a `Run`
        known: name of the known part, from `ptheta.masks.MASKS` (default: upper)
        mask: the unknown part: a mask image, white where pixels are unknown (thresholded at half);
            a folder of masks with the names of the images; a name from `ptheta.masks.MASKS`; or a
            box "left,top,right,bottom" in pixels, right and bottom exclusive
        image: image file or folder to complete; default: test images. With a folder as `out`,
            completed images keep their size and names
        condition: conditions of these images, cycled through, such as {"labels": ["cat"]}
        n: number of test images (default 8)
        each: completions per image (default: 1 for `image`, 7 for test images; 1 if the model has
            only one completion)
        candidates: candidate completions, if known pixels come after unknown ones in the model's
            order; number of codes to try, for a model that searches for a code
        search_steps: optimisation steps of that search; default: the model's own
        data: new location of the test images, or other images
        weights: "best" or "last" weights of the run
        seed: random seed
        out, scale: as for `sample`
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot complete images, if a file is not an image, if an image or
            mask has another size, or for options that apply only to test images or only to `image`
    """
    check_numbers(n=n, each=each, candidates=candidates, seed=seed)
    output, opened = Output.at(out, scale), Run.open(run, weights)
    spec = images_only(opened.spec, "an area to complete")
    masks, how = masks_asked(known, mask, spec, seed), How(each, candidates, seed, search_steps)
    if image is None:
        if condition:
            raise PthetaError(
                f"{', '.join(condition)}: conditions apply only to --image, test images have "
                "their own: leave them out"
            )
        return _of_tests(opened, masks, SHOWN if n is None else n, how, data, output)
    for flag, given in (("-n", n), ("--data", data)):
        if given is not None:
            raise PthetaError(f"{flag} applies only to test images, not with --image: leave it out")
    model = opened.model()
    require(model, Completes, "inpaint")
    holes = Holes.at(image, masks, spec, any_size=takes_any_size(model))
    return _of_pictures(opened, model, holes, condition, how, output)


def _of_tests(
    run: Run, masks: Masks, n: int, how: How, data: Source | None, output: Output
) -> Completed:
    """Completes test images, each in a row with its completions."""
    model, x, y = examples(run, n, data, output, (how.each or EACH) + 2)
    _, c, h, w = x.shape
    known = torch.stack([masks(i, None, (c, h, w)) for i in range(len(x))])
    each = how.many(model, EACH)
    completed = [
        tasks.inpaint(
            *(model, x, known),
            seed=how.seed + i,
            condition=y,
            candidates=how.candidates,
            search_steps=how.search_steps,
        )
        for i in range(each)
    ]
    about = f"{len(x)} images, {each} completion{'s' * (each > 1)} each"
    grid = output.write(side_by_side(x, hatched(x, known), *completed), about, each + 2)
    errors = torch.stack([squared_error(made, x, ~known) for made in completed], 1)
    psnr = tuple(tuple(round(decibels(e), 3) for e in row) for row in errors.tolist())
    return Completed.of(grid, len(x), each, psnr)


def _of_pictures(
    run: Run,
    model: nn.Module,
    holes: Holes,
    condition: Mapping[str, Sequence[str]] | None,
    how: How,
    output: Output,
) -> Completed:
    """Completes given images: one by one into a folder, else in a grid."""
    rows, each = rows_of_pictures(model, condition), how.many(model, 1)
    pixels, shapes = holes.checked()
    n, folder = len(holes.pictures), is_folder(output.path)
    asked = {
        **identity(run),
        "images and masks with hash": pixels[:DIGITS],
        "images": n * each,
        "seed": how.seed,
        "candidates": how.candidates,
        **({} if how.search_steps is None else {"search_steps": how.search_steps}),
        "condition": None if rows is None else named(run, rows),
    }
    parts = Completions(model, holes, rows, how, each)
    done = Images(n * each, min(shapes), asked, parts, each, names=holes.names(each))
    about = f"{n} image{'s' * (n > 1)}, {each} completion{'s' * (each > 1)} each"
    if folder:
        return Completed.of(output.write(done, about, each), n, each)
    shown = _in_rows(done, holes, shapes, each, output)
    grid = output.write(replace(shown, captions=_captions(model, rows, n)), about, each + 2)
    return Completed.of(grid, n, each)


def _captions(model: nn.Module, rows: Condition | None, n: int) -> tuple[str, ...]:
    """Captions: the condition of each of n images; empty if there are too many."""
    spec = condition_of(model)
    if spec is None or rows is None or n > MOST_ROWS:
        return ()
    return tuple(spec.describe(rows[torch.arange(n) % len(rows)]))


def _in_rows(done: Images, holes: Holes, shapes: set[Shape], each: int, output: Output) -> Images:
    """Rows of each image, its known part, and its completions.

    Raises PthetaError for images of different sizes.
    """
    check_one_size(shapes)
    n = len(holes.pictures)
    spec = replace(holes.spec, height=done.shape[1], width=done.shape[2])
    output.check(n * (each + 2), spec, each + 2)
    x, known = holes.stacked()
    made = torch.cat([part.x for part in done.parts(0)]).unflatten(0, (n, each))
    return side_by_side(x, hatched(x, known), *made.unbind(1))


@dataclass(frozen=True)
class Completions:
    """Generates the completions of images after a position, one image at a time, independently."""

    model: nn.Module
    holes: Holes
    rows: Condition | None
    how: How
    each: int

    def __call__(self, start: int) -> Iterator[Part]:
        for i in range(start // self.each, len(self.holes.pictures)):
            yield Part(i * self.each, self.of(i))

    def of(self, i: int) -> Tensor:
        """uint8 (each, C, H, W)"""
        x, known = (t[None].expand(self.each, *t.shape) for t in self.holes.read(i))
        if bool(known.all()):
            return x.contiguous()
        y = None
        if self.rows is not None:
            y = self.rows[torch.full((self.each,), i % len(self.rows))]
        return tasks.inpaint(
            *(self.model, x.contiguous(), known),
            seed=self.how.seed,
            condition=y,
            candidates=self.how.candidates,
            search_steps=self.how.search_steps,
        )
