"""Usefulness of samples for training classifiers, and their similarity to test examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ptheta.compute.streams import undisturbed
from ptheta.config import Entry
from ptheta.measures.detection import interval
from ptheta.measures.intervals import Groups, difference, draws, estimate, span, widened
from ptheta.measures.results import Estimate, Result
from ptheta.tasks.usefulness.apart import TESTS, Bootstrapped
from ptheta.tasks.usefulness.known import Known
from ptheta.tasks.usefulness.learners import learned, learners_of
from ptheta.tasks.usefulness.sources import MODEL, RIVALS, SOURCES, Source, of_kind
from ptheta.terminal.progress import stage


@dataclass(frozen=True, kw_only=True)
class Measure(Entry):
    """A measure of classification. of: its value from the fraction of repetitions in which each
    test example was classified correctly, (M,), and the labels (M,)"""

    of: Callable[[Tensor, Tensor], float]


def accuracy(right: Tensor, y: Tensor) -> float:
    """The fraction of correctly classified examples."""
    return float(right.mean())


def balanced_accuracy(right: Tensor, y: Tensor) -> float:
    """The mean accuracy over the classes that occur."""
    return float(torch.stack([right[y == label].mean() for label in y.unique()]).mean())


MEASURES: dict[str, Measure] = {
    "accuracy": Measure(of=accuracy, about="share of test examples classified correctly"),
    "balanced": Measure(of=balanced_accuracy, about="accuracy averaged over classes"),
}

MAIN = "balanced"  # the measure used to compare baselines with samples


@dataclass(frozen=True)
class Learned:
    """Test results of a classifier. source, learner: names of `SOURCES` and `LEARNERS`; values: by
    measure; examples: number of test examples"""

    source: str
    learner: str
    values: dict[str, Estimate] = field(repr=False)
    examples: int

    def interval(self, measure: str) -> tuple[float, float]:
        """The 95 % interval, over repetitions and test examples."""
        return widened(*interval(self.values[measure]), self.examples)

    def result(self, measure: str) -> Result:
        return self.values[measure].named(measure, better="higher")


@dataclass(frozen=True)
class Passed:
    """Test results for one source of `RIVALS`. values: by test"""

    source: str
    values: dict[str, Bootstrapped] = field(repr=False)


@dataclass(frozen=True)
class Usefulness:
    """Results of the evaluation.

    learned: one per classifier and source; empty without labels
    passed: one per rival; repeats: number of repetitions; n: number of samples for training
    """

    learned: tuple[Learned, ...]
    passed: tuple[Passed, ...]
    repeats: int
    n: int

    def of(self, source: str, learner: str) -> Learned:
        return next(f for f in self.learned if (f.source, f.learner) == (source, learner))

    def rival(self, source: str) -> Passed:
        return next(found for found in self.passed if found.source == source)

    @property
    def floors(self) -> tuple[str, ...]:
        """Messages about baselines that are as good as samples, or better."""
        return (*self._of_learned(), *self._of_passed())

    def _of_learned(self) -> Iterator[str]:
        for found in self.learned:
            own = self.of(MODEL, found.learner)
            gap = difference(found.result(MAIN), own.result(MAIN))
            if SOURCES[found.source].floor and gap is not None and gap.value >= 0:
                what = f"{found.learner} {MAIN}"
                yield _won(found.source, what, gap.value, gap.different)

    def _of_passed(self) -> Iterator[str]:
        own = self.rival(MODEL)
        for found in self.passed:
            for test, rival in found.values.items():
                apart = own.values[test].draws - rival.draws
                gap = own.values[test].value - rival.value
                if RIVALS[found.source].floor and TESTS[test].judged and gap >= 0:
                    yield _won(found.source, test, gap, span(apart)[0] > 0)


def _won(floor: str, what: str, gap: float, surely: bool) -> str:
    if not gap:
        return f"a floor is level: {floor}, {what}"
    sure = "beyond chance" if surely else "not beyond chance"
    return f"a floor wins: {floor}, {what}, by {gap:.3f} ({sure})"


@undisturbed()
def usefulness(
    known: Known, *, n: int | None = None, repeats: int = 5, seed: int = 0
) -> Usefulness:
    """Train the classifiers of `LEARNERS` on every entry of `SOURCES`, test them on real examples,
    and compare the entries of `RIVALS` with test examples.

    n: number of samples for training; default: the number of training examples
    repeats: number of repetitions, with the seeds from `seed` on
    """
    n = len(known.train.x) if n is None else n
    found = tuple(_learned(known, n, repeats, seed)) if known.labelled else ()
    passed = tuple(_passed(known, repeats, seed))
    return Usefulness(found, passed, repeats, n)


def _learned(known: Known, n: int, repeats: int, seed: int) -> Iterator[Learned]:
    test_y = known.test.labels
    for name, source in of_kind(SOURCES, known.spec).items():
        with stage(f"learning from {name}"):
            right = _right(known, source, n, range(seed, seed + repeats))
        for learner, rows in right.items():
            yield Learned(name, learner, _measured(torch.stack(rows), test_y), len(test_y))


def _right(
    known: Known, source: Source, n: int, seeds: Iterable[int]
) -> Mapping[str, list[Tensor]]:
    """learner -> for each seed, whether each test example is classified correctly, float64 (N,)."""
    test_x, test_y = known.seen(known.test.x), known.test.labels
    right: dict[str, list[Tensor]] = {name: [] for name in learners_of(known.spec)}
    for seed in seeds:
        some = source.of(known, n, seed)
        x, y = known.seen(some.x), some.labels
        for name, learner in learners_of(known.spec).items():
            if right[name] and not (
                learner.drawn or source.drawn
            ):  # deterministic: repetitions are equal
                right[name].append(right[name][0])
                continue
            rate = learned(learner, x, y, len(known.names), seed)
            right[name].append((rate(test_x).argmax(1) == test_y).double())
    return right


def _measured(right: Tensor, y: Tensor) -> dict[str, Estimate]:
    """The measures with errors by a jackknife over repetitions and groups of test examples.

    right: float64 (R, M), whether each repetition classified each test example correctly
    """
    groups = Groups(len(y), "real")
    found = {}
    for name, measure in MEASURES.items():
        value = measure.of(right.mean(0), y)
        kept = [groups.of != g for g in range(groups.count)]
        real = [measure.of(right.mean(0)[rows], y[rows]) for rows in kept]
        once = len(right) < 2
        fake = [] if once else [measure.of(_without(right, i), y) for i in range(len(right))]
        sides = (torch.tensor(side, dtype=torch.float64) for side in (fake, real))
        found[name] = estimate(value, draws(*sides) if real else None)
    return found


def _without(right: Tensor, i: int) -> Tensor:
    return torch.cat([right[:i], right[i + 1 :]]).mean(0)


def _passed(known: Known, repeats: int, seed: int) -> Iterator[Passed]:
    tests = {name: test for name, test in TESTS.items() if isinstance(known.spec, test.kinds)}
    size = len(known.test.x)
    for name, source in of_kind(RIVALS, known.spec).items():
        with stage(f"telling {name} from test {known.bank.examples}"):
            sets = [source.of(known, size, seed + i) for i in range(repeats)]
            yield Passed(name, {t: test.of(known, sets, seed) for t, test in tests.items()})
