"""log p of examples, and which of them are likely."""

from ptheta.tasks.density.find import SAMPLES, Densities, density
from ptheta.tasks.density.floors import FLOORS, Floor

__all__ = ["FLOORS", "SAMPLES", "Densities", "Floor", "density"]
