"""Output files of translated images, named after the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptheta.api.export import ARRAYS, check_mixed
from ptheta.api.pictures import Named
from ptheta.config import brief
from ptheta.data.names import shown
from ptheta.errors import PthetaError
from ptheta.files.images import PICTURES, PNG
from ptheta.files.out import check_file, check_folder
from ptheta.files.paths import expand


@dataclass(frozen=True)
class Places:
    """Output files of translations.

    folder: folder of all outputs; names: for each input, one name per output; many: whether there
    may be several inputs, so that a record is kept
    """

    path: Path
    folder: Path
    names: tuple[tuple[str, ...], ...]
    many: bool

    @classmethod
    def of(
        cls, out: str | Path, pictures: Sequence[Named], styles: int, *, many: bool, lossless: bool
    ) -> Places:
        """lossless: whether colours must be preserved exactly. Creates nothing.

        Raises PthetaError for a folder that cannot be written, contains other files, or contains
        the inputs.
        """
        suffix, place = Path(out).suffix.lower(), expand(out)
        if (suffix in PICTURES or suffix in ARRAYS) and not place.is_dir():
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
                f"--out {brief(out)}: "
                f"{'several images are written' if many else 'an image is written'} into a "
                f"folder: give a name without a suffix{'' if many else ', or a .png'}"
            )
        if lossless and PICTURES[suffix] is not PNG and suffix != ".webp":
            raise PthetaError(
                f"--out {brief(out)}: {suffix} is lossy, and each colour is a label: give a .png"
            )
        place = check_file(out)
        return cls(place, place.parent, (numbered(place.stem, suffix, styles),), many)

    def _check_apart(self, pictures: Sequence[Named]) -> None:
        """Raises PthetaError if an input would be overwritten."""
        read = {file.resolve() for named in pictures if (file := named.file) is not None}
        for file in (self.folder / name for names in self.names for name in names):
            if file.resolve() in read:
                raise PthetaError(
                    f"--out {brief(self.path)}: {file.name} there is one of the inputs, and "
                    "would be overwritten: choose another folder"
                )

    def files(self, i: int) -> list[Path]:
        """Output files for input i."""
        return [self.folder / name for name in self.names[i]]


def names_of(pictures: Sequence[Named], styles: int) -> tuple[tuple[str, ...], ...]:
    """Names of the outputs: those of the inputs, as .png, numbered if there are several. If inputs
    differ only in their suffix, it is kept: a.jpg.png.

    Raises PthetaError for two inputs with the same name.
    """
    places = [Path(named.name) for named in pictures]
    if len(set(places)) < len(places):
        twice = Counter(places).most_common(1)[0][0]
        raise PthetaError(f"two images are named {shown(str(twice))}: translate them separately")
    return tuple(numbered(str(stem), ".png", styles) for stem in distinct_names(places))


def distinct_names(places: Sequence[Path]) -> list[Path]:
    """Names without suffix; the suffix is kept if names would collide: a.jpg, a.png and a.jpg.png
    stay as they are, since the last would collide with the first."""
    stems = [place.with_suffix("") for place in places]
    while len(set(stems)) < len(stems):
        alike = Counter(stems)
        stems = [p if alike[stem] > 1 else stem for p, stem in zip(places, stems, strict=True)]
    return stems


def numbered(stem: str, suffix: str, styles: int) -> tuple[str, ...]:
    """cat.png, or cat-1.png, cat-2.png, ..."""
    if styles == 1:
        return (f"{stem}{suffix}",)
    return tuple(f"{stem}-{k}{suffix}" for k in range(1, styles + 1))
