"""What a run tells: metrics.jsonl, the screen, and warnings."""

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
    """The lines of a run's metrics.jsonl: numbers by name. A last line that a kill has cut short is
    left out, and others that are damaged with a warning. Raises PthetaError where all are."""
    rows = whole(folder / "metrics.jsonl", Row, "put the file back, or remove it")
    return [row.model_dump() for row in rows]


def keep_until(
    path: Path, step: int, count: int | None, kind: type[Row] | type[Warned] = Row
) -> int:
    """Drops the lines after `step`, those after the first `count` (None: not known) and damaged
    ones: a run goes on from there. Returns how many are left."""
    if not path.exists():
        return 0
    rows = list(lines(path, kind))[:count]
    kept = [f"{text}\n" for text, row in rows if row.step <= step]
    write_text(path, "".join(kept))
    return len(kept)


class MetricLogger:
    """Writes one line for each report; the first process alone has one.

    total: steps of the run, or None where minutes decide; seconds: those
    done: steps and seconds that the run has behind it; examples: what the data are called
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
        """Moves the display to where the run is."""
        self.display.advance(step, seconds)

    @property
    def due(self) -> bool:
        """Whether what the screen shows of the losses is old: `show` it then."""
        return self.display.due

    def show(self, losses: Mapping[str, float]) -> None:
        """Losses for the screen alone: these come by the clock, and metrics.jsonl by the step."""
        self.display.show(losses)

    def report(
        self,
        step: int,
        seconds: float,
        values: Mapping[str, float],
        losses: Mapping[str, float] | None = None,
    ) -> None:
        """One line of metrics.

        losses: what the screen shows of it; None: numbers of held-out images, which it shows all
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
        """A warning, kept in warnings.jsonl and said to the reader."""
        path = self.folder / "warnings.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "warning": text}) + "\n")
        self.say(f"step {step}  warning: {text}")

    def say(self, text: str) -> None:
        """A line for the reader."""
        self.display.say(text)

    def close(self) -> None:
        with suppress(OSError):  # every line was flushed: what is left is one that failed
            self.file.close()
        self.display.close()
