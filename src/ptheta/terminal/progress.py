"""Progress of long work: which run, which loop, how many items are done.

Loops are marked by `watched`; the caller decides by `shown` whether progress is displayed, so that
functions in between need no extra arguments.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from tqdm.utils import disp_len

from ptheta.terminal.screen import LEAST_BAR, PLAIN, Look, Screen, clock, cut, fitting, printable

T = TypeVar("T")


@dataclass
class _Stage:
    """A loop: its description and progress."""

    what: str
    total: int
    done: int = 0


@dataclass
class Work:
    """The current work: its subject (such as a run), and the nested loops."""

    thing: str = ""
    stages: list[_Stage] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    screen: Screen = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(self.look)

    @property
    def share(self) -> float:
        """Fraction of the outermost loop that is done; inner loops count as parts of one item."""
        share = 0.0
        for stage in reversed(self.stages):
            share = (stage.done + share) / max(1, stage.total)
        return share

    def look(self, width: int) -> Look:
        what = self.stages[0].what if self.stages else ""
        took = clock(time.monotonic() - self.started)
        after = f"{100 * self.share:.0f}% {took}" if self.stages else took
        thing = cut(self.thing, max(12, width - disp_len(f"  {what} || {after}") - LEAST_BAR))
        if not self.stages:
            return Look(fitting(width, [(thing, took), (thing,)]))
        before = fitting(width, [(thing, what)])
        if disp_len(before) + disp_len(after) + 4 + LEAST_BAR <= width:
            return Look(before, after, self.share)
        return Look(fitting(width, [(thing, what, after), (thing, what), (what,)]))

    def tell(self) -> None:
        if self.screen.bar is not None:
            self.screen.draw()
        elif self.screen.due and self.stages:
            what = f"{self.stages[0].what}, {100 * self.share:.0f} %"
            self.screen.say(fitting(PLAIN, [(self.thing, what), (what,)]))


_work: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def shown(thing: str = "") -> Iterator[None]:
    """Context in which `watched` loops are shown on stderr. thing: subject of the work"""
    work = Work(printable(thing))
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)
        work.screen.close()


@contextmanager
def unwatched() -> Iterator[None]:
    """Context without display, so that timings are not disturbed."""
    token = _work.set(None)
    try:
        yield
    finally:
        _work.reset(token)


def about(thing: str) -> None:
    """Sets the current subject, such as "2 of 4: vae", and prints it on a plain terminal."""
    work = _work.get()
    if work is not None:
        work.thing = printable(thing)
        if work.screen.bar is None:
            work.screen.say(fitting(PLAIN, [(work.thing,)]))
        work.screen.draw(at_once=True)


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Context that groups watched loops into one stage."""
    work = _work.get()
    if work is None:
        yield
        return
    only = _Stage(what, 1)
    work.stages.append(only)
    work.tell()
    try:
        yield
    finally:
        work.stages.remove(only)


def watched(items: Collection[T], what: str) -> Iterator[T]:
    """Iterates over the items and displays the progress if it is shown.

    what: such as "drawing samples"
    """
    work = _work.get()
    if work is None:
        yield from items
        return
    stage_here = _Stage(what, len(items))
    work.stages.append(stage_here)
    work.tell()
    try:
        for item in items:
            yield item
            stage_here.done += 1
            work.tell()
    finally:
        work.stages.remove(stage_here)
