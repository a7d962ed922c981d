"""What a study shows and asks: `plan.json`, written once by `ptheta study new`.

The plan holds what must not leave the server, such as which image comes from which source. What an
analysis needs of it is in `study.json` (`ptheta.study.files`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json, write_json
from ptheta.schemas import StudyItem as Item
from ptheta.schemas import StudyPlan, parse
from ptheta.schemas import StudyTiming as Timing
from ptheta.study.files import (
    FAKE,
    HYPE_INFINITY,
    HYPE_TIME,
    PAIRS,
    RATING,
    REAL,
    STUDY_FILE,
    TWO_AFC,
    TWO_IMAGES,
)

PLAN_FILE, IMAGES, MASKS, DATABASE = "plan.json", "images", "masks", "answers.db"
FORMAT = 1
NOISE, DEGRADED = "noise", "degraded"  # sources of attention checks, of easy fakes
RESERVED = (REAL, FAKE, NOISE, DEGRADED)  # names that no source of the user can have
BETWEEN, WITHIN = "between", "within"
LONGEST_TEXT = 20_000  # characters of a consent text
MOST_QUESTIONS = 10_000  # of a phase
MOST_BYTES = 2**31  # of all images, which the server holds in memory


class Usual(NamedTuple):
    """The defaults of a protocol.

    trials: of the main phase, without checks. design: whether each person sees one source or all.
    reference: whether it needs real images, that is, whether its questions have right answers.
    """

    trials: int
    practice: int
    qualification: int
    design: str
    reference: bool
    about: str


USUAL: Mapping[str, Usual] = MappingProxyType(
    {
        HYPE_INFINITY: Usual(
            *(100, 10, 20, BETWEEN, True),
            "one image, unlimited time: real or fake (HYPE-infinity, arXiv:1904.01121)",
        ),
        HYPE_TIME: Usual(
            *(150, 10, 20, BETWEEN, True),
            "one image, shown shortly and masked; a staircase from 500 ms (HYPE-time)",
        ),
        TWO_AFC: Usual(
            *(60, 10, 10, WITHIN, True),
            "a real image next to a generated one: which is real (two-alternative forced choice)",
        ),
        PAIRS: Usual(
            *(60, 4, 0, WITHIN, False), "images of two sources: which looks more realistic"
        ),
        RATING: Usual(*(60, 4, 0, WITHIN, False), "one image: how realistic, from 1 to 5"),
    }
)


class Plan(StudyPlan):
    """plan.json."""

    @property
    def models(self) -> list[str]:
        """The sources other than the reference."""
        return [name for name in self.sources if name != REAL]

    @property
    def has_truth(self) -> bool:
        """Whether its questions have right answers."""
        return USUAL[self.protocol].reference

    @property
    def two_images(self) -> bool:
        """Whether a question shows two images."""
        return self.protocol in TWO_IMAGES

    @property
    def main(self) -> int:
        """Trials of the main phase, with attention checks and repeats."""
        return self.trials + self.attention + self.repeats

    @property
    def content(self) -> str:
        """Tells the plan that answers are to from another one: a hash of its images and of what
        they are."""
        items = sorted((item.id, item.source, item.use) for item in self.items)
        return hashlib.sha256(repr((self.protocol, items)).encode()).hexdigest()

    @property
    def mark(self) -> str:
        """Tells the cookies of two studies on one host apart, whatever their ports are."""
        ids = "".join(item.id for item in self.items)
        return hashlib.sha256(ids.encode()).hexdigest()[:8]

    def pool(self, use: str, source: str) -> list[str]:
        """Ids of the images of a source that are kept for one use."""
        return [item.id for item in self.items if (item.use, item.source) == (use, source)]


def needed(plan: Plan, source: str) -> int:
    """How many main images of a source one person may see."""
    share = 1 if plan.design == BETWEEN else max(1, len(plan.models))
    half = plan.trials // 2
    if plan.protocol in (HYPE_INFINITY, HYPE_TIME):
        return plan.trials - half if source == REAL else -(-half // share)
    if plan.protocol == TWO_AFC:
        # a real image next to noise is known to be real, so it is in no other question
        return plan.trials + plan.attention if source == REAL else -(-plan.trials // share)
    return -(-plan.trials // len(plan.sources))


def write_plan(folder: Path, plan: Plan) -> None:
    """Atomically. Raises CannotWrite."""
    write_json(folder / PLAN_FILE, plan.model_dump(mode="json"))


def read_plan(folder: Path) -> Plan:
    """The plan of the study in a folder. Raises PthetaError where there is none."""
    path = folder / PLAN_FILE
    if not (folder / STUDY_FILE).exists() or not path.exists():
        raise PthetaError(
            f"{folder} is not the folder of a study (no {PLAN_FILE}): make one with "
            "`ptheta study new`"
        )
    plan = parse(Plan, read_json(path), path, "make the study again with `ptheta study new`")
    if plan.format != FORMAT:
        raise PthetaError(f"{path}: format {plan.format} is of another version of ptheta")
    return plan


__all__ = [
    "BETWEEN",
    "DATABASE",
    "DEGRADED",
    "FORMAT",
    "IMAGES",
    "LONGEST_TEXT",
    "MASKS",
    "MOST_BYTES",
    "MOST_QUESTIONS",
    "NOISE",
    "RESERVED",
    "USUAL",
    "WITHIN",
    "Item",
    "Plan",
    "Timing",
    "needed",
    "read_plan",
    "write_plan",
]
