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

GIVEN = "_given_label"  # of p(x | y): another quantity, so it has another name
# the extractor whose distances have the published names; of any other they would be wrong
PUBLISHED = "inception-2015"
# what may stand in a name, and how it looks there
PLACES = {"extractor": ".+", "given": f"(?:{GIVEN})?", "term": "[a-z_]+"}

Need = Callable[[Context], str]  # why a metric is not defined; "" where it is


class Section(StrEnum):
    """The tables of a report, in the order in which a reader wants them."""

    LIKELIHOOD = "Likelihood"
    DISTANCE = "Distance to real images"
    FIDELITY = "Fidelity and diversity"
    MEMORISATION = "Memorisation"
    COST = "Cost"


class Role(Enum):
    """What a metric stands for outside its table: in the summary and in the plots of a report."""

    NONE = ""
    LIKELIHOOD = "likelihood"
    DISTANCE = "distance to real images"
    PRECISION = "precision"
    RECALL = "recall"


@dataclass(frozen=True)
class Presentation:
    """How a report shows a metric outside its table.

    role: what it stands for in the summary and the plots
    paired: whether the page shows the differences between runs
    repeats: whether another metric says the same, so that no verdict speaks of it again
    signed: whether other models have a bound in its place, so that "=" is worth saying
    """

    role: Role = Role.NONE
    paired: bool = False
    repeats: bool = False
    signed: bool = False


IN_ITS_TABLE = Presentation()  # and nowhere else


class MetricInfo(TypedDict):
    """What is known of a metric. better: which values are; empty where neither"""

    about: str
    section: str
    unit: str
    better: str


def nothing(ctx: Context) -> About:
    """A metric that depends on nothing beside the protocol."""
    return {}


def always(ctx: Context) -> bool:
    """Every evaluation has a row for it."""
    return True


@dataclass(frozen=True)
class Metric:
    """One entry of `ptheta.metrics.table.METRICS`.

    name: of its results, with {extractor}, {given} (a condition) and {term} where these belong
    compute: the number; or several, one for each {term}
    about: what it is, in one line for lists
    section: of the report
    needs: the first that is not met says why the metric is not defined
    asked: whether an evaluation has a row for it at all, defined or not
    unit: {classes} stands for the number of the extractor's; better: which values are
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
        return self.name.format(extractor="X", term="T", given="")

    def info(self) -> MetricInfo:
        """What a list says of it."""
        return {
            "about": self.about,
            "section": self.section,
            "unit": self.unit.format(classes="the classifier's classes"),
            "better": self.better,
        }

    def results(self, ctx: Context) -> list[Result]:
        """Its rows of an evaluation: none where it is not asked for."""
        if not self.asked(ctx):
            return []
        reason = next(filter(None, (need(ctx) for need in self.needs)), "")
        found = Estimate(None, reason=reason) if reason else self.compute(ctx)
        terms = found if isinstance(found, Mapping) else {"": found}
        unit = self.unit.format(classes=ctx.extractor.classes)
        protocol = {**ctx.protocol, **self.settings(ctx)}
        return [
            each.named(self.called(ctx, term), protocol, unit=unit, better=self.better)
            for term, each in terms.items()
        ]

    def called(self, ctx: Context, term: str = "") -> str:
        """The name of its result."""
        if self.published and ctx.extractor.name == PUBLISHED:
            return self.published
        given = GIVEN if ctx.conditional_likelihood else ""
        return self.name.format(extractor=ctx.extractor.name, given=given, term=term)

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
