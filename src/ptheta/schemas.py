"""Schemas of the files in a run folder, validated when they are read.

Types are strict (strings are not numbers), numbers are finite, and the first error is one line with
the file, the location in it, and what to do.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
)

from ptheta.config import MOST_SIDE, Side, reason
from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file, there

M = TypeVar("M", bound=BaseModel)

FORMAT = 1  # of config.json
MOST_COLUMNS = 2**14  # of a table
# parts of error locations that are not shown
IMAGES, LABEL_MAPS, VECTORS = "(images)", "(label maps)", "(vectors)"
MOST_NUMBERS = 2**26  # in an image: a square picture of 8,192 pixels


def _place(text: str) -> str:
    """A string that can be a path or a name."""
    if not text or "\0" in text or len(text) > 4096:
        raise ValueError("input should be the name of data or a path")
    return text


Place = Annotated[str, AfterValidator(_place)]
Whole = Annotated[int, Ge(0), Le(2**63 - 1)]
Options = dict[str, object]  # validated by a config class


class _File(BaseModel):
    """Unknown keys are ignored."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class _Exact(BaseModel):
    """Unknown keys are errors, since they could change the meaning of the others."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class Images(_Exact):
    """An image spec: see `ptheta.specs.ImageSpec`."""

    channels: Side
    height: Side
    width: Side
    levels: Annotated[int, Ge(2)]


class LabelMaps(Images):
    """A label map spec: see `ptheta.specs.LabelMapSpec`."""

    palette: Annotated[list[list[int]], MinLen(2), MaxLen(256)]


class Column(_Exact):
    """One column of a vector: see `ptheta.specs.Column`. low, high: null if unbounded."""

    name: str
    kind: Literal["real", "integer", "category"]
    values: list[str] = []
    low: float | None = None
    high: float | None = None
    center: float = 0.0
    scale: Annotated[float, Gt(0)] = 1.0
    missing: bool = False


class Vectors(_Exact):
    """A vector spec: see `ptheta.specs.VectorSpec`."""

    columns: Annotated[list[Column], MinLen(1), MaxLen(MOST_COLUMNS)]


def _of_spec(values: object) -> str:
    """The kind of a spec, from its keys."""
    given = dict(values) if isinstance(values, BaseModel | dict) else {}
    return next((kind for key, kind in SPEC_KEYS.items() if key in given), IMAGES)


SPEC_KEYS = {"columns": VECTORS, "palette": LABEL_MAPS}
Spec = Annotated[
    Annotated[Images, Tag(IMAGES)]
    | Annotated[LabelMaps, Tag(LABEL_MAPS)]
    | Annotated[Vectors, Tag(VECTORS)],
    Discriminator(_of_spec),
]


class Condition(_Exact):
    """A condition spec. Its kind determines the other keys: see `ptheta.conditions`."""

    model_config = ConfigDict(strict=True, extra="allow")

    kind: str


class Data(_File):
    """The training data in config.json."""

    name: str
    images: Whole
    classes: list[str] = []
    skipped: list[str] = []
    notes: list[str] = []
    white: dict[str, Annotated[float, Gt(0)]] = {}
    fingerprint: str | None = None
    order: str | None = None


class Plugged(_File):
    """An entry of a plug-in that a run uses: see `ptheta.plugins.Registered`."""

    kind: str
    name: str
    module: Annotated[str, StringConstraints(pattern=r"^[\w.]+$")]
    package: Annotated[str, StringConstraints(pattern=r"^[\w.-]*$")] = ""
    version: Annotated[str, StringConstraints(pattern=r"^[\w.+!-]*$")] = ""


class Config(_File):
    """config.json."""

    format: int
    model: str
    recipe: str
    config: Options
    source: Place
    data: Options
    train: Options
    spec: Spec
    condition: Condition | None = None
    dataset: Data
    parameters: Whole = 0
    versions: dict[str, str] = {}
    plugins: list[Plugged] = []


class Progress(_File):
    """progress.json of a checkpoint: see `ptheta.training.progress.Progress`."""

    step: Whole
    seconds: Annotated[float, Ge(0)]
    ema_updates: Whole = 0
    best_step: Whole = 0
    best_metric: str = ""
    best_value: float | None  # None: not evaluated yet
    scored_step: Whole = 0
    logged_step: Whole | None = None  # None, here and below: written by an older version
    logged_seconds: Annotated[float, Ge(0)] | None = None
    lines: Whole | None = None
    warnings: Whole | None = None
    alarmed: tuple[str, ...] = ()
    ended: bool = False


class Sweep(_File):
    """sweep.json."""

    runs: list[Place]
    failed: dict[str, str] = {}


class Draws(_Exact):
    """Leave-one-group-out values: see `ptheta.measures.results.Draws`."""

    fake: list[float] = []
    real: list[float] = []
    both: list[float] = []


class Measured(_Exact):
    """One result of evaluation.json."""

    metric: str
    value: float | None
    unit: str = ""
    relation: Literal["=", "<=", ">=", "~"] = "="
    error: float | None = None
    better: Literal["", "lower", "higher", "nearest 1"] = ""
    reason: str = ""
    protocol: dict[str, object] = {}
    note: str = ""
    interval_95: tuple[float, float] | None = None
    draws: Draws | None = None


class Measurements(_File):
    """evaluation.json."""

    protocol: dict[str, object]
    results: list[Measured]


PictureFile = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+\.png$")]


class ComparedPicture(_File):
    """A picture of a report. file: name in the folder of pictures."""

    title: str
    caption: str
    file: PictureFile


class ComparedData(_File):
    """The data of a report: see `ptheta.report.comparison.Material`."""

    name: str
    what: str
    example: str
    examples: str
    count: Whole
    real: ComparedPicture
    first: ComparedPicture


class ComparedRow(_File):
    """A row of a report: see `ptheta.report.comparison.Measured`. NaN in a log is null."""

    name: str
    path: str
    family: str
    model: str
    about: str
    setting: str
    density: str
    place: list[str]
    seconds: float | None
    steps: Whole | None
    evaluation: Measurements
    pictures: list[ComparedPicture]
    first: ComparedPicture | None
    logged: list[dict[str, float | None]]
    references: dict[str, float]
    command: str
    config: dict[str, object]
    taken: list[str]
    remarks: list[str]


class Compared(_File):
    """measured.json: all data of a report."""

    n: Whole
    seed: Whole
    data: ComparedData
    rows: Annotated[list[ComparedRow], MinLen(1)]
    baselines: dict[str, Measurements]
    real: Measurements


StudyText = Annotated[str, MinLen(1), MaxLen(1000)]
Phase = Literal["tutorial", "practice", "qualification", "main"]


class StudySource(_File):
    """Images of a study. n: how many of them may be shown"""

    name: StudyText
    kind: Literal["run", "folder", "reference"]
    path: str
    n: Whole


class StudyRule(_File):
    """A rule by which people are excluded: those with a smaller share of right answers."""

    least_correct: Annotated[float, Ge(0), Le(1)]


class Study(_File):
    """study.json: what a study asks, of which images, by which rules.

    counts: trials of each phase. qualification: of the answers of that phase, attention: of the
    answers of that kind; None: there is no such rule. version: of ptheta, or of another program.
    """

    name: StudyText
    protocol: Literal["hype-infinity", "hype-time", "2afc", "pairs", "rating"]
    sources: Annotated[list[StudySource], MinLen(1)]
    seed: Whole = 0
    counts: dict[Phase, Whole] = {}
    qualification: StudyRule | None = None
    attention: StudyRule | None = None
    language: str = "en"
    version: str = ""


StudyCount = Annotated[int, Ge(0), Le(10_000)]
Milliseconds = Annotated[int, Gt(0), Le(60_000)]


class StudyItem(_Exact):
    """An image of a study. id: opaque, the stem of its file; use: what it is kept for; origin: what
    it was called where it came from."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")]
    source: StudyText
    use: Literal["main", "practice", "example", "qualification", "attention"]
    origin: str = ""


