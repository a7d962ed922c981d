"""Extractors that compute on a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.compute.precise import without_tf32
from ptheta.extractors.base import Extractor


@dataclass(frozen=True)
class OnDevice:
    """An extractor that gets its examples on a device; features come back to the CPU.

    Float32 is float32 there, whatever torch's settings, so that features can be cached.
    """

    extractor: Extractor
    device: torch.device

    @property
    def name(self) -> str:
        return self.extractor.name

    @property
    def digest(self) -> str:
        return self.extractor.digest

    @property
    def reads(self) -> str:
        return self.extractor.reads

    @property
    def classes(self) -> int:
        return self.extractor.classes

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        with without_tf32(self.device):
            features, logits = self.extractor(x.to(self.device))
        return features.cpu(), None if logits is None else logits.cpu()


def placed(extractor: Extractor, device: torch.device) -> Extractor:
    """The extractor on a device; on the CPU itself."""
    if device.type == "cpu":
        return extractor
    return OnDevice(extractor, device)


def place_of(extractor: Extractor) -> str:
    """The kind of device of an extractor."""
    return extractor.device.type if isinstance(extractor, OnDevice) else "cpu"
