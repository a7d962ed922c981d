"""Translation of images, written under the names of the inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.answered import Answered
from ptheta.api.export import check_mixed
from ptheta.api.pictures import Named, Read, Reader
from ptheta.api.places import Places
from ptheta.api.record import Identity, Record
from ptheta.capabilities import varied
from ptheta.data.names import shown, unread
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import SAMPLES, locked, make_folder, write_atomic
from ptheta.files.images import grid, to_picture
from ptheta.specs import LabelMapSpec
from ptheta.terminal.progress import watched
from ptheta.training.translations import headings, rows_of


@dataclass(frozen=True)
class Way:
    """Translation options.

    to: index of the target domain, None for pairs; styles: outputs per input; seed: of the first
    tile: see `ptheta.tasks.translate`
    """

    to: int | None
    styles: int
    seed: int
    tile: int


@dataclass(frozen=True)
class Translations:
    """Result of `ptheta.translate` for given images.

    images: outputs for each input, uint8 (styles, C, H, W); empty if a folder of images was
        written to files
    about: one-line description
    paths: the written files, in the order of the inputs; empty if not written
    path: the output folder or file
    """

    images: tuple[Tensor, ...]
    about: str
    paths: tuple[Path, ...] = ()
    path: Path | None = None

    @property
    def x(self) -> Tensor:
        """All outputs as one image batch, uint8 (N, C, H, W). Raises PthetaError if they differ in
        size or are only in files."""
        if not self.images or len({one.shape[1:] for one in self.images}) > 1:
            raise PthetaError(
                "the outputs have several sizes, or are only in files: see `images` and `paths`"
            )
        return torch.cat(self.images)

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Translations({self.about}{where})"

    def _repr_html_(self) -> str:
        """Notebook display: the outputs for the first input."""
        seen = [html.picture(grid(x, len(x)), self.about) for x in self.images[:1]]
        return html.card(self, *seen)


def answers_to(model: nn.Module, x: Tensor, way: Way) -> Iterator[Tensor]:
    """Generates the outputs for one image (1, C, H, W): uint8 (C', H, W) each. A deterministic
    model is run once."""
    made: Tensor | None = None
    for k in range(way.styles):
        if made is None or varied(model):
            made = tasks.translate(model, x, way.to, seed=way.seed + k, tile=way.tile)[0]
        yield made


def translate_all(
    model: nn.Module, pictures: Sequence[Named], reader: Reader, way: Way, places: Places | None
) -> Translations:
    """Translates all images one by one; files written so far are kept if it is interrupted.

    Warns of images that cannot be read. Raises PthetaError if none can be read.
    """
    tally = Tally(len(pictures))
    images: list[Tensor] = []
    answered = Answered(places.folder if places is not None and places.many else None)
    for i in watched(range(len(pictures)), "translating images"):
        found = answered.digest(pictures[i])
        if answered.has(pictures[i], found) and _all_there(places, i):
            tally.there += 1
            continue
        try:
            read = tally.noting(pictures[i], reader(pictures[i], i))
        except PthetaError as error:
            tally.skipped.append(str(error))
            continue
        made = tally.measuring(answers_to(model, read.x, way), read.target)
        if places is None or not places.many:
            images.append(torch.stack(list(made)))
            made = iter(images[-1])
        if places is not None:
            _write(places.files(i), read, made)
            answered.add(pictures[i], found)
    tally.warn(reader)
    about = tally.about(way.styles)
    if places is None:
        return Translations(tuple(images), about)
    files = tuple(file for i in range(len(pictures)) for file in places.files(i) if file.is_file())
    if places.many or (len(files) > 1 and places.path.is_dir()):
        return Translations(tuple(images), about, files, places.path)
    if len(files) > 1:  # one output file was requested, but there are several outputs
        about = f"{about} ({files[0].name} to {files[-1].name})"
    return Translations(tuple(images), about, files, files[0])


def translate_into(
    model: nn.Module,
    pictures: Sequence[Named],
    reader: Reader,
    way: Way,
    places: Places,
    asked: Identity,
) -> Translations:
    """`translate_all` into a folder with a record of the request, so that the same request resumes
    an interrupted one.

    Raises PthetaError if the folder belongs to another request; InUse if another process writes to
    it; CannotWrite.
    """
    with locked(places.folder, "translating images"):
        check_mixed(places.folder)
        record = Record.read(places.folder / SAMPLES)
        if record is not None:
            record.check_same(asked, places.folder)
        # written first, so that an unfinished folder is recognised
        Record(asked).write(places.folder / SAMPLES)
        return translate_all(model, pictures, reader, way, places)


def _all_there(places: Places | None, i: int) -> bool:
    """Whether the outputs for image i exist as files."""
    return places is not None and all(file.is_file() for file in places.files(i))


def _write(files: Sequence[Path], read: Read, made: Iterator[Tensor]) -> None:
    """Writes one file per output; or one of the input, the outputs and the target, if it is
    known."""
    if read.target is None:
        for file, x in zip(files, made, strict=True):
            _put(file, to_picture(grid(x[None]), file.suffix.lower(), mark=False))
        return
    columns = [read.x, *(x[None] for x in made), read.target]
    canvas, texts = grid(rows_of(columns), len(columns)), headings(len(columns) - 2, "target")
    _put(files[0], to_picture(canvas, files[0].suffix.lower(), headings=texts))


def _put(file: Path, data: bytes) -> None:
    make_folder(file.parent)
    write_atomic(file, partial(Path.write_bytes, data=data))


class Tally:
    """Statistics of a translation, reported at the end.

    there: images already translated by an earlier call; skipped: a line for each unreadable image
    far: for each image with colours outside of the palette, their fraction
    errors: mean absolute difference to the target, of 255, for each output with a known target
    """

    def __init__(self, total: int) -> None:
        self.total, self.there = total, 0
        self.skipped: list[str] = []
        self.far: dict[str, float] = {}
        self.errors: list[float] = []

    def noting(self, named: Named, read: Read) -> Read:
        if read.far:
            self.far[named.name] = read.far
        return read

    def measuring(self, made: Iterator[Tensor], target: Tensor | None) -> Iterator[Tensor]:
        for x in made:
            if target is not None:
                self.errors.append((x.float() - target[0].float()).abs().mean().item())
            yield x

    def warn(self, reader: Reader) -> None:
        if len(self.skipped) == self.total:
            more = "" if self.total == 1 else f" (none of {self.total:,} images can be read)"
            raise PthetaError(f"cannot read {self.skipped[0]}{more}: give valid images")
        if self.skipped:
            warnings.warn(unread(self.skipped, self.total, "pictures"), stacklevel=5)
        if self.far and isinstance(reader.spec, LabelMapSpec):
            worst = max(self.far, key=lambda name: self.far[name])
            which = shown(worst) if self.total == 1 else f"{len(self.far):,} images"
            most = "" if self.total == 1 else f" (most in {shown(worst)})"
            warnings.warn(
                f"{which}: {self.far[worst]:.2%} of the pixels{most} are far from all "
                f"{reader.spec.labels} colours of the run's palette, and are mapped to the "
                "nearest",
                stacklevel=5,
            )

    def about(self, styles: int) -> str:
        done = self.total - len(self.skipped)
        parts = [f"{done:,} {'image' if done == 1 else 'images'} translated"]
        if styles > 1:
            parts.append(f"{styles} outputs each")
        if self.there:
            parts.append(f"{self.there:,} of them before")
        if self.skipped:
            parts.append(f"{len(self.skipped):,} unreadable ones skipped")
        if self.errors:
            off = sum(self.errors) / len(self.errors)
            parts.append(f"{off:.1f} of 255 from the target on average")
        return ", ".join(parts)
