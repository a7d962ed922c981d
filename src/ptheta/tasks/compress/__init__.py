"""Lossless compression of images by a model's conditionals."""

from ptheta.tasks.compress.code import BATCH, compress, decompress
from ptheta.tasks.compress.floors import FLOORS

__all__ = ["BATCH", "FLOORS", "compress", "decompress"]
