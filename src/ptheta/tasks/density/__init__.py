"""Log-likelihoods of examples."""

from ptheta.tasks.density.find import SAMPLES, Densities, density
from ptheta.tasks.density.floors import FLOORS, Floor

__all__ = ["FLOORS", "SAMPLES", "Densities", "Floor", "density"]
