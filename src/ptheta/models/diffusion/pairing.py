"""Which noise goes with which example in a batch of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ptheta.compute import streams
from ptheta.config import Entry, OneOf


@dataclass(frozen=True)
class Pairing(Entry):
    """noise: examples and noise (B, ...) -> the noise that goes with each example"""

    noise: Callable[[Tensor, Tensor], Tensor]


def transported(x: Tensor, noise: Tensor) -> Tensor:
    """The assignment of the whole batch with the least sum of squared distances (Tong et al. 2023,
    arXiv:2302.00482; Pooladian et al. 2023, arXiv:2304.14772): its paths cross less."""
    every = streams.whole(noise)
    cost = torch.cdist(streams.whole(x).flatten(1).cpu().double(), every.flatten(1).cpu().double())
    _, column = linear_sum_assignment(cost.square().numpy())
    return streams.back(every[torch.from_numpy(column).to(every.device)])


PAIRINGS: dict[str, Pairing] = {
    "independent": Pairing(lambda x, noise: noise, about="as it is drawn (2210.02747)"),
    "optimal-transport": Pairing(
        transported, about="by the nearest assignment within the batch (2302.00482)"
    ),
}
PairingName: TypeAlias = Annotated[str, OneOf(PAIRINGS)]
