"""The missing cells of rows that a model drew whole: as those of training rows."""

from __future__ import annotations

import torch
from torch import Tensor


def with_gaps(x: Tensor, train: Tensor, seed: int) -> Tensor:
    """Rows x (N, D) without the cells that a training row, drawn for each, lacks.

    train: (M, D), NaN where a cell is missing. Row i is a function of the seed and i: fewer rows
    are the first of more.
    """
    generator = torch.Generator().manual_seed(seed)
    of = torch.randint(len(train), (len(x),), generator=generator)
    return x.masked_fill(train[of].isnan(), torch.nan)
