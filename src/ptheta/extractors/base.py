"""The base of extractors: networks or functions whose features distances and scores compare. A
metric is named after its extractor."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Extractor(Protocol):
    """name: part of every metric's name. digest: hash of the weights, for the protocol. reads: how
    images are converted to the network's input."""

    name: str
    digest: str
    reads: str
    classes: int  # of the classifier; 0 where there is none

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Examples, such as uint8 (B, C, H, W) -> features float32 (B, d), and logits (B, K) or
        None."""
        ...
