"""A metric as an entry of a table: names, directions, units, report sections and the rows that say
"not defined" all follow from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from string import Formatter
from typing import TypedDict

from ptheta.measures.results import About, Better, Estimate, Result
from ptheta.metrics.context import Context
from ptheta.specs import ImageSpec, VectorSpec

GIVEN = "_given_label"  # suffix for p(x | y), a different quantity from p(x)
# the only extractor whose distances have the published names
PUBLISHED = "inception-2015"
# placeholders in names, and regular expressions for their values
PLACES = {
    "extractor": ".+",
    "given": f"(?:{GIVEN})?",
    "term": "[a-z_]+",
    "pairs": "(?:_train)?",
    "domain": ".+",
    "captions": "(?:_seen|_unseen)?",
}

# kind of example -> plural noun
EXAMPLES: Mapping[type, str] = {ImageSpec: "images", VectorSpec: "vectors"}

Need = Callable[[Context], str]  # why a metric is not defined; "" if it is


class Section(StrEnum):
    """The tables of a report, in order."""

    LIKELIHOOD = "Likelihood"
    DISTANCE = "Distance to real data"
    FIDELITY = "Fidelity and diversity"
    CAPTIONS = "Text to image"
    TRANSLATION = "Translation"
    COMPLETION = "Completion"
    MEMORISATION = "Memorisation"
    COST = "Cost"


class Role(Enum):
    """The role of a metric in the summary and the plots of a report."""

    NONE = ""
    LIKELIHOOD = "likelihood"
    DISTANCE = "distance to real data"
    PRECISION = "precision"
    RECALL = "recall"
    TARGET = "likeness to the target (L1, which rewards blur)"
    DOMAIN = "likeness to a domain"
    CAPTION = "agreement with the caption"
    SPEED = "speed of sampling"


@dataclass(frozen=True)
class Presentation:
    """How a report shows a metric outside its table.

    role: its role in the summary and the plots
    paired: whether the page shows the differences between runs
    repeats: the family of an equivalent metric: if that is present, this one is shown only in its
        table
    signed: whether to display "=", since other models have a bound instead
    """

    role: Role = Role.NONE
    paired: bool = False
    repeats: str = ""
    signed: bool = False


IN_ITS_TABLE = Presentation()  # shown only in its table


class MetricInfo(TypedDict):
    """Description of a metric. better: the better direction, empty for neither

    of: supported kinds of examples
    """

    about: str
    section: str
    of: str
    unit: str
    better: str


def nothing(ctx: Context) -> About:
    """Settings of a metric that depends only on the protocol."""
    return {}


def always(ctx: Context) -> bool:
    """Condition for a metric that every evaluation reports."""
    return True


@dataclass(frozen=True)
class Metric:
    """One entry of `ptheta.metrics.table.METRICS`.

    name: template of result names, with placeholders {extractor}, {given} (a condition), {term},
        {domain} (a label), {pairs} (empty for test pairs) and {captions} (empty for all test
        captions)
    compute: computes the estimate; or several, by {term}, {pairs}, {captions} or {domain}
    about: a one-line description for lists
    section: of the report
    of: supported kinds of examples; it is not reported for others
    needs: requirements; the first unmet one is the reason why the metric is not defined
    asked: whether an evaluation reports it at all, defined or not
    unit: {classes} is replaced by the number of classes of the extractor, {example} by the noun for
        an example
    better: the better direction
    published: its name with the extractor of the published metrics
    shown: where else a report shows it
    settings: options that only this metric depends on, for its protocol
    lasting: whether a stored value can be reused; not so for a speed, which depends on the machine
        and the moment
    """

    name: str
    compute: Callable[[Context], Estimate | Mapping[str, Estimate]]
    about: str
    section: Section
    of: tuple[type, ...] = tuple(EXAMPLES)
    needs: tuple[Need, ...] = ()
    asked: Callable[[Context], bool] = always
    unit: str = ""
    better: Better = ""
    published: str = ""
    shown: Presentation = IN_ITS_TABLE
    settings: Callable[[Context], About] = nothing
    lasting: bool = True

    @property
    def family(self) -> str:
        """The name without placeholders: "fd", "nll"."""
        return "".join(text for text, *_ in Formatter().parse(self.name)).strip("_")

    @property
    def title(self) -> str:
        """The name in lists: "fd_X", "elbo_T"."""
        return self.name.format(
            extractor="X", term="T", domain="D", given="", pairs="", captions=""
        )

    @property
    def of_what(self) -> str:
        """The only supported kind of examples, such as "images"; "" if it supports any."""
        return "" if len(self.of) == len(EXAMPLES) else " and ".join(EXAMPLES[o] for o in self.of)

    def info(self) -> MetricInfo:
        """Its description for lists."""
        return {
            "about": self.about,
            "section": self.section,
            "of": self.of_what or "any examples",
            "unit": self.unit.format(classes="the classifier's classes", example="example"),
            "better": self.better,
        }

    def results(self, ctx: Context) -> list[Result]:
        """Its results in an evaluation; empty if not requested or for other kinds of examples."""
        if not isinstance(ctx.test.spec, self.of) or not self.asked(ctx):
            return []
        reason = next(filter(None, (need(ctx) for need in self.needs)), "")
        found = Estimate(None, reason=reason) if reason else self.compute(ctx)
        terms = found if isinstance(found, Mapping) else {"": found}
        unit = self.unit.format(classes=ctx.extractor.classes, example=ctx.test.example)
        protocol = {**ctx.protocol, **self.settings(ctx)}
        return [
            each.named(self.called(ctx, term), protocol, unit=unit, better=self.better)
            for term, each in terms.items()
        ]

    def called(self, ctx: Context, term: str = "") -> str:
        """The name of its result in an evaluation."""
        given = GIVEN if ctx.conditional_likelihood else ""
        return self.called_by(ctx.extractor.name, given, term)

    def called_by(self, extractor: str, given: str = "", term: str = "") -> str:
        """The name of its result by an extractor."""
        if self.published and extractor == PUBLISHED:
            return self.published
        which = f"_{term}" if term else ""
        places = {"term": term, "domain": term, "pairs": which, "captions": which}
        return self.name.format(extractor=extractor, given=given, **places)

    def result(self, found: Estimate, about: About, extractor: str = "", unit: str = "") -> Result:
        """Convert an estimate from outside an evaluation to a result of this metric."""
        return found.named(
            self.called_by(extractor), about, unit=unit or self.unit, better=self.better
        )

    def names(self, result: str) -> bool:
        """Whether a result of this name belongs to this metric."""
        parts = (
            re.escape(text) + (PLACES[place] if place else "")
            for text, place, *_ in Formatter().parse(self.name)
        )
        return result == self.published or re.fullmatch("".join(parts), result) is not None


def measure(ctx: Context, metrics: Iterable[Metric]) -> list[Result]:
    """Compute these metrics, in order."""
    return [result for metric in metrics for result in metric.results(ctx)]
