"""Result of `classify`: probabilities, their evaluation, table and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ptheta.api.grid import Block
from ptheta.api.written import Answer
from ptheta.data.dataset import Dataset
from ptheta.files.rows import write_csv
from ptheta.measures.classification import Classified, confusion
from ptheta.measures.rivals import SIGN, beats, verdict
from ptheta.tasks.classify import FLOORS, Posterior

MODEL = "model"
WIDEST = 12  # maximum number of classes in the printed confusion matrix
WORST = 10  # pairs of classes that are printed otherwise
SHOWN = 10  # examples that are printed if labels are unknown
HEADS = ("", "accuracy, %", "log loss, nats", "calibration", "slope")
EXPLANATION = (
    "calibration: the error; in brackets the 95th percentile of perfectly calibrated classifiers;",
    "slope: 1 if probabilities are calibrated, below 1 if they are overconfident",
)


@dataclass(frozen=True)
class Classification(Answer):
    """Result of `ptheta.classify`.

    names: names of the examples: file paths, or row numbers
    found: log p(y | x) of every example, and the class names
    labels: true labels, int64 (N,); None if unknown
    measured: evaluation of the model's probabilities and of the baselines, by name; empty if
        labels are unknown
    """

    names: Sequence[str] = field(repr=False)
    found: Posterior
    labels: Tensor | None = field(default=None, repr=False)
    measured: dict[str, Classified] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """A one-line description."""
        return f"{len(self.names):,} examples by p(x | y) p(y), log p(x | y) {self.found.how}"

    @property
    def confusion(self) -> Tensor | None:
        """The confusion matrix: true class (row), predicted class (column), int64 (K, K)."""
        return None if self.labels is None else confusion(self.found.log_p, self.labels)

    def __repr__(self) -> str:
        own = self.measured.get(MODEL)
        right = "" if own is None else f", accuracy {own.accuracy.text()}"
        return f"Classification({self.about}{right})"

    def blocks(self) -> list[Block]:
        """The printed output."""
        first = Block(self.about, (), self.remarks)
        if not self.measured:
            return [first, Block(rows=self._first())]
        rows = self._compared()
        scores = Block(rows=rows, lines=(verdict(rows), *EXPLANATION))
        return [first, scores, self._confused()]

    def _first(self) -> list[list[str]]:
        rows = [["example", "class", "probability"]]
        top, at = self.found.log_p[:SHOWN].exp().max(1)
        each = zip(self.names[:SHOWN], at.tolist(), top.tolist(), strict=True)
        return rows + [[name, self.found.names[k], f"{p:.3g}"] for name, k, p in each]

    def _compared(self) -> list[list[str]]:
        own = self.measured[MODEL]
        rows = [list(HEADS)]
        for name, one in self.measured.items():
            right, loss, slope = one.accuracy, one.log_loss, one.slope
            better = name in FLOORS and beats(right.value, own.accuracy.value, "more")
            less = loss is not None and (
                own.log_loss is None or beats(loss.value, own.log_loss.value, "less")
            )
            sign = SIGN if name in FLOORS and less else ""
            probable = one.calibration_error is not None
            rows.append(
                [
                    name,
                    right.text(1, 100) + (SIGN if better else ""),
                    loss.text(2) + sign if loss is not None else "infinite" if probable else "",
                    _calibration(one),
                    "" if slope is None else f"{slope.value:.2f} +- {slope.high - slope.value:.2f}",
                ]
            )
        return rows

    def _confused(self) -> Block:
        counts = self.confusion
        assert counts is not None
        names, title = self.found.names, "rows: true class; columns: predicted class"
        if len(names) <= WIDEST:
            rows = [["", *names]]
            rows += [
                [name, *(str(c) if c else "" for c in row)]
                for name, row in zip(names, counts.tolist(), strict=True)
            ]
            return Block(title, rows)
        wrong = counts.clone().fill_diagonal_(0)
        top = wrong.flatten().topk(WORST)
        rows = [["class", "predicted as", "examples"]]
        for count, place in zip(top.values.tolist(), top.indices.tolist(), strict=True):
            if count:
                rows.append([names[place // len(names)], names[place % len(names)], str(count)])
        return Block("the most frequent confusions", rows)

    def to_json(self) -> dict[str, object]:
        counts = self.confusion
        return {
            "examples": len(self.names),
            "likelihood": self.found.how,
            "classes": list(self.found.names),
            "measured": {name: one.to_json() for name, one in self.measured.items()},
            "confusion": None if counts is None else counts.tolist(),
            "remarks": list(self.remarks),
            **self.places,
        }

    def write(self, path: Path, data: Dataset) -> None:
        """Writes a row for each example: its label if known, the predicted class, and the
        probability of every class."""
        classes = self.found.names
        head = ["row" if data.files is None else "file"]
        columns: list[Sequence[object]] = [self.names]
        if self.labels is not None:
            head, columns = [*head, "label"], [*columns, [classes[k] for k in self.labels]]
        columns.append([classes[k] for k in self.found.found])
        for of_class in self.found.log_p.exp().unbind(1):
            columns.append([f"{p:.6g}" for p in of_class.tolist()])
        head = [*head, "class", *(f"p({name})" for name in classes)]
        write_csv(path, head, zip(*columns, strict=True))


def _calibration(one: Classified) -> str:
    if one.calibration_error is None or one.by_chance is None:
        return ""
    return f"{one.calibration_error:.3f} ({one.by_chance[1]:.3f})"
