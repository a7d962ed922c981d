"""Classification by Bayes' rule, with a model that is conditional on labels."""

from ptheta.tasks.classify.bayes import SAMPLES, Posterior, classify, log_prior
from ptheta.tasks.classify.floors import FLOORS, Floor, Labelled

__all__ = ["FLOORS", "SAMPLES", "Floor", "Labelled", "Posterior", "classify", "log_prior"]
