"""Progress display of a training: position, losses of the players, time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TextIO

from tqdm.utils import disp_len

from ptheta.terminal.screen import (
    EVERY,
    FIRST,
    LEAST_BAR,
    PLAIN,
    Look,
    Screen,
    clock,
    cut,
    figure,
    fitting,
    loss_texts,
    printable,
)

TITLE = 40  # columns
REFRESHED = 1.0  # seconds between updates of the losses on a terminal
MARKS = 50  # approximate number of time marks that are kept


class Pace:
    """Seconds per step, over the later half of the steps of this process: excludes the first step
    (compilation, caches), includes evaluations."""

    def __init__(self, step: int, seconds: float) -> None:
        self.first, self.since = step + 1, seconds
        self.marks: deque[tuple[int, float]] = deque()

    def mark(self, step: int, seconds: float) -> None:
        """Records a step; only few marks are kept."""
        if not self.marks or seconds - self.marks[-1][1] >= (seconds - self.since) / MARKS:
            self.marks.append((step, seconds))
        while len(self.marks) > 2 and self.marks[1][0] <= (self.first + step) / 2:
            self.marks.popleft()

    def of_a_step(self, step: int, seconds: float) -> float | None:
        """Seconds per step; None if not known yet."""
        if not self.marks or step <= self.marks[0][0]:
            return None
        return (seconds - self.marks[0][1]) / (step - self.marks[0][0])


class Display:
    """A line with a bar on a terminal, plain lines elsewhere.

    total: steps of the run, or None if it is limited by time; budget: that limit, in seconds
    step, seconds: where the run resumes
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        budget: float | None,
        step: int = 0,
        seconds: float = 0.0,
        stream: TextIO | None = None,
        examples: str = "images",
    ) -> None:
        self.examples = examples
        self.title, self.total, self.budget = cut(printable(title), TITLE), total, budget
        self.step, self.seconds = step, seconds
        self.pace = Pace(step, seconds)
        self.losses: Mapping[str, float] = {}
        self.rate = self.held_out = ""
        self.screen = Screen(self.look, stream)
        self.refreshed = time.monotonic() + FIRST - EVERY

    @property
    def due(self) -> bool:
        """Whether the displayed losses are outdated."""
        wait = REFRESHED if self.screen.bar is not None else EVERY
        return time.monotonic() - self.refreshed >= wait

    def advance(self, step: int, seconds: float) -> None:
        """Records the end of a step."""
        self.step, self.seconds = step, seconds
        self.pace.mark(step, seconds)
        self.screen.draw()

    def show(self, losses: Mapping[str, float], rate: float | None = None) -> None:
        """losses: main losses by name; rate: examples per second, if measured"""
        self.losses, self.refreshed = dict(losses), time.monotonic()
        if rate is not None:
            self.rate = f"{figure(rate)} {self.examples}/s"
        if self.screen.bar is None:
            self.screen.say(self.line())
        else:
            self.screen.draw()

    def measure(self, values: Mapping[str, float]) -> None:
        """Shows held-out metrics, first the one that selects the weights."""
        texts = loss_texts(values)
        self.held_out = f"held-out {texts[0]}"
        if self.screen.bar is None:
            parts = (self.title, self.where, self.held_out, *texts[1:])
            self.screen.say(fitting(PLAIN, [parts, parts]))

    def say(self, text: str) -> None:
        self.screen.say(f"{self.title}  {text}")

    def close(self) -> None:
        self.screen.close(leave=True)

    @property
    def where(self) -> str:
        goal = f"/{self.total}" if self.total is not None else ""
        return f"step {self.step}{goal}"

    @property
    def share(self) -> float:
        """Fraction of the run that is done."""
        if self.total is not None:
            return self.step / self.total
        return self.seconds / (self.budget or self.seconds or 1.0)

    @property
    def left(self) -> str:
        """Remaining time, or total time at the end."""
        if self.share >= 1:
            return f"in {clock(self.seconds)}"
        if self.total is None:
            return f"{clock((self.budget or 0.0) - self.seconds)} left"
        pace = self.pace.of_a_step(self.step, self.seconds)
        return "" if pace is None else f"{clock(pace * (self.total - self.step))} left"

    def line(self) -> str:
        """A plain line."""
        long, short = loss_texts(self.losses), loss_texts(self.losses, short=True)
        start = (self.title, self.where)
        forms = [(*start, *long, self.rate, self.left), (*start, *long, self.left)]
        return fitting(PLAIN, [*forms, (*start, *short, self.left), (*start, *short)])

    def look(self, width: int) -> Look:
        """The terminal line: losses first, then what fits."""
        long, short = loss_texts(self.losses), loss_texts(self.losses, short=True)
        where = self.where.removeprefix("step ").rjust(2 * len(str(self.total or 0)) + 1)
        for before, after in (
            ((self.title, where), (*long, self.held_out, self.rate, self.left)),
            ((self.title, where), (*long, self.held_out, self.left)),
            ((self.title, where), (*long, self.left)),
            ((self.title, where), (*short, self.left)),
            ((where,), (*short, self.left)),
        ):
            texts = ["  ".join(filter(None, parts)) for parts in (before, after)]
            if sum(map(disp_len, texts)) + 4 + LEAST_BAR <= width:
                return Look(texts[0], texts[1], self.share)
        return Look(fitting(width, [(where, *short, self.left)] * 2))
