"""Uses of a trained model, each defined by the capabilities it needs."""

from ptheta.tasks.inpaint import inpaint, region
from ptheta.tasks.interpolate import interpolate
from ptheta.tasks.reconstruct import reconstruct
from ptheta.tasks.sample import sample
from ptheta.tasks.surprise import surprise

__all__ = ["inpaint", "interpolate", "reconstruct", "region", "sample", "surprise"]
