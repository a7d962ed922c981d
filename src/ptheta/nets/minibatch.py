"""Minibatch features of a discriminator: similarity of the examples in the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.config import Entry
from ptheta.errors import unknown


class MinibatchLayer(nn.Module):
    """width: how many features it gives"""

    width: int


class MinibatchDiscrimination(MinibatchLayer):
    """(B, F) -> (B, F + kernels): adds o_k(i) = sum over j != i of exp(-|M_ik - M_jk|_1), M = f T.

    Salimans et al. 2016, section 3.2 (arXiv:1606.03498).
    """

    def __init__(self, width: int, kernels: int = 32, dims: int = 8) -> None:
        super().__init__()
        self.shape = (kernels, dims)
        self.project = nn.Linear(width, kernels * dims, bias=False)
        self.width = width + kernels

    def forward(self, f: Tensor) -> Tensor:
        m = self.project(f).unflatten(1, self.shape)  # (B, K, D)
        everyone = streams.whole(m)  # (N, K, D): of all processes
        distances = (m[:, None] - everyone[None]).abs().sum(-1)  # (B, N, K)
        alike = (-distances).exp().sum(1) - 1  # an example is no neighbour of itself
        return torch.cat([f, alike], 1)


class MinibatchStddev(MinibatchLayer):
    """(B, F) -> (B, F + 1): adds the mean over features of their deviation over the batch; of maps
    (B, F, H, W) -> (B, F + 1, H, W) the mean over features and places, alike at every place.

    Karras et al. 2018, section 3 (arXiv:1710.10196).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width + 1

    def forward(self, f: Tensor) -> Tensor:
        deviation = (streams.whole(f).var(0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([f, deviation.expand(len(f), 1, *f.shape[2:])], 1)


@dataclass(frozen=True)
class MinibatchStatistic(Entry):
    """layer(width): (B, F) -> (B, F + ...) of features F = width, its own `width` says how many
    of_maps: it is of maps (B, F, H, W) as well, so that convolutions may follow
    """

    layer: Callable[[int], MinibatchLayer]
    of_maps: bool = False


STATISTICS = "minibatch_statistics"
OF_BATCH = frozenset({"batchwise", STATISTICS})

MINIBATCH: dict[str, MinibatchStatistic] = {
    "discrimination": MinibatchStatistic(
        MinibatchDiscrimination,
        about="distances to the other examples (1606.03498)",
        traits=OF_BATCH,
    ),
    # not "batchwise", with which no penalty goes: as published it stands beside penalties, whose
    # slope is then of the sum of a batch's outputs, the way through the deviation included
    "stddev": MinibatchStatistic(
        MinibatchStddev,
        of_maps=True,
        about="standard deviation of features over the batch (1710.10196)",
        traits=frozenset({STATISTICS}),
    ),
}


def minibatch(kind: str, width: int) -> MinibatchLayer | None:
    """The layer of this name on features (B, width); None for none. Raises PthetaError for
    another name."""
    if kind == "none":
        return None
    if kind not in MINIBATCH:
        raise unknown("minibatch layer", kind, ["none", *MINIBATCH])
    return MINIBATCH[kind].layer(width)
