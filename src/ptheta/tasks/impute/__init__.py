"""Missing values, drawn given what is there, and how well."""

from ptheta.tasks.impute.draws import impute, imputed
from ptheta.tasks.impute.floors import FLOORS, Floor
from ptheta.tasks.impute.score import MEASURES, Scored, score

__all__ = ["FLOORS", "MEASURES", "Floor", "Scored", "impute", "imputed", "score"]
