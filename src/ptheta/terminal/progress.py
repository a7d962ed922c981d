"""How far a long piece of work is: which run, which loop, how many of how many.

A loop says that it may be watched (`watched`); whoever starts the work decides whether it is shown
(`shown`), so that the functions in between need not hand anything through.
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
    """A loop: what it does, and how far it is."""

    what: str
    total: int
    done: int = 0


@dataclass
class Work:
    """What is being worked at: the thing (such as a run), and the loops inside one another."""

    thing: str = ""
    stages: list[_Stage] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    screen: Screen = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(self.look)

    @property
    def share(self) -> float:
        """Of the outermost loop that is done: the inner ones are parts of one of its turns."""
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
    """Inside, the loops that are `watched` are shown on stderr. thing: what the work is at"""
    work = Work(printable(thing))
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)
        work.screen.close()


@contextmanager
def unwatched() -> Iterator[None]:
    """Inside, nothing is shown: what is timed there is left alone."""
    token = _work.set(None)
    try:
        yield
    finally:
        _work.reset(token)


def about(thing: str) -> None:
    """What the work is at from now on, such as "2 of 4: vae"; a plain line says so."""
    work = _work.get()
    if work is not None:
        work.thing = printable(thing)
        if work.screen.bar is None:
            work.screen.say(fitting(PLAIN, [(work.thing,)]))
        work.screen.draw(at_once=True)


@contextmanager
def stage(what: str) -> Iterator[None]:
    """Inside, the loops that are watched are the parts of one thing."""
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
    """The items, one after the other; how many are done is shown where somebody looks.

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
