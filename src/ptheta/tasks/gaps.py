"""Missing cells of sampled rows, copied from the pattern of training rows."""

from __future__ import annotations

import torch
from torch import Tensor


def with_gaps(x: Tensor, train: Tensor, seed: int) -> Tensor:
    """Remove from each of rows x (N, D) the cells that are missing in a random training row.

    train: (M, D), NaN where a cell is missing. Row i depends only on the seed and i, so fewer rows
    are a prefix of more.
    """
    generator = torch.Generator().manual_seed(seed)
    of = torch.randint(len(train), (len(x),), generator=generator)
    return x.masked_fill(train[of].isnan(), torch.nan)
