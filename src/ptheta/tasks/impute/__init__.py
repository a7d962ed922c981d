"""Imputation of missing values, and its evaluation."""

from ptheta.tasks.impute.draws import impute, imputed
from ptheta.tasks.impute.floors import FLOORS, Floor
from ptheta.tasks.impute.score import MEASURES, Scored, score

__all__ = ["FLOORS", "MEASURES", "Floor", "Scored", "impute", "imputed", "score"]
