"""Results: a value with its relation, error and protocol, or the reason why it is undefined."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

from ptheta import schemas
from ptheta.data.names import shortened
from ptheta.errors import PthetaError, unknown
from ptheta.files import html
from ptheta.files.atomic import read_json, write_json

LEVEL = 0.95  # confidence level of all intervals
SHOWN = 3  # results of an evaluation shown in its repr
ABOUT = ("model", "data", "split", "real_images", "samples", "extractor")  # protocol entries shown
NORMAL = NormalDist().inv_cdf((1 + LEVEL) / 2)  # half width of the interval in standard errors

Better = Literal["", "lower", "higher", "nearest 1"]  # "" if no direction is better
# direction -> badness of a value: lower is better
BADNESS: Mapping[str, Callable[[float], float]] = {
    "lower": lambda value: value,
    "higher": lambda value: -value,
    "nearest 1": lambda value: abs(value - 1),
}


@dataclass(frozen=True)
class Draws:
    """Jackknife replicates: values without each group of samples (fake), and without each group of
    real
    images: see `ptheta.measures.intervals`. Empty for a side that is not involved. both: values
    without a group of each side, fake groups by real groups, flattened; empty if not computed."""

    fake: tuple[float, ...] = ()
    real: tuple[float, ...] = ()
    both: tuple[float, ...] = ()

    def to_json(self) -> dict[str, list[float]]:
        return {"fake": list(self.fake), "real": list(self.real), "both": list(self.both)}

    @property
    def sizes(self) -> tuple[int, int, int]:
        return len(self.fake), len(self.real), len(self.both)

    def times(self, other: Draws) -> Draws:
        """Draws of the product of two values, over the same groups."""
        return self._with(other, operator.mul)

    def minus(self, other: Draws) -> Draws:
        """Draws of the difference of two values, over the same groups."""
        return self._with(other, operator.sub)

    def each(self, what: Callable[[float], float]) -> Draws:
        """Draws of a function of the value."""
        return Draws(*(tuple(map(what, side)) for side in (self.fake, self.real, self.both)))

    def _with(self, other: Draws, what: Callable[[float, float], float]) -> Draws:
        sides = ((self.fake, other.fake), (self.real, other.real), (self.both, other.both))
        return Draws(*(tuple(map(what, a, b)) for a, b in sides))


About = Mapping[str, object]  # protocol entries: data, method and settings


@dataclass(frozen=True)
class Estimate:
    """The output of a metric without its name: a value, or the reason why it is undefined.

    about: protocol entries in addition to those of the evaluation. Other fields: see `Result`
    """

    value: float | None
    error: float | None = None
    draws: Draws | None = field(default=None, repr=False)
    relation: str = "="
    about: About = field(default_factory=dict)
    note: str = ""
    reason: str = ""

    def named(
        self, metric: str, protocol: About | None = None, *, unit: str = "", better: Better = ""
    ) -> Result:
        """Convert to a result with this name. Raises PthetaError as `Result` does."""
        return Result(
            metric,
            self.value,
            unit,
            relation=self.relation,
            error=self.error,
            better=better,
            reason=self.reason,
            protocol={**(protocol or {}), **self.about},
            note=self.note,
            draws=self.draws,
        )


@dataclass(frozen=True)
class Result:
    """One measured quantity.

    value: None if undefined, with the cause in `reason`
    relation: "=", "<=" for an upper bound on the truth, "~" for an estimate that may deviate by
        more than its error in either direction, as with an estimate of log Z
    error: one standard error; 0 for an exact value, None if unknown
    better: the better direction, see `Better`
    protocol: data, method and settings of the measurement
    note: a short remark about the value
    draws: jackknife replicates over the groups of images shared by all evaluations of a protocol;
        stored in evaluation.json, but not displayed

    Raises PthetaError for a value that is not finite (not representable in JSON), for a value
    together with a reason, and for neither.
    """

    metric: str
    value: float | None
    unit: str = ""
    relation: str = "="
    error: float | None = None
    better: Better = ""
    reason: str = ""
    protocol: About = field(default_factory=dict, repr=False)
    note: str = ""
    draws: Draws | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, number in (("value", self.value), ("error", self.error)):
            if number is not None and not math.isfinite(number):
                raise PthetaError(
                    f"{self.metric}: {name} {number} is not a finite number; "
                    "give no value and the reason why"
                )
        if (self.value is None) != bool(self.reason):
            raise PthetaError(
                f"{self.metric}: value {self.value} with the reason {self.reason!r}; "
                "give a value, or a reason why there is none"
            )

    @property
    def is_bound(self) -> bool:
        """Whether the value is an upper bound on the truth."""
        return self.relation == "<="

    @property
    def badness(self) -> float:
        """The badness of the value: lower is better."""
        return BADNESS.get(self.better, BADNESS["lower"])(self.value or 0.0)

    @property
    def judged(self) -> tuple[float, Draws | None]:
        """The quantity to compare with another result, and its draws: the value or, if values
        nearest to 1 are best, its distance to 1."""
        value = self.value or 0.0
        if self.better != "nearest 1":
            return value, self.draws
        side = math.copysign(1.0, value - 1)
        away = None if self.draws is None else self.draws.each(lambda draw: side * (draw - 1))
        return side * (value - 1), away

    def text(self) -> str:
        """For a terminal: "<= 0.162 +- 0.001 bits/dim", or "not defined (no likelihood)"."""
        if self.value is None:
            return f"not defined ({self.reason})"
        relation = f"{self.relation} " if self.relation != "=" else ""
        error = f" +- {_two(self.error)}" if self.error else ""
        whole = self.value == int(self.value)
        value = f"{self.value:,.0f}" if whole else f"{self.value:.6g}"
        note = f" ({self.note})" if self.note else ""
        return f"{relation}{value}{error} {self.unit}".rstrip() + note

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval from the error."""
        if self.value is None or self.error is None:
            return None
        half = NORMAL * self.error
        return self.value - half, self.value + half

    def to_json(self) -> dict[str, object]:
        """Convert to JSON in the form of `ptheta.schemas.Measured`."""
        return {
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "relation": self.relation,
            "error": self.error,
            "better": self.better,
            "reason": self.reason,
            "protocol": dict(self.protocol),
            "note": self.note,
            "interval_95": None if self.interval is None else list(self.interval),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """Restore from the form of `ptheta.schemas.Measured`. Raises PthetaError for an unknown
        key, with the most similar one."""
        known = [f.name for f in fields(cls)]
        values = {key: value for key, value in values.items() if key != "interval_95"}
        for key in values:
            if key not in known:
                raise unknown("key of a result", key, known)
        if not {"metric", "value"} <= values.keys():
            raise PthetaError(f"a result needs metric and value, got {', '.join(values) or 'none'}")
        draws = values.get("draws")
        return cls(**values | {"draws": None if draws is None else Draws(**_tuples(draws))})


def _tuples(lists: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(values) for name, values in lists.items()}


def direction_of(results: Iterable[Result]) -> Better:
    """The better direction common to all results; "" if they differ or there is none."""
    found = {result.better for result in results}
    return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True)
