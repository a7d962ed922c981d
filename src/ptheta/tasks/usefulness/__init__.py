"""What samples are good for: needs `Samples`. Imports scikit-learn, which takes a second."""

from ptheta.tasks.usefulness.apart import TESTS, Test, Told
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
    "Examples",
    "Known",
    "Learned",
    "Learner",
    "Measure",
    "Passed",
    "Source",
    "Test",
    "Told",
    "Usefulness",
    "usefulness",
]
