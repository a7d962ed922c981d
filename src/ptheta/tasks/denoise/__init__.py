"""Denoising of images, and its evaluation against baselines without a model."""

from ptheta.tasks.denoise.floors import FLOORS, Floor
from ptheta.tasks.denoise.repair import Damage, denoise, psnr, repaired
from ptheta.tasks.denoise.score import MEASURES, Scored, score

__all__ = [
    "FLOORS",
    "MEASURES",
    "Damage",
    "Floor",
    "Scored",
    "denoise",
    "psnr",
    "repaired",
    "score",
]