class Evaluation:
    """All results of one model, and their common protocol."""

    results: tuple[Result, ...]
    protocol: About = field(default_factory=dict)

    def __repr__(self) -> str:
        defined = [r for r in self.results if r.value is not None]
        shown = [shortened(f"{r.metric} {r.text()}", 60) for r in defined[:SHOWN]]
        return f"Evaluation({'; '.join([*shown, f'{len(self.results)} results in all'])})"

    def _repr_html_(self) -> str:
        """For notebooks: the table of all results."""
        rows = [(r.metric.replace("_", " "), r.text(), r.better) for r in self.results]
        about = {name: self.protocol.get(name, "") for name in ABOUT}
        head = ("metric", "value ± standard error", "better")
        return html.card("Evaluation", html.facts(about), html.table(rows, head))

    def get(self, metric: str) -> Result | None:
        """The result of this name, or None."""
        return next((r for r in self.results if r.metric == metric), None)

    def to_json(self) -> dict[str, object]:
        return {
            "protocol": dict(self.protocol),
            "results": [r.to_json() for r in self.results],
        }

    @classmethod
    def from_json(cls, values: object) -> Evaluation:
        """Restore from `to_json`. Raises PthetaError for invalid values."""
        return cls._of(values, "not an evaluation")

    @classmethod
    def _of(cls, values: Any, file: Path | str) -> Evaluation:
        schemas.parse(
            schemas.Measurements, values, file, "give a file written by `ptheta evaluate`"
        )
        results = tuple(Result.from_json(r) for r in values["results"])
        return cls(results, dict(values["protocol"]))

    def with_draws(self) -> dict[str, object]:
        """As `to_json`, with the draws of each result, which intervals of differences need."""
        values = [
            r.to_json() | ({} if r.draws is None else {"draws": r.draws.to_json()})
            for r in self.results
        ]
        return {"protocol": dict(self.protocol), "results": values}

    def write(self, path: Path) -> None:
        """Write to JSON, with the draws of each result."""
        write_json(path, self.with_draws())

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Read from JSON. Raises PthetaError if the file is missing or was not written by
        `write`."""
        return cls._of(read_json(path), path)


def _two(error: float) -> str:
    """Format an error with two digits, large ones as integers: 431, 34, 0.013."""
    return f"{error:,.0f}" if abs(error) >= 99.5 else f"{error:.2g}"
