"""Samples of a run into a file or folder, by one or several processes: see `ptheta.sample`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ptheta.api.caption_file import FLAG, captions_in
from ptheta.api.choosing import FROM_CODES
from ptheta.api.draw import DRAW, How, samples
from ptheta.api.export import Images
from ptheta.api.grid import Grid, Output
from ptheta.api.rows import Rows, follow_rows, sample_rows
from ptheta.compute import parts, threads
from ptheta.compute.parts import Team
from ptheta.conditions import Text
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.specs import VectorSpec
from ptheta.tasks.sample import Wanted

N = 64  # default number of samples


@dataclass(frozen=True)
class Drawing:
    """What is drawn from a run: see `sample`."""

    number: int | None
    how: How
    seed: int
    wanted: Wanted
    condition: Mapping[str, Sequence[str]] | None
    caption_file: str | Path | None

    def of(self, run: Run) -> tuple[int, Wanted]:
        """The number of examples, and the requested conditions."""
        n, condition = self.number, self.condition
        if self.caption_file is not None:
            n, condition = _of_file(run, n, self.caption_file, condition)
        return N if n is None else n, Wanted(**self.wanted, condition=condition)


@dataclass(frozen=True)
class Sampling:
    """A job of `ptheta.api.sharing`. place: `out` and `scale`; output: the same, of images"""

    drawing: Drawing
    output: Output | None
    place: tuple[str | Path | None, int | None]
    force: bool
    missing: bool

    def same(self) -> Mapping[str, object]:
        of, how = self.drawing, self.drawing.how
        chosen = {"weights": how.weights, "prior": how.prior, **how.choosing.asked()}
        return {"number": of.number, "seed": of.seed, **chosen, **of.wanted, **(of.condition or {})}

    def lead(self, run: Run, team: Team | None) -> Grid | Rows:
        with nullcontext() if team is None else threads.using(team.threads):
            drawn = self._drawn(run, team)
        if team is not None:
            parts.dismiss(team)
        return drawn

    def _drawn(self, run: Run, team: Team | None) -> Grid | Rows:
        how, seed = self.drawing.how, self.drawing.seed
        n, wanted = self.drawing.of(run)
        if isinstance(run.spec, VectorSpec):
            return sample_rows(
                *(run, n, how, seed),
                place=self.place,
                force=self.force,
                missing=self.missing,
                **wanted,
            )
        output = _of_images(run, self.output, self.place[0], self.missing)
        output.check(n, run.spec)
        images = samples(run, n, how, seed=seed, **wanted)
        if team is not None:
            _agree(team, images)
        means = "--mean shows means" if images.shows == FROM_CODES else ""
        about = how.choosing.describe(_drawn(images, n), images.chosen, images.shows, means)
        return output.write(images, about)

    def follow(self, run: Run, team: Team) -> Grid | Rows:
        how, seed = self.drawing.how, self.drawing.seed
        n, wanted = self.drawing.of(run)
        if isinstance(run.spec, VectorSpec):
            return follow_rows(team, run, n, how, seed, **wanted)
        images = samples(run, n, how, seed=seed, **wanted)
        _agree(team, images)
        parts.follow(team, {DRAW: lambda start: deque(images.parts(start), 0)})
        return Grid(images, None, _drawn(images, n))


def _agree(team: Team, images: Images) -> None:
    """Checks that all processes draw the same; machines may differ in cores."""
    parts.agree(team, {name: of for name, of in images.asked.items() if name != "threads"})


def _of_images(run: Run, output: Output | None, out: str | Path | None, missing: bool) -> Output:
    """Destination of images. Raises PthetaError for options that apply only to tables."""
    if missing:
        raise PthetaError(
            f"--missing applies only to tables, and {run.path} is a model of images: leave it out"
        )
    if output is None:
        raise PthetaError(
            f"--out {out}: a table cannot hold images: give an image file, an array or a folder"
        )
    return output


def _drawn(images: Images, asked: int) -> str:
    """Describes what was drawn, and why it is fewer than requested."""
    about = f"{images.n:,} image{'s' * (images.n > 1)}"
    if images.n == asked:
        return about
    return (
        f"{about} of the requested {asked:,}, {images.batch} in each of "
        f"{images.n // images.batch} rows: the rest would not fill a row for each condition"
    )


def _of_file(
    run: Run, n: int | None, place: str | Path, condition: Mapping[str, Sequence[str]] | None
) -> tuple[int, Mapping[str, Sequence[str]]]:
    """The number of images and their conditions, with captions from a file.

    Raises PthetaError if captions are also given directly, or for fewer images than captions.
    """
    if condition and Text.kind in condition:
        raise PthetaError(f"--caption and {FLAG}: give one of them")
    captions = captions_in(place, run.condition)
    if n is not None and n < len(captions):
        raise PthetaError(
            f"-n {n}: the {len(captions):,} captions of {place} need at least "
            f"{len(captions):,} images"
        )
    return len(captions) if n is None else n, {**(condition or {}), Text.kind: captions}
