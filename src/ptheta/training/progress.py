"""Where a run is: all of it is in the checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ptheta import schemas
from ptheta.files.atomic import read_json


@dataclass
class Progress:
    """Steps, times and what has been told, over all parts of a run together."""

    step: int = 0
    seconds: float = 0.0  # of training
    ema_updates: int = 0
    best_step: int = 0
    best_metric: str = ""
    best_value: float = math.nan
    scored_step: int = 0  # the last step at which the metric was taken
    logged_step: int = 0  # the last step that has a line of its interval
    logged_seconds: float = 0.0
    lines: int | None = 0  # of metrics.jsonl; None in a checkpoint of an older ptheta
    warnings: int | None = 0  # lines of warnings.jsonl
    alarmed: tuple[str, ...] = ()  # kinds of warnings that have been told
    ended: bool = False  # whether the model itself has no further step to make

    def to_json(self) -> dict[str, object]:
        values = asdict(self)
        if math.isnan(self.best_value):
            values["best_value"] = None
        return values

    @classmethod
    def from_json(cls, values: object, file: Path | str = "progress.json") -> Progress:
        """file: for messages. Raises PthetaError where `values` is not what `to_json` gives."""
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
        """Raises PthetaError where the file is missing or damaged."""
        return cls.from_json(read_json(file), file)
