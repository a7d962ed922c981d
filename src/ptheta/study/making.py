"""`ptheta study new`: draws and reads the images, and writes the folder of a study."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ptheta import __version__
from ptheta.config import brief
from ptheta.errors import PthetaError, readable_size, unknown
from ptheta.files.atomic import (
    commit_folder,
    make_folder,
    remove,
    temporary,
    write_files,
    writing,
)
from ptheta.files.out import check_folder
from ptheta.files.paths import EXAMPLE, exists, expand
from ptheta.schemas import Study, StudyRule, StudySource
from ptheta.study import pictures
from ptheta.study.files import (
    HYPE_TIME,
    MAIN,
    PRACTICE,
    QUALIFICATION,
    REAL,
    STUDY_FILE,
    write_study,
)
from ptheta.study.order import trials_of
from ptheta.study.pictures import Pixels
from ptheta.study.plan import (
    BETWEEN,
    DEGRADED,
    FORMAT,
    IMAGES,
    LONGEST_TEXT,
    MASKS,
    MOST_BYTES,
    MOST_QUESTIONS,
    NOISE,
    RESERVED,
    USUAL,
    WITHIN,
    Item,
    Plan,
    Timing,
    needed,
    write_plan,
)
from ptheta.study.words import LANGUAGES
from ptheta.terminal.progress import stage, watched

EXAMPLES = 2  # images of each kind in the tutorial
LONGEST_NAME = 60  # characters of the name of a source
LONGEST_TITLE = 200  # characters of the name of a study
SOME = 64  # images that masks are made from
SEED_BITS = 62  # of a random seed
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)  # tag of EXIF, and its values that swap the sides


@dataclass(frozen=True)
class Wanted:
    """The options of `ptheta study new`; None: as usual for the protocol.

    Args:
        protocol: One of `ptheta.study.plan.USUAL`.
        real: Real images: a folder or a data set. By default the test images of the first run.
        name: Name of the study. By default that of its folder.
        images: Images of each source for the main part, at most.
        trials: Questions of the main part, without checks.
        practice: Questions of the practice.
        qualification: Questions of the qualification.
        least_correct: Share of right answers that passes the qualification.
        attention: Attention checks in the main part.
        repeats: Questions of the main part that are asked twice.
        break_every: Questions between two breaks.
        design: `between`: each person sees one source; `within`: all.
        size: Width and height of the images in pixels; by default that of the smallest.
        language: Of the pages, where the browser asks for none that there is.
        consent: Text that a person agrees to, instead of the usual one.
        seed: Of the images drawn, and of each person's order; None: a random one. Participants who
            know it can compute which images are real.
        timing: The staircase of HYPE-time.
    """

    protocol: str
    real: str | None = None
    name: str | None = None
    images: int = 100
    trials: int | None = None
    practice: int | None = None
    qualification: int | None = None
    least_correct: float = 0.65
    attention: int = 4
    repeats: int = 6
    break_every: int = 50
    design: str | None = None
    size: int | None = None
    language: str = "en"
    consent: str = ""
    seed: int | None = None
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True)
class Made:
    """A study that was written. notes: on how its images were read"""

    folder: Path
    study: Study
    plan: Plan
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Origin:
    """Where images come from. kind: as in study.json"""

    name: str
    path: str
    kind: str


@dataclass(frozen=True)
class _Read:
    """Images of a source.

    names: what each of them is called
    sizes: (width, height) of each, as it is shown
    picture: reads one of them; large files are not held in memory together
    """

    names: list[str]
    sizes: list[tuple[int, int]]
    picture: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.names)


def new(sources: Sequence[str], out: str | Path, wanted: Wanted) -> Made:
    """Writes the folder of a study.

    Args:
        sources: Runs and folders of images, each as `PATH` or `NAME=PATH`.
        out: Folder to write, which is not there yet.
        wanted: The options.

    Raises:
        PthetaError: A source cannot be read or has too few images, or an option cannot be.
    """
    folder = check_folder(out)
    if exists(folder) and any(folder.iterdir()):
        raise PthetaError(f"--out {folder}: the folder is not empty; choose another")
    _refuse_texts(folder, wanted)
    origins = _origins(sources, wanted)
    seed = secrets.randbits(SEED_BITS) if wanted.seed is None else wanted.seed
    plan = _draft(origins, wanted, seed)
    read = {}
    for origin in origins:
        with stage(f"images of {origin.name}"):
            read[origin.name] = _read(origin, _asked(plan, origin.name, wanted), seed)
    return _write(folder, plan, origins, read, wanted)


# -- what is asked for


def _origins(sources: Sequence[str], wanted: Wanted) -> list[_Origin]:
    if wanted.protocol not in USUAL:
        raise unknown("protocol", wanted.protocol, USUAL)
    found = [_origin(text) for text in sources]
    if not found:
        raise PthetaError("no SOURCE: give a run, or a folder of generated images")
    real = _reference(found, wanted)
    found = [*found, *([real] if real else [])]
    for name in (names := [origin.name for origin in found]):
        if names.count(name) > 1:
            raise PthetaError(f"two sources are called {name!r}: name them by NAME=PATH")
    if len(found) < 2 and wanted.protocol == "pairs":
        raise PthetaError("pairs compares sources: give two or more, or --real")
    return found


def _origin(text: str) -> _Origin:
    """NAME=PATH, PATH, or the name of a run that ships with ptheta."""
    name, equals, path = text.partition("=")
    if not equals or exists(Path(text)):
        name, path = "", text
    is_run = _is_run(path)
    if not name:
        name = path.removeprefix(EXAMPLE) if is_run else ""
        name = expand(name or path).resolve().name
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise PthetaError(f"{brief(text)}: want a name of 1 to {LONGEST_NAME} characters")
    if name in RESERVED:
        raise PthetaError(f"{brief(text)}: {name!r} is kept for other images; use NAME=PATH")
    if not is_run and not exists(expand(path)):
        raise PthetaError(f"{brief(path)} is neither a run nor a folder of images: check the path")
    return _Origin(name, path, "run" if is_run else "folder")


def _is_run(path: str) -> bool:
    if path.startswith(EXAMPLE):
        return True
    return (expand(path) / "config.json").is_file()


def _reference(found: Sequence[_Origin], wanted: Wanted) -> _Origin | None:
    if wanted.real is not None:
        return _Origin(REAL, wanted.real, "reference")
    if not USUAL[wanted.protocol].reference:
        return None
    run = next((origin for origin in found if origin.kind == "run"), None)
    if run is None:
        raise PthetaError(
            f"{wanted.protocol} needs real images, and no source is a run: give them by --real"
        )
    return _Origin(REAL, run.path, "reference")


def _draft(origins: Sequence[_Origin], wanted: Wanted, seed: int) -> Plan:
    """The plan without its images."""
    usual = USUAL[wanted.protocol]
    design = wanted.design or usual.design
    qualification = _given(wanted.qualification, usual.qualification)
    trials = _given(wanted.trials, usual.trials)
    _refuse(wanted, design, qualification, trials)
    return Plan(
        format=FORMAT,
        protocol=wanted.protocol,  # type: ignore[arg-type]  # checked by `_origins`
        sources=[origin.name for origin in origins],
        design=design,  # type: ignore[arg-type]  # checked by `_refuse`
        seed=seed,
        trials=trials,
        practice=_given(wanted.practice, usual.practice),
        qualification=qualification,
        least_correct=wanted.least_correct if qualification else 0.0,
        attention=wanted.attention,
        repeats=wanted.repeats,
        break_every=wanted.break_every,
        width=1,
        height=1,
        language=wanted.language,
        consent=wanted.consent,
        timing=wanted.timing,
        items=[],
    )


def _refuse_texts(folder: Path, wanted: Wanted) -> None:
    if wanted.language not in LANGUAGES:
        raise unknown("language", wanted.language, LANGUAGES)
    if len(wanted.consent) > LONGEST_TEXT:
        raise PthetaError(f"--consent: want at most {LONGEST_TEXT:,} characters")
    name = _name(folder, wanted)
    if not name.isprintable() or len(name) > LONGEST_TITLE:
        raise PthetaError(
            f"--name {brief(name)}: want at most {LONGEST_TITLE} characters, on one line"
        )


def _name(folder: Path, wanted: Wanted) -> str:
    return wanted.name or expand(folder).resolve().name


def _given(value: int | None, usual: int) -> int:
    return usual if value is None else value


def _refuse(wanted: Wanted, design: str, qualification: int, trials: int) -> None:
    """Raises PthetaError for options that are too large, or do not go together."""
    counts = {"trials": trials, "practice": wanted.practice, "qualification": qualification}
    counts |= {"attention": wanted.attention, "repeats": wanted.repeats}
    counts |= {"break-every": wanted.break_every}
    for name, value in counts.items():
        if value is not None and value > MOST_QUESTIONS:
            raise PthetaError(f"--{name} {value}: want at most {MOST_QUESTIONS:,}")
    if not 0 <= wanted.least_correct <= 1:
        raise PthetaError(f"--least-correct {wanted.least_correct:g}: want 0 to 1, such as 0.65")
    protocol, truth = wanted.protocol, USUAL[wanted.protocol].reference
    if design not in (BETWEEN, WITHIN):
        raise unknown("design", design, (BETWEEN, WITHIN))
    if design == BETWEEN and not truth:
        raise PthetaError(f"--design between: in {protocol} each person sees all sources")
    if design == WITHIN and protocol == HYPE_TIME:
        raise PthetaError("--design within: a staircase of hype-time is of one source")
    if qualification and not truth:
        raise PthetaError(
            f"--qualification {qualification}: {protocol} has no right answers to qualify by"
        )
    if wanted.repeats > trials // 2:
        raise PthetaError(f"--repeats {wanted.repeats}: want at most half of --trials {trials}")


def _kept(plan: Plan, source: str) -> dict[str, int]:
    """How many images of a source are kept for each use but the main one."""
    kept = {"practice": plan.practice}
    if plan.has_truth:
        kept["example"] = EXAMPLES
    if source == REAL and plan.qualification:  # half of them are made easy fakes
        kept["qualification"] = plan.qualification * (2 if plan.two_images else 1)
        kept["qualification"] += kept["qualification"] % 2
    return kept


def _asked(plan: Plan, source: str, wanted: Wanted) -> tuple[int, int]:
    """(least, most) images that are read of a source."""
    kept, least = sum(_kept(plan, source).values()), needed(plan, source)
    return kept + least, kept + max(least, wanted.images)


# -- reading


def _read(origin: _Origin, asked: tuple[int, int], seed: int) -> _Read:
    least, most = asked
    path = expand(origin.path) if not origin.path.startswith(EXAMPLE) else Path(origin.path)
    if _is_run(origin.path):
        found = _of_run(origin, most, seed)
    elif path.is_dir():
        found = _of_folder(path, most, seed)
    else:
        found = _of_data(origin.path, most, seed)
    if len(found) < least:
        raise PthetaError(
            f"{origin.name} ({origin.path}): {least:,} images are needed, and {len(found):,} "
            f"{'is' if len(found) == 1 else 'are'} there: give more, or ask for fewer --trials, "
            "--practice or --qualification"
        )
    return found


def _of_run(origin: _Origin, n: int, seed: int) -> _Read:
    """Samples of a run, or its test images."""
    from ptheta.runs.folder import Run
    from ptheta.specs import images_only
    from ptheta.tasks.sample import sample

    run = Run.open(origin.path)
    images_only(run.spec, "a study")
    if origin.kind == "reference":
        data = run.data("test")
        rows = _some(len(data), n, seed)
        x = data.batch(rows).x
        return _of_array(x.numpy(), [f"test image {row}" for row in rows])
    x = sample(run.model(), n, seed=seed)
    return _of_array(x.numpy(), [f"sample {i} of seed {seed}" for i in range(n)])


def _of_data(source: str, n: int, seed: int) -> _Read:
    """Images of a data set that ptheta can read, such as digits or a .npz file."""
    from ptheta.data.sources import open_image_set

    x = open_image_set(source).images.numpy()
    if x.ndim != 4:
        raise PthetaError(f"{source} holds no images: give images")
    rows = _some(len(x), n, seed)
    return _of_array(x[rows], [f"image {row}" for row in rows])


def _of_folder(folder: Path, n: int, seed: int) -> _Read:
    """Picture files of a folder and of those below it, at their own size."""
    from ptheta.data.tree import Folder

    names = [name for name, _, _ in Folder(folder).listing().pictures]
    if not names:
        return _of_data(str(folder), n, seed)  # of arrays, tables or the like
    chosen = [names[row] for row in _some(len(names), n, seed)]
    sizes = [_size(folder / name) for name in watched(chosen, "images")]
    return _Read(chosen, sizes, lambda i: _loaded(folder / chosen[i]))


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file as it is shown."""
    with _reading(path) as picture:
        turned = picture.getexif().get(ORIENTATION, 1) in SIDEWAYS
        turned &= picture.format != "TIFF"  # which Pillow turns itself
        width, height = picture.size
    return (height, width) if turned else (width, height)


