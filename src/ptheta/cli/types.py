"""Parameter types of options, with the same error messages in all commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

from ptheta.config import LAST_SEED, MOST, MOST_PARTS, MOST_SIDE, MOST_THREADS, brief
from ptheta.errors import PthetaError
from ptheta.files.out import check_file, check_folder

NAME = 255  # the longest name of a file, bytes
PATH = 4095  # the longest path, bytes
MOST_JOBS = 4096  # trainings at the same time


Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]

N = TypeVar("N", int, float)

if TYPE_CHECKING:
    Text = click.ParamType[str]
    Place = click.ParamType[Path]
    Count = click.ParamType[int]
    Number = click.ParamType[float]
    Either = click.ParamType[int | str]
    Words = click.ParamType[tuple[str, ...]]
else:  # generic at run time since click 8.4
    Text = Place = Count = Number = Either = Words = click.ParamType


class Whole(Count):
    """An integer from `least` to `most`. Raises PthetaError for any other value."""

    name = "N"

    def __init__(self, least: int = 1, most: int = MOST) -> None:
        self.least, self.most = least, most

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            number = int(value)
        except (ValueError, OverflowError):
            raise _refused(param, value, "an integer") from None
        return _within(number, self.least, self.most, param, value)


class Real(Number):
    """A finite number >= `least`, or > `least` if `above`. Raises PthetaError for any other
    value."""

    name = "X"

    def __init__(self, least: float = -math.inf, above: bool = False) -> None:
        self.least, self.above = least, above

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise _refused(param, value, "a number") from None
        if not math.isfinite(number):
            raise _refused(param, value, "a finite number")
        if self.above and number <= self.least:
            raise _refused(param, value, f"more than {self.least:g}")
        return _within(number, self.least, math.inf, param, value)


class Source(Text):
    """The name of a data set, or a path to read. Raises PthetaError if it can be neither."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text.strip() or "\0" in text:
            raise _refused(param, repr(text), "a name or a path")
        encoded = text.encode(errors="surrogateescape")
        if len(encoded) > PATH or max(map(len, encoded.split(b"/"))) > NAME:
            raise _refused(param, text, f"names of at most {NAME} bytes, {PATH} together")
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return files(ctx, param, incomplete)


class Pictured(Either):
    """The index of an image, or the path of an image file."""

    name = "number or picture"

    def convert(
        self, value: int | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if text.removeprefix("-").isdecimal():
            return Whole(0).convert(text, param, ctx)
        return Source().convert(text, param, ctx)


class Names(Words):
    """Comma-separated names; an empty text gives none."""

    name = "names"

    def convert(
        self,
        value: str | tuple[str, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):  # already converted
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())


class File(Place):
    """A file to write, with one of these suffixes; checked before the work starts."""

    name = "file"

    def __init__(self, *suffixes: str) -> None:
        self.suffixes = suffixes

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        return check_file(value, self.suffixes, flag=_flag(param))


class Folder(Place):
    """A folder to write into; checked before the work starts."""

    name = "folder"

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        return check_folder(value, flag=_flag(param))


def files(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """For `shell_complete`: the shell completes a path."""
    return [CompletionItem(typed, type="file")]


def one_of(words: Iterable[str]) -> Completer:
    """For `shell_complete`: the words that begin with what was typed."""
    return lambda ctx, param, typed: [word for word in words if word.startswith(typed)]


COUNT = Whole()
POSITIVE = Real(0.0, above=True)
LAYERED = Whole(1, MOST_PARTS)  # for things that are drawn one by one
SEED = Whole(0, LAST_SEED)
SIDE = Whole(1, MOST_SIDE)
TILE = Whole(64, MOST_SIDE)  # minimum of `ptheta.tasks.tiling`
THREADS = Whole(0, MOST_THREADS)
PROCESSES = Whole(1, MOST_THREADS)
PROCESSES_OR_NONE = Whole(0, MOST_THREADS)
SOURCE = Source()
NAMES = Names()
IMAGE = Pictured()
PICTURE = File(".png")
FOLDER = Folder()


def _within(
    number: N, least: float, most: float, param: click.Parameter | None, value: object
) -> N:
    if number < least:
        raise _refused(param, value, f"{least} or more")
    if number > most:
        raise _refused(param, value, f"{most} or less")
    return number


def _refused(param: click.Parameter | None, value: object, wanted: str) -> PthetaError:
    return PthetaError(f"{_flag(param)} {brief(value)}: want {wanted}".strip())


def _flag(param: click.Parameter | None) -> str:
    """Name of a parameter as the user types it."""
    if isinstance(param, click.Argument):
        return (param.metavar or param.opts[0]).upper()
    return "" if param is None else param.opts[0]
