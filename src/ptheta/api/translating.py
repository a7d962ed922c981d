"""Translations of pictures, written under the names of their inputs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ptheta import tasks
from ptheta.api.export import check_mixed
from ptheta.api.pictures import Named, Read, Reader
from ptheta.api.record import Identity, Record
from ptheta.config import brief
from ptheta.data.names import shown
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.atomic import SAMPLES, locked, make_folder, write_atomic
from ptheta.files.images import PICTURES, PNG, grid, to_picture
from ptheta.files.out import check_file, check_folder
from ptheta.files.paths import expand
from ptheta.specs import LabelMapSpec
from ptheta.tasks.sample import Place
from ptheta.terminal.progress import watched
from ptheta.training.translations import varies

MOST_NAMED = 5  # pictures, in a message


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


@dataclass(frozen=True)
class Places:
    """Where the answers to pictures go.

    folder: of all of them; names: for each picture, one for each answer; many: whether the pictures
    may be several, of which a record is kept
    """

    path: Path
    folder: Path
    names: tuple[tuple[str, ...], ...]
    many: bool

    @classmethod
    def of(
        cls, out: str | Path, pictures: Sequence[Named], styles: int, *, many: bool, lossless: bool
    ) -> Places:
        """lossless: whether a colour must stay what it is. Creates nothing.

        Raises PthetaError for a place that cannot be written, that holds other files, and that the
        pictures themselves are in.
        """
        suffix, place = Path(out).suffix.lower(), expand(out)
        if (suffix in PICTURES or suffix in (".npy", ".npz")) and not place.is_dir():
            found = cls._file(place, suffix, styles, many, lossless)
        else:
            folder = check_folder(out)
            if many:
                check_mixed(folder)
            found = cls(folder, folder, names_of(pictures, styles), many)
        found._check_apart(pictures)
        return found

    @classmethod
    def _file(cls, out: Path, suffix: str, styles: int, many: bool, lossless: bool) -> Places:
        if many or suffix not in PICTURES:
            raise PthetaError(
                f"--out {brief(out)}: {'several pictures go' if many else 'a picture goes'} into a "
                f"folder: give a name without a suffix{'' if many else ', or a .png'}"
            )
        if lossless and PICTURES[suffix] is not PNG and suffix != ".webp":
            raise PthetaError(
                f"--out {brief(out)}: {suffix} changes colours, and each is a label: give a .png"
            )
        place = check_file(out)
        return cls(place, place.parent, (numbered(place.stem, suffix, styles),), many)

    def _check_apart(self, pictures: Sequence[Named]) -> None:
        """Raises PthetaError where a picture would be written over."""
        read = {file.resolve() for named in pictures if (file := named.file) is not None}
        for file in (self.folder / name for names in self.names for name in names):
            if file.resolve() in read:
                raise PthetaError(
                    f"--out {brief(self.path)}: {file.name} there is one of the pictures to "
                    "translate, and would be written over: choose another place"
                )

    def files(self, i: int) -> list[Path]:
        """Of the answers to picture i."""
        return [self.folder / name for name in self.names[i]]


def names_of(pictures: Sequence[Named], styles: int) -> tuple[tuple[str, ...], ...]:
    """The names of the answers: those of the pictures, as .png, numbered where there are several.
    Of pictures that differ in their suffix alone it stays: a.jpg.png.

    Raises PthetaError for two pictures of one name.
    """
    places = [Path(named.name) for named in pictures]
    if len(set(places)) < len(places):
        twice = Counter(places).most_common(1)[0][0]
        raise PthetaError(f"two pictures are called {shown(str(twice))}: translate them apart")
    alike = Counter(place.with_suffix("") for place in places)
    stems = [p if alike[p.with_suffix("")] > 1 else p.with_suffix("") for p in places]
    return tuple(numbered(str(stem), ".png", styles) for stem in stems)


def numbered(stem: str, suffix: str, styles: int) -> tuple[str, ...]:
    """cat.png, or cat-1.png, cat-2.png, ..."""
    if styles == 1:
        return (f"{stem}{suffix}",)
    return tuple(f"{stem}-{k}{suffix}" for k in range(1, styles + 1))


def answers_to(model: nn.Module, x: Tensor, way: Way) -> Iterator[Tensor]:
    """The answers to one picture (1, C, H, W), one after the other: uint8 (C', H, W) each. Those of
    a model that knows one answer alone are made once."""
    made: Tensor | None = None
    for k in range(way.styles):
        if made is None or varies(model):
            made = tasks.translate(model, x, way.to, seed=way.seed + k, tile=way.tile)[0]
        yield made


def translate_all(
    model: nn.Module, pictures: Sequence[Named], reader: Reader, way: Way, places: Places | None
) -> Translations:
    """All pictures, one after the other; what was written stays, whatever ends the work.

    Warns of pictures that cannot be read. Raises PthetaError where none can, or the one.
    """
    told = Told(len(pictures))
    images: list[Tensor] = []
    for i in watched(range(len(pictures)), "translating pictures"):
        if places is not None and places.many and _is_done(pictures[i], places.files(i)):
            told.there += 1
            continue
        try:
            read = told.noting(pictures[i], reader(pictures[i]))
        except PthetaError as error:
            told.skipped.append(str(error))
            continue
        made = answers_to(model, read.x, way)
        if places is not None and places.many:
            _write(places.files(i), made)
            continue
        images.append(torch.stack(list(made)))
        if places is not None:
            _write(places.files(i), iter(images[-1]))
    told.warn(reader)
    about = told.about(way.styles)
    if places is None:
        return Translations(tuple(images), about)
    files = tuple(file for i in range(len(pictures)) for file in places.files(i) if file.is_file())
    path = places.path if places.many or len(files) > 1 else files[0]
    return Translations(tuple(images), about, files, path)


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


def _is_done(named: Named, files: Sequence[Path]) -> bool:
    """Whether the answers are there, and are younger than the picture."""
    if named.file is None or not all(file.is_file() for file in files):
        return False
    try:
        read = named.file.stat().st_mtime_ns
        return all(file.stat().st_mtime_ns >= read for file in files)
    except OSError:
        return False


def _write(files: Sequence[Path], made: Iterator[Tensor]) -> None:
    for file, x in zip(files, made, strict=True):
        data = to_picture(grid(x[None]), file.suffix.lower(), mark=False)
        make_folder(file.parent)
        write_atomic(file, partial(Path.write_bytes, data=data))


class Told:
    """What there is to say of so many pictures at the end.

    there: those that an earlier call had done; skipped: a line for each that cannot be read
    far: for each with colours that are none of the palette, its share of them
    """

    def __init__(self, total: int) -> None:
        self.total, self.there = total, 0
        self.skipped: list[str] = []
        self.far: dict[str, float] = {}

    def noting(self, named: Named, read: Read) -> Read:
        if read.far:
            self.far[named.name] = read.far
        return read

    def warn(self, reader: Reader) -> None:
        if len(self.skipped) == self.total:
            more = "" if self.total == 1 else f" (none of {self.total:,} pictures can be)"
            raise PthetaError(
                f"cannot read {self.skipped[0]}{more}: give pictures that can be read"
            )
        if self.skipped:
            named = "; ".join(self.skipped[:MOST_NAMED])
            more = f"; and {rest:,} more" if (rest := len(self.skipped) - MOST_NAMED) > 0 else ""
            warnings.warn(
                f"{len(self.skipped):,} of {self.total:,} pictures cannot be read and are left "
                f"out: {named}{more}",
                stacklevel=5,
            )
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
        return ", ".join(parts)
