"""Images without loss in few bytes, by the conditionals of a model."""

from ptheta.tasks.compress.code import BATCH, compress, decompress
from ptheta.tasks.compress.floors import FLOORS

__all__ = ["BATCH", "FLOORS", "compress", "decompress"]
