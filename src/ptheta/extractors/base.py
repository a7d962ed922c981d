"""The interface of feature extractors, used by distances and scores. The names of such metrics
contain the name of their extractor."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Extractor(Protocol):
    """A feature extractor. name: part of every metric's name. digest: hash of the weights, for the
    protocol. reads: how images are converted to the network's input. It computes on the device of
    the examples that it is given: the CPU, unless an evaluation is asked for on a GPU."""

    name: str
    digest: str
    reads: str
    classes: int  # number of classes of a classifier; 0 for no classifier

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Examples, such as uint8 (B, C, H, W) -> features float32 (B, d), and logits (B, K) or
        None."""
        ...
