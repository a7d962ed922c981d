"""Results: a number with its relation, error and protocol, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ptheta.files import read_json, write_json


@dataclass(frozen=True)
class Result:
    """One measured quantity.

    value: None where it is not defined; then `reason` says why
    relation: "=", or "<=" where the truth is at most the value
    error: one standard error, where there is one
    better: "lower", "higher", or "" where neither is
    protocol: what was measured on what, and how
    """

    metric: str
    value: float | None
    unit: str = ""
    relation: str = "="
    error: float | None = None
    better: str = ""
    reason: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """For a terminal: "<= 0.162 +- 0.001 bits/dim", or "not defined (no likelihood)"."""
        if self.value is None:
            return f"not defined ({self.reason})"
        relation = f"{self.relation} " if self.relation != "=" else ""
        error = f" +- {self.error:.2g}" if self.error else ""
        return f"{relation}{self.value:.6g}{error} {self.unit}".rstrip()


@dataclass(frozen=True)
class Evaluation:
    """All results of one model, and what they have in common."""

    results: tuple[Result, ...]
    protocol: Mapping[str, Any] = field(default_factory=dict)

    def get(self, metric: str) -> Result | None:
        """The result of this name, if it is among them."""
        return next((r for r in self.results if r.metric == metric), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "protocol": dict(self.protocol),
            "results": [asdict(r) for r in self.results],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evaluation:
        return cls(tuple(Result(**r) for r in values["results"]), values["protocol"])

    def write(self, path: Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Raises PthetaError where the file is missing or not JSON."""
        return cls.from_json(read_json(path))
