"""Extractors that compute on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.compute.precise import without_tf32
from ptheta.extractors.base import Extractor


class OnDevice:
    """An extractor that gets its examples on a device; features come back to the CPU.

    Float32 is float32 there, whatever torch's settings, so that features can be cached.
    """

    def __init__(self, extractor: Extractor, device: torch.device) -> None:
        self.extractor, self.device = extractor, device
        self.name, self.digest = extractor.name, extractor.digest
        self.reads, self.classes = extractor.reads, extractor.classes

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        with without_tf32(self.device):
            features, logits = self.extractor(x.to(self.device))
        return features.cpu(), None if logits is None else logits.cpu()


def placed(extractor: Extractor, device: torch.device) -> Extractor:
    """The extractor on a device; on the CPU itself."""
    return extractor if device.type == "cpu" else OnDevice(extractor, device)


def place_of(extractor: Extractor) -> str:
    """The kind of device of an extractor."""
    return extractor.device.type if isinstance(extractor, OnDevice) else "cpu"