class StudyTiming(_Exact):
    """The staircase of HYPE-time: see `ptheta.study.staircase`. mask_ms: of each mask."""

    start_ms: Milliseconds = 500
    least_ms: Milliseconds = 100
    most_ms: Milliseconds = 1000
    down_ms: Milliseconds = 10
    up_ms: Milliseconds = 30
    mask_ms: Milliseconds = 30


class StudyPlan(_Exact):
    """plan.json: what a study shows and asks. It stays on the server.

    sources: names in the order of study.json; design: whether each person sees one source or all;
    trials: of the main part, without attention checks and repeats; break_every: 0: no breaks
    """

    format: int
    protocol: Literal["hype-infinity", "hype-time", "2afc", "pairs", "rating"]
    sources: Annotated[list[StudyText], MinLen(1)]
    design: Literal["between", "within"]
    seed: Whole = 0
    trials: Annotated[int, Gt(0), Le(10_000)]
    practice: StudyCount = 0
    qualification: StudyCount = 0
    least_correct: Annotated[float, Ge(0), Le(1)] = 0.0
    attention: StudyCount = 0
    repeats: StudyCount = 0
    break_every: StudyCount = 0
    width: Side
    height: Side
    language: str = "en"
    consent: Annotated[str, MaxLen(20_000)] = ""
    timing: StudyTiming = StudyTiming()
    masks: Annotated[int, Ge(0), Le(99)] = 0
    items: list[StudyItem]


