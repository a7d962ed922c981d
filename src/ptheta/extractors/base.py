"""What every extractor is: a network, or any function, that distances and scores see examples
through. A result is named after its extractor."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Extractor(Protocol):
    """name: part of every metric's name. digest: of the weights, for the protocol. reads: how an
    image is brought to what the network takes."""

    name: str
    digest: str
    reads: str
    classes: int  # of the classifier; 0 where there is none

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Examples, such as uint8 (B, C, H, W) -> features float32 (B, d), and logits (B, K) or
        None."""
        ...
