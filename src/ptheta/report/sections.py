"""How the report shows each metric: in which table, and where else its numbers stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Section:
    """A table of the report. note: what its reader must know"""

    title: str
    note: str


LIKELIHOOD = Section(
    "Likelihood",
    "On the held-out images. = exact, ≤ an upper bound on the bits (from a lower bound on the "
    "likelihood): the two are not ranked against each other. A model without either has none, "
    "whatever its samples look like.",
)
DISTANCE = Section(
    "Distance to real images",
    "Named after the network whose features they use; only those of inception-2015 are the "
    "published FID, KID and IS. The grey rows need no learning.",
)
FIDELITY = Section(
    "Fidelity and diversity",
    "Precision and density ask whether a sample could be real; recall, coverage and the "
    "classes, whether everything real is there. No row is good by one column.",
)
MEMORISATION = Section(
    "Memorisation",
    "Distances to the nearest training image, of samples beside those of held-out images; and "
    "to the nearest test image (names with test), beside those of training images. The copying "
    "test is about N(0, 1) where both are alike; far below 0 are copies, far above 0 images "
    "away from the data. A copied training or test set has the best distances there are, and "
    "must be given away here.",
)
COST = Section("Cost", "On the machine that wrote this; training as it was when it ran.")
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


_LIKELIHOOD = Presentation(LIKELIHOOD)
_DISTANCE = Presentation(DISTANCE)
_REPEATED_DISTANCE = Presentation(DISTANCE, repeats=True)
_FRECHET = Presentation(DISTANCE, paired=True)
_KERNEL = Presentation(DISTANCE, Role.DISTANCE, paired=True)
_MEMORISATION = Presentation(MEMORISATION)
_COST = Presentation(COST)
_OTHER = Presentation(FIDELITY)

# how the names of metrics begin, which end in the name of an extractor; the first that fits counts
_BY_NAME: tuple[tuple[str, Presentation], ...] = (
    ("bits_per_dim", Presentation(LIKELIHOOD, Role.LIKELIHOOD, paired=True, signed=True)),
    ("nll", Presentation(LIKELIHOOD, repeats=True, signed=True)),
    ("neg_elbo", _LIKELIHOOD),
    ("elbo_", _LIKELIHOOD),
    ("train_distance_ratio", _MEMORISATION),
    ("copied_share", _MEMORISATION),
    ("copying_z", _MEMORISATION),
    ("fd_memorisation", Presentation(MEMORISATION, repeats=True)),
    ("sampling_speed", _COST),
    ("parameters", _COST),
    ("fd_infinity", _REPEATED_DISTANCE),
    ("fid_infinity", _REPEATED_DISTANCE),
    ("fd_", _FRECHET),
    ("fid", _FRECHET),
    ("kd_", _KERNEL),
    ("kid", _KERNEL),
    ("score_", _DISTANCE),
    ("inception_score", _DISTANCE),
    ("label_accuracy", _DISTANCE),
    ("precision_", Presentation(FIDELITY, Role.PRECISION)),
    ("recall_", Presentation(FIDELITY, Role.RECALL)),
)


def presentation(metric: str) -> Presentation:
    """How the report shows the metric of this name."""
    return next((shown for begins, shown in _BY_NAME if metric.startswith(begins)), _OTHER)
