"""How the report shows each metric: in which table, and where else its numbers stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ptheta.metrics.metric import Section as Kind
from ptheta.metrics.table import metric_of


@dataclass(frozen=True)
class Section:
    """A table of the report. note: what its reader must know"""

    title: str
    note: str


LIKELIHOOD = Section(
    Kind.LIKELIHOOD,
    "On the held-out images. = exact, ≤ an upper bound on the bits (from a lower bound on the "
    "likelihood): the two are not ranked against each other. A model without either has none, "
    "whatever its samples look like.",
)
DISTANCE = Section(
    Kind.DISTANCE,
    "Named after the network whose features they use; only those of inception-2015 are the "
    "published FID, KID and IS. The grey rows need no learning.",
)
FIDELITY = Section(
    Kind.FIDELITY,
    "Precision and density ask whether a sample could be real; recall, coverage and the "
    "classes, whether everything real is there. No row is good by one column.",
)
MEMORISATION = Section(
    Kind.MEMORISATION,
    "Distances to the nearest training image, of samples beside those of held-out images; and "
    "to the nearest test image (names with test), beside those of training images. The copying "
    "test is about N(0, 1) where both are alike; far below 0 are copies, far above 0 images "
    "away from the data. A copied training or test set has the best distances there are, and "
    "must be given away here.",
)
COST = Section(Kind.COST, "On the machine that wrote this; training as it was when it ran.")
SECTIONS = (LIKELIHOOD, DISTANCE, FIDELITY, MEMORISATION, COST)  # as a reader wants them


class Role(Enum):
    """What a metric stands for outside its table: in the summary and in the plots."""

    NONE = ""
    LIKELIHOOD = "likelihood"
    DISTANCE = "distance to real images"
    PRECISION = "precision"
    RECALL = "recall"


@dataclass(frozen=True)
class Presentation:
    """How a metric is shown.

    role: what it stands for in the summary and the plots
    paired: whether the page shows the differences between runs
    repeats: whether another metric says the same, so that no verdict speaks of it again
    signed: whether other models have a bound in its place, so that "=" is worth saying
    """

    section: Section
    role: Role = Role.NONE
    paired: bool = False
    repeats: bool = False
    signed: bool = False


SECTION_OF = {
    Kind.LIKELIHOOD: LIKELIHOOD,
    Kind.DISTANCE: DISTANCE,
    Kind.FIDELITY: FIDELITY,
    Kind.MEMORISATION: MEMORISATION,
    Kind.COST: COST,
}

# by the family of a metric; of any other only its section is known
SHOWN: dict[str, Presentation] = {
    "bits_per_dim": Presentation(LIKELIHOOD, Role.LIKELIHOOD, paired=True, signed=True),
    "nll": Presentation(LIKELIHOOD, repeats=True, signed=True),
    "nll_ais": Presentation(LIKELIHOOD, repeats=True, signed=True),
    "fd_memorisation": Presentation(MEMORISATION, repeats=True),
    "fd_infinity": Presentation(DISTANCE, repeats=True),
    "fd": Presentation(DISTANCE, paired=True),
    "kd": Presentation(DISTANCE, Role.DISTANCE, paired=True),
    "kd_within_label": Presentation(DISTANCE, Role.DISTANCE, paired=True),
    "precision": Presentation(FIDELITY, Role.PRECISION),
    "recall": Presentation(FIDELITY, Role.RECALL),
}


def presentation(name: str) -> Presentation:
    """How the report shows the results of this name; those of a metric that this version does not
    know stand beside fidelity."""
    metric = metric_of(name)
    if metric is None:
        return Presentation(FIDELITY)
    return SHOWN.get(metric.family, Presentation(SECTION_OF[metric.section]))
