"""The `invert` function: find codes of test images, or of given images, by optimisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.code_files import write_codes
from ptheta.api.compared import Compared, Comparison
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output, side_by_side
from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.api.own import Own, make_of_pictures, rows_of_pictures
from ptheta.api.repairing import SHOWN, Asked, Looked, no_condition, pictures_alone
from ptheta.batch import Condition
from ptheta.capabilities import Encodes
from ptheta.data.columns.write import WRITERS
from ptheta.data.memory import Source
from ptheta.files.out import check_file
from ptheta.runs.folder import Run
from ptheta.specs import images_only
from ptheta.tasks.denoise.principal import Principal
from ptheta.tasks.denoise.score import MODEL, Scored, measured
from ptheta.tasks.invert import Inverted, Inverts
from ptheta.tasks.invert import invert as find_codes
from ptheta.tasks.needs import require
from ptheta.tasks.reconstruction import FLOORS

MEASURED = 100  # test images in the table; each takes a while


@dataclass(frozen=True, repr=False)
class Inversions(Compared):
    """codes: of all evaluated images, (N, L)"""

    codes: Tensor = field(default_factory=lambda: torch.zeros(0, 0), repr=False)


@dataclass(frozen=True)
class Search:
    """Search options: as for `ptheta.tasks.invert`."""

    restarts: int
    steps: int
    drawn: int
    encoder: bool
    seed: int

    def of(self, model: nn.Module, x: Tensor, y: Condition | None) -> Inverted:
        return find_codes(
            *(model, x, y),
            restarts=self.restarts,
            steps=self.steps,
            drawn=self.drawn,
            encoder=self.encoder,
            seed=self.seed,
        )


@on_device
def invert(
    run: str | Path | Run,
    *,
    image: str | Path | None = None,
    condition: Mapping[str, Sequence[str]] | None = None,
    restarts: int = 8,
    steps: int = 600,
    drawn: int = 10_000,
    encoder: bool = True,
    n: int | None = None,
    measured: int | None = None,
    data: Source | None = None,
    weights: str = "best",
    seed: int = 0,
    out: str | Path | None = None,
    codes: str | Path | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> Grid:
    """Find the latent code of each image by optimisation.

    For test images the result (`Inversions`) compares the reconstruction error with the encoder's,
    that of the best random code, and baselines.

    Args:
        run: run folder, or a `Run`
        image: image file or folder to invert; default: test images
        condition: conditions of these images, cycled through
        restarts, steps, drawn, encoder: as for `ptheta.tasks.invert`
        n: number of test images in the grid (default 8)
        measured: number of test images in the table (default 100)
        data: new location of the run's data, or other images
        weights: "best" or "last" weights of the run
        seed: random seed
        out: image file or folder to write
        codes: .npy or table to write the codes to
        scale: as for `sample`
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model does not decode images differentiably, has neither prior nor
            encoder, or if a file is not an image
    """
    check_numbers(n=n, measured=measured, seed=seed)
    output, opened = Output.at(out, scale), Run.open(run)
    images_only(opened.spec, "inversion")
    place = None if codes is None else check_file(codes, tuple(WRITERS), flag="--codes")
    search = Search(restarts, steps, drawn, encoder, seed)
    if image is not None:
        pictures_alone({"-n": n, "--measured": measured, "--data": data})
        return _of_pictures(opened, weights, image, condition, search, output, place)
    no_condition(condition)
    asked = Asked(SHOWN if n is None else n, MEASURED if measured is None else measured)
    return _of_tests(opened, weights, asked, search, data, output, place)


def _of_pictures(
    run: Run,
    weights: str,
    image: str | Path,
    condition: Mapping[str, Sequence[str]] | None,
    search: Search,
    output: Output,
    place: Path | None,
) -> Grid:
    model = run.model(weights)
    require(model, Inverts, "invert images")
    rows = rows_of_pictures(model, condition)
    own = Own.at(image, model, images_only(run.spec, "inversion"), "inverts")
    found: dict[int, Tensor] = {}

    def make(x: Tensor, numbers: range, y: Condition | None) -> list[Tensor]:
        inverted = search.of(model, x, y)
        found.update(zip(numbers, inverted.codes, strict=True))
        return [x, inverted.x]

    known = {"verb": "invert", "weights": weights, **vars(search)}
    headings = ("picture", "of its code")
    grid = make_of_pictures(run, own, make, headings, output, known, rows, together=False)
    if place is not None:
        write_codes(torch.stack([found[i] for i in range(len(own))]), place)
    return grid


def _of_tests(
    run: Run,
    weights: str,
    asked: Asked,
    search: Search,
    data: Source | None,
    output: Output,
    place: Path | None,
) -> Inversions:
    looked = Looked.at(run, asked.measured, data)
    model, n = run.model(weights), min(asked.shown, len(looked.x))
    found = search.of(model, looked.x, looked.y)
    scores = tuple(_scores(model, looked, found, search))
    comparison = Comparison("test images", {"split": "test"}, scores).first(n)
    names = [run.plan.model, *(one.name for one in scores[1:])]
    columns = [looked.x[:n], *(one.images for one in comparison.scores)]
    grid = replace(side_by_side(*columns), headings=("original", *names))
    output.check(n * len(columns), run.spec, len(columns))
    if place is not None:
        write_codes(found.codes, place)
    done = output.write(grid, f"{n} images and their reconstructions", len(columns))
    return Inversions(
        *(done.images, done.columns, done.about, done.path),
        called=run.plan.model,
        measured=len(looked.x),
        comparisons=(comparison,),
        remarks=looked.remarks,
        codes=found.codes,
    )


def _scores(model: nn.Module, looked: Looked, found: Inverted, search: Search) -> list[Scored]:
    """Scores of the codes that were found, and of the baselines."""
    x, size = looked.x, found.codes.shape[1]
    scores = [measured(MODEL, found.x, x, f"code of dimension {size}")]
    if isinstance(model, Encodes):
        scores.append(measured("encoder", tasks.reconstruct(model, x, looked.y), x))
    if found.nearest is not None:
        scores.append(measured(f"best of {search.drawn:,} codes", found.nearest, x))
    clean = looked.clean()
    if clean is not None:
        train = Principal.of(torch.cat([clean.choice, clean.fit]))
        for name, floor in FLOORS.items():
            ready = floor.of(train, size)
            scores.append(measured(name, ready.repair(x), x, ready.note))
    return scores


__all__ = ["Images", "Inversions", "invert", "write_codes"]