def _loaded(path: Path) -> Image.Image:
    with _reading(path) as picture:
        return ImageOps.exif_transpose(picture)


@contextmanager
def _reading(path: Path) -> Iterator[Image.Image]:
    """A picture file. Raises PthetaError where it cannot be read."""
    from ptheta.data.formats import opened

    try:
        with opened(path) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PthetaError(f"{path} cannot be read ({error}): remove it or mend it") from None


def _some(count: int, n: int, seed: int) -> list[int]:
    """n of the numbers below count, in random order; all of them where there are fewer."""
    order = np.random.default_rng([seed, count]).permutation(count)
    return [int(i) for i in order[:n]]


def _of_array(x: np.ndarray, names: list[str]) -> _Read:
    """uint8 (N, C, H, W) -> pictures."""
    if x.shape[1] not in (1, 3):
        raise PthetaError(f"images of {x.shape[1]} channels: want 1 or 3")
    planes = np.repeat(x, 3, 1) if x.shape[1] == 1 else x
    size = (planes.shape[3], planes.shape[2])

    def picture(i: int) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(planes[i].transpose(1, 2, 0)))

    return _Read(names, [size] * len(names), picture)


# -- writing


def _write(
    folder: Path,
    plan: Plan,
    origins: Sequence[_Origin],
    read: dict[str, _Read],
    wanted: Wanted,
) -> Made:
    width, height, notes = _common(read, wanted.size)
    plan = plan.model_copy(update={"width": width, "height": height})
    items, shown = list[Item](), list[Pixels]()
    for item, pixels in _items(plan, read):
        items.append(item)
        shown.append(pixels)
    random = np.random.default_rng([plan.seed, 1])
    masks = 0
    patterns = list[Pixels]()
    if plan.protocol == HYPE_TIME:
        masks = pictures.MASKS
        step = max(1, len(shown) // SOME)
        patterns = [pictures.mask(shown[::step], random) for _ in range(masks)]
    order = np.random.default_rng(secrets.randbits(64)).permutation(len(items))
    plan = plan.model_copy(update={"items": [items[i] for i in order], "masks": masks})
    study = _study(folder, plan, origins, wanted)
    _check(plan)
    files = [pictures.png(shown[i]) for i in order]
    _refuse_large(folder, files)
    notes = *notes, *_shared(items, shown)
    files = pictures.padded(files)
    _commit(folder, plan, study, files, [pictures.png(one) for one in patterns])
    return Made(folder, study, plan, notes)


def _refuse_large(folder: Path, files: Sequence[bytes]) -> None:
    """Raises PthetaError for more than can be served: all files get the size of the largest."""
    size = len(files) * max(map(len, files))
    if size > MOST_BYTES:
        raise PthetaError(
            f"{folder}: {len(files):,} images would have {readable_size(size)}, and at most "
            f"{MOST_BYTES / 2**30:.0f} can be served: give a smaller --size, or fewer --images"
        )


def _shared(items: Sequence[Item], shown: Sequence[Pixels]) -> list[str]:
    """Which sources have images in common: of those, questions have no right answer."""
    found: dict[bytes, set[str]] = {}
    for item, pixels in zip(items, shown, strict=True):
        if item.source not in (DEGRADED, NOISE):
            found.setdefault(hashlib.sha256(pixels.tobytes()).digest(), set()).add(item.source)
    several = Counter(tuple(sorted(names)) for names in found.values() if len(names) > 1)
    return [
        f"warning: {n:,} images are the same in {' and '.join(names)}: choose other folders"
        for names, n in several.items()
    ]


def _common(read: dict[str, _Read], size: int | None) -> tuple[int, int, tuple[str, ...]]:
    """The width and height of all images: those of the smallest, so that none is enlarged."""
    sizes = {name: sorted(set(found.sizes)) for name, found in read.items()}
    every = {size for found in sizes.values() for size in found}
    width, height = min(w for w, _ in every), min(h for _, h in every)
    if size is not None:
        if size > min(width, height):
            raise PthetaError(
                f"--size {size}: the smallest image has {width}x{height} pixels, and enlarging "
                "some images would mark them; give a smaller one"
            )
        width = height = size
    notes = []
    for name, found in sizes.items():
        if found != [(width, height)]:
            w, h = found[-1]
            notes.append(f"images of {name} (up to {w}x{h}) were brought to {width}x{height}")
    return width, height, tuple(notes)


def _items(plan: Plan, read: dict[str, _Read]) -> Iterator[tuple[Item, Pixels]]:
    """All images with what they are kept for."""
    random = np.random.default_rng([plan.seed, 2])
    for source, found in read.items():
        uses = [use for use, n in _kept(plan, source).items() for _ in range(n)]
        uses += ["main"] * (len(found) - len(uses))
        easy = 0
        for i, (use, name) in enumerate(zip(uses, found.names, strict=True)):
            pixels, called = pictures.fitted(found.picture(i), plan.width, plan.height), source
            if use == "qualification" and (easy := easy + 1) % 2:
                pixels, called = pictures.shuffled(pixels, random), DEGRADED
            yield _item(called, use, name), pixels
    for i in range(max(1, plan.attention)):
        yield (
            _item(NOISE, "attention", f"noise {i}"),
            pictures.noise(plan.width, plan.height, random),
        )


def _item(source: str, use: str, origin: str) -> Item:
    return Item(
        id=secrets.token_hex(12),
        source=source,
        use=use,  # type: ignore[arg-type]  # of the words above
        origin=origin,
    )


def _study(folder: Path, plan: Plan, origins: Sequence[_Origin], wanted: Wanted) -> Study:
    counts = {PRACTICE: plan.practice, QUALIFICATION: plan.qualification, MAIN: plan.main}
    return Study(
        name=_name(folder, wanted),
        protocol=plan.protocol,
        sources=[
            StudySource(
                name=one.name,
                kind=one.kind,  # type: ignore[arg-type]  # of three words
                path=one.path,
                n=len(plan.pool("main", one.name)),
            )
            for one in origins
        ],
        seed=plan.seed,
        counts=counts,  # type: ignore[arg-type]  # of phases
        qualification=StudyRule(least_correct=plan.least_correct) if plan.qualification else None,
        attention=StudyRule(least_correct=0.75) if plan.attention else None,
        language=plan.language,
        version=f"ptheta {__version__}",
    )


def _check(plan: Plan) -> None:
    """A person can be asked what the plan says."""
    for source in plan.models:
        trials_of(plan, 0, source if plan.design == BETWEEN else "")


def _commit(
    folder: Path, plan: Plan, study: Study, files: Sequence[bytes], masks: Sequence[bytes]
) -> None:
    """All of it appears at once."""
    make_folder(folder.parent)
    temp = temporary(folder.parent)
    with writing(folder):
        try:
            for part in (IMAGES, MASKS):
                (temp / part).mkdir(parents=True)
            named = [(f"{item.id}.png", file) for item, file in zip(plan.items, files, strict=True)]
            write_files(temp / IMAGES, named)
            write_files(temp / MASKS, [(f"{i}.png", file) for i, file in enumerate(masks)])
            write_plan(temp, plan)
            write_study(temp / STUDY_FILE, study)
            commit_folder(temp, folder)
        finally:
            remove(temp)
