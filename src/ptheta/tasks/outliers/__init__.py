"""Outlier detection: scores of how unlike the training data examples are, and a threshold.

A score is an entry of `SCORES`: by a model, by the distance to the training examples in a feature
space, or without a model (the baselines).
"""

from ptheta.tasks.outliers.find import Outliers, outliers
from ptheta.tasks.outliers.heat import HEATS, Heat
from ptheta.tasks.outliers.known import Known, Score
from ptheta.tasks.outliers.perturbed import perturbed
from ptheta.tasks.outliers.table import DEFAULT, SCORES, defined

__all__ = [
    "DEFAULT",
    "HEATS",
    "SCORES",
    "Heat",
    "Known",
    "Outliers",
    "Score",
    "defined",
    "outliers",
    "perturbed",
]
