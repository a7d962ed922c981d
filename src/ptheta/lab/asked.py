"""What a page is made for: a seed, and trained runs to look at."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ptheta.runs.folder import Run


@dataclass(frozen=True)
class Asked:
    """What a page is asked to show.

    Attributes:
        seed: Decides every random draw of the page, including the problems it solves.
        runs: Trained runs to use where a page would otherwise train its own.
    """

    seed: int = 0
    runs: Sequence[Run] = ()

    def rng(self, name: str) -> np.random.Generator:
        """The random stream of a part of the page, by its name."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def number(self, name: str) -> int:
        """A seed for a part of the page, by its name."""
        return int(self.rng(name).integers(2**31))

    def generator(self, name: str) -> torch.Generator:
        """The same for torch."""
        return torch.Generator().manual_seed(int(self.rng(name).integers(2**62)))
