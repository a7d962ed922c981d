"""What a reconstruction of a vector costs, column by column."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ptheta.specs import VectorSpec


def column_errors(spec: VectorSpec, out: Tensor, x: Tensor) -> Tensor:
    """(B, D): of a number the squared error, in its standard deviations; of a word the
    cross-entropy, nats.

    out: (B, width), numbers as a network sees them and logits of words; x: vectors (B, D)
    """
    errors = [
        cross_entropy(part, cells.long(), reduction="none")
        if column.values
        else (part - column.scaled(cells)).square().squeeze(1)
        for column, part, cells in zip(spec.columns, spec.split(out), x.unbind(1), strict=True)
    ]
    return torch.stack(errors, 1)
