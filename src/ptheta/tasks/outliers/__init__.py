"""Outliers: how unlike the training data examples are, and which of them are to be flagged.

A score is an entry of `SCORES`: of what a model says of an example, of its distance to the training
examples in features, or of what needs no model at all (the floors).
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