class Row(BaseModel):
    """One line of metrics.jsonl: a number for each name. A metric may be NaN."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, float]

    step: Whole
    seconds: Annotated[float, Ge(0)] = 0.0


class Warned(_File):
    """One line of warnings.jsonl."""

    step: Whole
    warning: str


class Drawn(_File):
    """The record in a folder of images: see `ptheta.api.record`."""

    format: Literal[2]
    asked: dict[str, str | int | list[int] | list[float] | None]
    done: Whole


class Answer(_File):
    """A line of `ptheta.api.answered`: a picture, and the SHA-256 of its file when it was
    translated."""

    picture: str
    digest: str


def parse(kind: type[M], values: object, file: Path | str, cure: str) -> M:
    """Validates parsed JSON `values` as a `kind`.

    Raises PthetaError, one line, for the first error. cure: what to do about it.
    """
    if not isinstance(values, Mapping):
        raise PthetaError(f"{file} contains {_what(values)} instead of a table: {cure}")
    try:
        # JSON has no tuples, so lists are accepted for them; no other conversions
        return TypeAdapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        place = ".".join(
            str(part)
            for part in error.errors()[0]["loc"]
            if part not in (IMAGES, LABEL_MAPS, VECTORS)
        )
        raise PthetaError(f"{file}: {place or 'it'}: {reason(error)}; {cure}") from None
    except RecursionError:
        raise PthetaError(f"{file} is too deeply nested; {cure}") from None


def lines(path: Path, kind: type[M]) -> Iterator[tuple[str, M]]:
    """The valid lines of a `.jsonl` file, each with its text.

    A truncated last line (from a killed process) is skipped silently, other invalid lines with a
    warning. Raises PthetaError if the file cannot be read.
    """
    rows, bad = _rows(path, kind)
    yield from rows
    if bad:
        warnings.warn(
            f"{path}: {bad} {'line is' if bad == 1 else 'lines are'} damaged and skipped",
            stacklevel=3,
        )


def whole(path: Path, kind: type[M], cure: str) -> list[M]:
    """The rows of `lines`. Also raises PthetaError if the file has lines but none is valid."""
    rows, bad = _rows(path, kind)
    if bad and not rows:
        raise PthetaError(f"{path}: none of its {bad} lines is one that ptheta writes; {cure}")
    return [row for _, row in lines(path, kind)]


def _rows(path: Path, kind: type[M]) -> tuple[list[tuple[str, M]], int]:
    """The rows with their texts, and the number of invalid lines, except for a truncated last
    one."""
    *complete, last = _texts(path)
    rows, bad = [], 0
    for text in filter(bytes.strip, (*complete, last)):
        try:
            rows.append((text.decode(), kind.model_validate_json(text)))
        except ValueError:  # includes pydantic's error and undecodable text
            bad += text is not last
    return rows, bad


def _texts(path: Path) -> list[bytes]:
    """The lines of a file; the last is the text after the last line break."""
    if not there(path):
        return [b""]
    check_file(path)
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror or error}") from None


def check_size(spec: Images | Vectors, file: Path | str) -> None:
    """Raises PthetaError for images too large to be plausible."""
    if isinstance(spec, Vectors):
        return
    numbers = spec.channels * spec.height * spec.width
    if numbers > MOST_NUMBERS:
        raise PthetaError(
            f"{file}: spec: images of {spec.channels}x{spec.height}x{spec.width} have more than "
            f"{MOST_NUMBERS:,} numbers (a side is at most {MOST_SIDE:,}): put the file back"
        )


def _what(values: object) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "true or false"}.get(
        type(values), "a number"
    )
