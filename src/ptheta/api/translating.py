"""Translations of pictures, written under the names of their inputs."""

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
from ptheta.tasks.sample import Place
from ptheta.terminal.progress import watched
from ptheta.training.translations import headings, rows_of


@dataclass(frozen=True)
class Way:
    """How pictures are translated.

    to: the number of the domain, None for pairs; styles: answers to each; seed: of the first
    tile: see `ptheta.tasks.translate`
    """

    to: int | None
    styles: int
    seed: int
    tile: int


@dataclass(frozen=True)
class Translations:
    """What `ptheta.translate` gives of pictures.

    images: for each picture its answers, uint8 (styles, C, H, W); none where a folder of pictures
        was written to files
    about: what they are, in a line
    paths: the files, in the order of the pictures; none where no place was named
    path: where they are
    """

    images: tuple[Tensor, ...]
    about: str
    paths: tuple[Path, ...] = ()
    path: Path | None = None

    @property
    def x(self) -> Tensor:
        """All of them as one image batch, uint8 (N, C, H, W). Raises PthetaError where they differ
        in size or lie in files alone."""
        if not self.images or len({one.shape[1:] for one in self.images}) > 1:
            raise PthetaError(
                "the answers are of several sizes, or in files alone: see `images` and `paths`"
            )
        return torch.cat(self.images)

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Translations({self.about}{where})"

    def _repr_html_(self) -> str:
        """For notebooks: the answers to the first picture."""
        seen = [html.picture(grid(x, len(x)), self.about) for x in self.images[:1]]
        return html.card(self, *seen)


def answers_to(model: nn.Module, x: Tensor, way: Way) -> Iterator[Tensor]:
    """The answers to one picture (1, C, H, W), one after the other: uint8 (C', H, W) each. Those of
    a model that knows one answer alone are made once."""
    made: Tensor | None = None
    for k in range(way.styles):
        if made is None or varied(model):
            made = tasks.translate(model, x, way.to, seed=way.seed + k, tile=way.tile)[0]
        yield made


def translate_all(
    model: nn.Module, pictures: Sequence[Named], reader: Reader, way: Way, places: Places | None
) -> Translations:
    """All pictures, one after the other; what was written stays, whatever ends the work.

    Warns of pictures that cannot be read. Raises PthetaError where none can, or the one.
    """
    tally = Tally(len(pictures))
    images: list[Tensor] = []
    answered = Answered(places.folder if places is not None and places.many else None)
    for i in watched(range(len(pictures)), "translating pictures"):
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
    if len(files) > 1:  # a file was named, and there is one for each answer
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
    """`translate_all` into a folder that says what was asked for, so that the same request goes on
    where an earlier one was stopped.

    Raises PthetaError where its pictures were asked for otherwise; InUse where another process
    writes there; CannotWrite.
    """
    with locked(places.folder, "translating pictures"):
        check_mixed(places.folder)
        record = Record.read(places.folder / SAMPLES)
        if record is not None:
            record.check_same(asked, places.folder)
        # first, so that a folder that was never finished is known as well
        Record(asked, Place()).write(places.folder / SAMPLES)
        return translate_all(model, pictures, reader, way, places)


def _all_there(places: Places | None, i: int) -> bool:
    """Whether the answers to picture i are files."""
    return places is not None and all(file.is_file() for file in places.files(i))


def _write(files: Sequence[Path], read: Read, made: Iterator[Tensor]) -> None:
    """A file for each answer; or one, of the input, the answers and the target, where it is
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
    """What there is to say of so many pictures at the end.

    there: those that an earlier call had done; skipped: a line for each that cannot be read
    far: for each with colours that are none of the palette, its share of them
    errors: of each answer whose target is known, the mean |difference|, of 255
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
            more = "" if self.total == 1 else f" (none of {self.total:,} pictures can be)"
            raise PthetaError(
                f"cannot read {self.skipped[0]}{more}: give pictures that can be read"
            )
        if self.skipped:
            warnings.warn(unread(self.skipped, self.total, "pictures"), stacklevel=5)
        if self.far and isinstance(reader.spec, LabelMapSpec):
            worst = max(self.far, key=lambda name: self.far[name])
            which = shown(worst) if self.total == 1 else f"{len(self.far):,} pictures"
            most = "" if self.total == 1 else f" (most in {shown(worst)})"
            warnings.warn(
                f"{which}: {self.far[worst]:.2%} of the pixels{most} are far from all "
                f"{reader.spec.labels} colours that the run learned, and are taken for the nearest",
                stacklevel=5,
            )

    def about(self, styles: int) -> str:
        done = self.total - len(self.skipped)
        parts = [f"{done:,} {'picture' if done == 1 else 'pictures'} translated"]
        if styles > 1:
            parts.append(f"{styles} answers each")
        if self.there:
            parts.append(f"{self.there:,} of them before")
        if self.skipped:
            parts.append(f"{len(self.skipped):,} that cannot be read left out")
        if self.errors:
            off = sum(self.errors) / len(self.errors)
            parts.append(f"{off:.1f} of 255 from the target on average")
        return ", ".join(parts)
