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

GIVEN = "_given_label"  # of p(x | y): another quantity, so it has another name
# the extractor whose distances have the published names; of any other they would be wrong
PUBLISHED = "inception-2015"
# what may stand in a name, and how it looks there
PLACES = {
    "extractor": ".+",
    "given": f"(?:{GIVEN})?",
    "term": "[a-z_]+",
    "pairs": "(?:_train)?",
    "domain": ".+",
    "captions": "(?:_seen|_unseen)?",
}

# what an example may be -> what several of them are called
EXAMPLES: Mapping[type, str] = {ImageSpec: "images", VectorSpec: "vectors"}

Need = Callable[[Context], str]  # why a metric is not defined; "" where it is


class Section(StrEnum):
    """The tables of a report, in the order in which a reader wants them."""

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
    repeats: the family of another metric that says the same: where that is there, this one is shown
        in its table alone
    signed: whether other models have a bound in its place, so that "=" is worth saying
    """

    role: Role = Role.NONE
    paired: bool = False
    repeats: str = ""
    signed: bool = False


IN_ITS_TABLE = Presentation()  # and nowhere else


class MetricInfo(TypedDict):
    """What is known of a metric. better: which values are, empty where neither

    of: the kinds of examples that it is of
    """

    about: str
    section: str
    of: str
    unit: str
    better: str


def nothing(ctx: Context) -> About:
    """A metric that depends only on the protocol."""
    return {}


def always(ctx: Context) -> bool:
    """Every evaluation has a row for it."""
    return True


@dataclass(frozen=True)
class Metric:
    """One entry of `ptheta.metrics.table.METRICS`.

    name: of its results, with {extractor}, {given} (a condition) and {term} where these belong;
        {pairs} is empty for test pairs and says which others are meant, as {captions} does of the
        captions of the test part; {domain} is a label
    compute: the number; or several, one for each {term}, kind of {pairs} or {captions}, or {domain}
    about: what it is, in one line for lists
    section: of the report
    of: the kinds of examples that it is of; an evaluation of others has no row for it
    needs: the first that is not met says why the metric is not defined
    asked: whether an evaluation has a row for it at all, defined or not
    unit: {classes} stands for the number of the extractor's, {example} for what an example is
    better: which values are
    published: its name by the extractor of the published metrics
    shown: where else a report shows it
    settings: the options that it alone depends on, for its protocol
    lasting: whether a stored number stands for one that would be taken now; a speed is of a machine
        and a moment
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
        """The name without what it is of: "fd", "nll"."""
        return "".join(text for text, *_ in Formatter().parse(self.name)).strip("_")

    @property
    def title(self) -> str:
        """Its name for lists: "fd_X", "elbo_T"."""
        return self.name.format(
            extractor="X", term="T", domain="D", given="", pairs="", captions=""
        )

    @property
    def of_what(self) -> str:
        """The only examples that it is of: "images"; "" where it is of any."""
        return "" if len(self.of) == len(EXAMPLES) else " and ".join(EXAMPLES[o] for o in self.of)

    def info(self) -> MetricInfo:
        """What a list says of it."""
        return {
            "about": self.about,
            "section": self.section,
            "of": self.of_what or "any examples",
            "unit": self.unit.format(classes="the classifier's classes", example="example"),
            "better": self.better,
        }

    def results(self, ctx: Context) -> list[Result]:
        """Its rows of an evaluation: none where it is not asked for, or of other examples."""
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
        """A number that was taken without an evaluation, as this metric's result."""
        return found.named(
            self.called_by(extractor), about, unit=unit or self.unit, better=self.better
        )

    def names(self, result: str) -> bool:
        """Whether a result of this name is one of its own."""
        parts = (
            re.escape(text) + (PLACES[place] if place else "")
            for text, place, *_ in Formatter().parse(self.name)
        )
        return result == self.published or re.fullmatch("".join(parts), result) is not None


def measure(ctx: Context, metrics: Iterable[Metric]) -> list[Result]:
    """The results of these metrics, in their order."""
    return [result for metric in metrics for result in metric.results(ctx)]
