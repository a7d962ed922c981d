"""Features that tell a discriminator how alike the images of its batch are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.errors import unknown


class MinibatchDiscrimination(nn.Module):
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
        distances = (m[:, None] - m[None]).abs().sum(-1)  # (B, B, K)
        alike = (-distances).exp().sum(1) - 1  # an image is no neighbour of itself
        return torch.cat([f, alike], 1)


class MinibatchStddev(nn.Module):
    """(B, F) -> (B, F + 1): adds the mean over features of their deviation over the batch.

    Karras et al. 2018, section 3 (arXiv:1710.10196), on the last features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width + 1

    def forward(self, f: Tensor) -> Tensor:
        spread = (f.var(0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([f, spread.expand(len(f), 1)], 1)


MINIBATCH: dict[str, type[MinibatchDiscrimination] | type[MinibatchStddev]] = {
    "discrimination": MinibatchDiscrimination,
    "stddev": MinibatchStddev,
}


def minibatch(kind: str, width: int) -> MinibatchDiscrimination | MinibatchStddev | None:
    """The layer of this name on features (B, width); None for none. Raises PthetaError for
    another name."""
    if kind == "none":
        return None
    if kind not in MINIBATCH:
        raise unknown("minibatch layer", kind, ["none", *MINIBATCH])
    return MINIBATCH[kind](width)
