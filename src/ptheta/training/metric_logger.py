"""Logging of a run: metrics.jsonl, the screen, and warnings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ptheta.files.atomic import write_text, writing
from ptheta.schemas import Row, Warned, lines, whole
from ptheta.training.display import Display


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Reads a run's metrics.jsonl: values by name. Skips a truncated last line silently, and other
    damaged lines with a warning. Raises PthetaError if all are damaged."""
    rows = whole(folder / "metrics.jsonl", Row, "put the file back, or remove it")
    return [row.model_dump() for row in rows]


def keep_until(
    path: Path, step: int, count: int | None, kind: type[Row] | type[Warned] = Row
) -> int:
    """Removes the lines after `step`, those after the first `count` (None: unknown) and damaged
    ones, to resume a run there. Returns the number of remaining lines."""
    if not path.exists():
        return 0
    rows = list(lines(path, kind))[:count]
    kept = [f"{text}\n" for text, row in rows if row.step <= step]
    write_text(path, "".join(kept))
    return len(kept)


class MetricLogger:
    """Writes one line for each report; used only by the first process.

    total: steps of the run, or None if it is limited by time; seconds: that limit
    done: steps and seconds done so far; examples: plural name of the examples
    """

    def __init__(
        self,
        path: Path,
        *,
        title: str,
        total: int | None,
        seconds: float | None,
        done: tuple[int, float] = (0, 0.0),
        stream: TextIO | None = None,
        examples: str = "images",
    ) -> None:
        self.folder = path.parent
        with writing(path):
            self.file = path.open("a", encoding="utf-8")
        self.display = Display(title, total, seconds, *done, stream, examples)

    def advance(self, step: int, seconds: float) -> None:
        """Updates the position in the display."""
        self.display.advance(step, seconds)

    @property
    def due(self) -> bool:
        """Whether the displayed losses are outdated, so that `show` is due."""
        return self.display.due

    def show(self, losses: Mapping[str, float]) -> None:
        """Shows losses on the screen only, which is updated by time; metrics.jsonl is written by
        steps."""
        self.display.show(losses)

    def report(
        self,
        step: int,
        seconds: float,
        values: Mapping[str, float],
        losses: Mapping[str, float] | None = None,
    ) -> None:
        """Writes one line of metrics.

        losses: the part shown on the screen; None for held-out metrics, which are all shown
        """
        line = {"step": step, "seconds": round(seconds, 3), **values}
        with writing(self.folder / "metrics.jsonl"):
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
        self.display.advance(step, seconds)
        if losses is None:
            self.display.measure({name.partition("/")[2]: v for name, v in values.items()})
        else:
            self.display.show(losses, values.get("images_per_s"))

    def warn(self, step: int, text: str) -> None:
        """Writes a warning to warnings.jsonl and to the screen."""
        path = self.folder / "warnings.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "warning": text}) + "\n")
        self.say(f"step {step}  warning: {text}")

    def say(self, text: str) -> None:
        """Prints a line."""
        self.display.say(text)

    def close(self) -> None:
        with suppress(OSError):  # every line was flushed, so only a failed one remains
            self.file.close()
        self.display.close()
