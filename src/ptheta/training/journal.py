"""What a run tells: metrics.jsonl always, a progress bar or plain lines, TensorBoard if asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from ptheta.errors import PthetaError


def keep_until(path: Path, step: int) -> None:
    """Drops the lines after `step` (and a half-written last one): the run goes on from there."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:  # cut short by a kill; the step it told of is done again
            continue
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text("".join(kept))
    os.replace(beside, path)


class Journal:
    """Writes one line for each report; the first process alone has one.

    total: steps of the run, or None where minutes decide (then progress is in seconds)
    """

    def __init__(
        self,
        path: Path,
        *,
        title: str,
        total: int | None,
        seconds: float | None,
        done: float = 0,
        tensorboard: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.file, self.folder = path.open("a"), path.parent
        self.stream = stream or sys.stderr
        self.title, self.total, self.budget = title, total, seconds
        self.bar: Any = None
        self.events: Any = None
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=total if total is not None else round(seconds or 0),
                initial=int(done),
                desc=title,
                unit="step" if total is not None else "s",
                file=self.stream,
                dynamic_ncols=True,
            )
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise PthetaError(
                    "--tensorboard needs the extra: pip install 'ptheta[tensorboard]'"
                ) from None
            self.events = SummaryWriter(str(path.parent / "tensorboard"))

    def advance(self, step: int, seconds: float) -> None:
        """Moves the bar to where the run is."""
        if self.bar is not None:
            now = step if self.total is not None else min(seconds, self.budget or seconds)
            self.bar.update(int(now) - self.bar.n)

    def report(self, step: int, seconds: float, values: dict[str, float], left: float) -> None:
        """One line of metrics. left: seconds that the run will still take."""
        line = {"step": step, "seconds": round(seconds, 3), **values}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(name, value, step)
        shown = {k: f"{v:.4g}" for k, v in values.items() if k not in ("epoch", "lr")}
        if self.bar is not None:
            self.bar.set_postfix(shown, refresh=False)
        else:
            text = "  ".join(f"{k} {v}" for k, v in shown.items())
            goal = f"/{self.total}" if self.total is not None else ""
            self.say(f"{self.title}  step {step}{goal}  {text}  {clock(left)} left")

    def warn(self, step: int, text: str) -> None:
        """A warning, kept in warnings.jsonl and said to the reader."""
        with (self.folder / "warnings.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "warning": text}) + "\n")
        self.say(f"{self.title}  step {step}  warning: {text}")

    def say(self, text: str) -> None:
        """A line for the reader, above the bar where there is one."""
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        self.file.close()
        if self.bar is not None:
            self.bar.close()
        if self.events is not None:
            self.events.close()


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, s = divmod(round(max(0, seconds)), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
