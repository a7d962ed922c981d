"""Usefulness of samples as training data: needs `Samples`. Imports scikit-learn, which is slow."""

from ptheta.tasks.usefulness.apart import TESTS, Bootstrapped, Test
from ptheta.tasks.usefulness.known import MOST, Examples, Known
from ptheta.tasks.usefulness.learners import LEARNERS, Learner
from ptheta.tasks.usefulness.score import MEASURES, Learned, Measure, Passed, Usefulness, usefulness
from ptheta.tasks.usefulness.sources import RIVALS, SOURCES, Source

__all__ = [
    "LEARNERS",
    "MEASURES",
    "MOST",
    "RIVALS",
    "SOURCES",
    "TESTS",
    "Bootstrapped",
    "Examples",
    "Known",
    "Learned",
    "Learner",
    "Measure",
    "Passed",
    "Source",
    "Test",
    "Usefulness",
    "usefulness",
]
