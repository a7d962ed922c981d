"""Progress of a run, stored in the checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ptheta import schemas
from ptheta.files.atomic import read_json


@dataclass
class Progress:
    """Steps, times and reports over all parts of a run."""

    step: int = 0
    seconds: float = 0.0  # training time
    ema_updates: int = 0
    best_step: int = 0
    best_metric: str = ""
    best_value: float = math.nan
    scored_step: int = 0  # last step at which the metric was evaluated
    logged_step: int = 0  # last step with a log line
    logged_seconds: float = 0.0
    lines: int | None = 0  # lines of metrics.jsonl; None in checkpoints of older versions
    warnings: int | None = 0  # lines of warnings.jsonl
    alarmed: tuple[str, ...] = ()  # kinds of warnings already given
    ended: bool = False  # whether the model has finished by itself

    def to_json(self) -> dict[str, object]:
        values = asdict(self)
        if math.isnan(self.best_value):
            values["best_value"] = None
        return values

    @classmethod
    def from_json(cls, values: object, file: Path | str = "progress.json") -> Progress:
        """file: for messages. Raises PthetaError if `values` is not a result of `to_json`."""
        record = schemas.parse(schemas.Progress, values, file, "go back to an older checkpoint")
        found = record.model_dump()
        if record.best_value is None:
            found["best_value"] = math.nan
        for name, known in (("logged_step", record.step), ("logged_seconds", record.seconds)):
            if found[name] is None:
                found[name] = known
        return cls(**found)

    @classmethod
    def read(cls, file: Path) -> Progress:
        """Raises PthetaError if the file is missing or damaged."""
        return cls.from_json(read_json(file), file)
