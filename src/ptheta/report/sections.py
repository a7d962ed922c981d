"""How the report shows each metric: in which table, and where else its numbers stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ptheta.metrics.metric import Section
from ptheta.metrics.table import metric_of

NOTES = {  # what the reader of a table must know
    Section.LIKELIHOOD: (
        "On the held-out images. = exact, ≤ an upper bound on the bits (from a lower bound on the "
        "likelihood): the two are not ranked against each other. A model without either has none, "
        "whatever its samples look like."
    ),
    Section.DISTANCE: (
        "Named after the network whose features they use; only those of inception-2015 are the "
        "published FID, KID and IS. The grey rows need no learning."
    ),
    Section.FIDELITY: (
        "Precision and density ask whether a sample could be real; recall, coverage and the "
        "classes, whether everything real is there. No row is good by one column."
    ),
    Section.MEMORISATION: (
        "Distances to the nearest training image, of samples beside those of held-out images; and "
        "to the nearest test image (names with test), beside those of training images. The copying "
        "test is about N(0, 1) where both are alike; far below 0 are copies, far above 0 images "
        "away from the data. A copied training or test set has the best distances there are, and "
        "must be given away here."
    ),
    Section.COST: "On the machine that wrote this; training as it was when it ran.",
}


def section_of(name: str) -> Section:
    """The table that a result of this name stands in; of a metric that this version does not know,
    that of fidelity."""
    metric = metric_of(name)
    return Section.FIDELITY if metric is None else metric.section


class Role(Enum):
    """What a metric stands for outside its table: in the summary and in the plots."""

    NONE = ""
    LIKELIHOOD = "likelihood"
    DISTANCE = "distance to real images"
    PRECISION = "precision"
    RECALL = "recall"


@dataclass(frozen=True)
class Presentation:
    """How a metric is shown outside its table.

    role: what it stands for in the summary and the plots
    paired: whether the page shows the differences between runs
    repeats: whether another metric says the same, so that no verdict speaks of it again
    signed: whether other models have a bound in its place, so that "=" is worth saying
    """

    role: Role = Role.NONE
    paired: bool = False
    repeats: bool = False
    signed: bool = False


# by the family of a metric; any other is shown in its table alone
SHOWN: dict[str, Presentation] = {
    "bits_per_dim": Presentation(Role.LIKELIHOOD, paired=True, signed=True),
    "nll": Presentation(repeats=True, signed=True),
    "nll_ais": Presentation(repeats=True, signed=True),
    "fd_memorisation": Presentation(repeats=True),
    "fd_infinity": Presentation(repeats=True),
    "fd": Presentation(paired=True),
    "kd": Presentation(Role.DISTANCE, paired=True),
    "kd_within_label": Presentation(Role.DISTANCE, paired=True),
    "precision": Presentation(Role.PRECISION),
    "recall": Presentation(Role.RECALL),
}


def presentation(name: str) -> Presentation:
    """How the report shows the results of this name outside their table."""
    metric = metric_of(name)
    return SHOWN.get("" if metric is None else metric.family, Presentation())
