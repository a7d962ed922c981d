"""Features of vectors: their values in network scale."""

from __future__ import annotations

import hashlib

from torch import Tensor

from ptheta.specs import VectorSpec, filled


class Standardised:
    """`standardised`: numbers standardised by the training data, categories one-hot.

    A missing cell becomes the mean, or all zeros for a category.
    """

    name, classes = "standardised", 0
    reads = "as a network reads them; a missing cell is the mean"

    def __init__(self, spec: VectorSpec) -> None:
        self.spec = spec
        self.digest = hashlib.sha256(repr(spec).encode()).hexdigest()[:12]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """float32 (B, D) -> (B, width)"""
        return filled(self.spec.scaled(x).float()), None
