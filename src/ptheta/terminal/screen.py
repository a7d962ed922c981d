"""Progress output: a line with a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import NamedTuple, TextIO

from tqdm import tqdm
from tqdm.utils import disp_len

PLAIN = 100  # columns of a plain line, at most
USUAL = 80  # columns if the terminal does not report its width
LEAST_BAR = 8  # minimum columns of a bar
REDRAWN = 0.1  # seconds between two drawings on a terminal
FIRST, EVERY = 3.0, 10.0  # seconds to the first plain line, and between two of them


# A thread lock: a process lock is a system semaphore, which would remain after a kill.
tqdm.set_lock(RLock())


class Look(NamedTuple):
    """A terminal line. before, after: texts around the bar; share: filled fraction, 0..1"""

    before: str
    after: str = ""
    share: float | None = None


class _Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """tqdm with a layout that adapts to the current width."""

    nrows: int | None
    monitor_interval = 0  # no monitor thread: the line is drawn on updates

    def __init__(self, stream: TextIO, look: Callable[[int], Look]) -> None:
        self.look = look
        super().__init__(total=1.0, file=stream, dynamic_ncols=True, leave=False, mininterval=0)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if self.nrows is not None and self.nrows < 2:  # the terminal does not report its height
            self.nrows = None
        return bool(super().display(msg, pos))

    @property
    def format_dict(self) -> dict[str, object]:
        values = super().format_dict
        width = (values["ncols"] or USUAL) - 1  # the last column would wrap on some terminals
        look = self.look(width)
        line = "{before}" if look.share is None else "{before} |{bar}| {after}"
        extra = {"ncols": width, "before": look.before, "after": look.after, "bar_format": line}
        return {**values, **extra, "n": min(1.0, max(0.0, look.share or 0.0))}


class Screen:
    """look: layout of the line for a given width; stream: default stderr"""

    def __init__(self, look: Callable[[int], Look], stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.drawn = -REDRAWN
        self.bar = _Bar(self.stream, look) if self.stream.isatty() else None
        self.loss_texts = time.monotonic() - EVERY + FIRST

    @property
    def due(self) -> bool:
        """Whether a plain line is due."""
        return time.monotonic() - self.loss_texts >= (REDRAWN if self.bar is not None else EVERY)

    def draw(self, *, at_once: bool = False) -> None:
        """Redraws the terminal line, at a limited rate."""
        now = time.monotonic()
        if self.bar is not None and (at_once or now - self.drawn >= REDRAWN):
            self.drawn = now
            self.bar.refresh()

    def say(self, text: str) -> None:
        """Prints a permanent line, above the progress line on a terminal."""
        self.loss_texts = time.monotonic()
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    def close(self, *, leave: bool = False) -> None:
        """leave: keep the terminal line; by default it is removed"""
        if self.bar is not None:
            self.bar.leave = leave
            self.draw(at_once=leave)
            self.bar.close()
            self.bar = None


def above(text: str, stream: TextIO) -> None:
    """Prints a permanent line above all progress lines."""
    tqdm.write(text, file=stream)


# -- words


def printable(text: str) -> str:
    """Removes characters that would move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)


def cut(text: str, width: int) -> str:
    """Shortens a text to `width` columns, omitting the middle."""
    if disp_len(text) <= width:
        return text
    half = max(0, width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[len(text) - half :]}"


def clock(seconds: float) -> str:
    """Formats seconds as m:ss or h:mm:ss; 0:00 only for exactly 0."""
    whole = round(seconds) or int(seconds > 0)
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def figure(value: float, digits: int = 4) -> str:
    """Formats a number compactly, with the same width for similar magnitudes, so that a redrawn
    line does not jump."""
    if 10**digits <= abs(value) < 1e8:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".removesuffix(".")


def shortened(names: Sequence[str]) -> list[str]:
    """Abbreviates names to unique prefixes that end at a syllable."""
    short = []
    for name in names:
        others = [other for other in names if other != name]
        size = min(3, len(name))
        while size < len(name) and (
            name[size - 1] in "aeiou" or any(other.startswith(name[:size]) for other in others)
        ):
            size += 1
        short.append(name[:size])
    return short


def loss_texts(values: Mapping[str, float], *, short: bool = False) -> list[str]:
    """ "name value" for each value."""
    names, digits = (shortened(list(values)), 3) if short else (list(values), 4)
    return [f"{name} {figure(v, digits)}" for name, v in zip(names, values.values(), strict=True)]


def fitting(width: int, forms: Sequence[Sequence[str]]) -> str:
    """The first of several layouts that fits into `width`; else as many parts of the last one as
    fit, with the first part shortened if needed."""
    for parts in forms:
        line = "  ".join(filter(None, parts))
        if disp_len(line) <= width:
            return line
    line = cut(forms[-1][0], width)
    for part in forms[-1][1:]:
        if disp_len(line) + 1 + disp_len(part) <= width:
            line += f" {part}"
    return line
