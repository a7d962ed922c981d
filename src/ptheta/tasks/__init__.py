"""Uses of a trained model, each defined by the capabilities it needs."""

from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.reconstruct import reconstruct
from ptheta.tasks.sample import sample

__all__ = ["interpolate", "reconstruct", "sample"]
