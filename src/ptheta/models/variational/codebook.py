"""A codebook: the vectors that a network's outputs are rounded to, and how they are learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.specs import full

SMALL = 1e-5  # added to each count, so that no code is divided by 0 (Laplace smoothing)


@dataclass(frozen=True)
class Seen:
    """What a step has assigned to codes, of the whole batch.

    z: what was rounded, (N, D); k: to which code, int64 (N,)
    """

    z: Tensor
    k: Tensor


class Codebook(nn.Module):
    """K vectors of D numbers.

    By moving averages (van den Oord et al. 2017, appendix A.1, arXiv:1711.00937): with n_k outputs
    of a batch assigned to code k, and their sum s_k,

        N_k <- decay N_k + (1 - decay) n_k,    m_k <- decay m_k + (1 - decay) s_k,
        e_k <- m_k / N_k

    where N_k is smoothed to (N_k + c) / (N + K c) N with N the sum of all and c = 1e-5. Or by
    gradients: then `vectors` is a parameter, and N_k alone is kept. A code whose N_k falls below
    `least` times the mean of all is dead: it takes the place of an output of the batch, drawn at
    random, and the mean count.

    The numbers of all processes are those of the whole batch, and so are the draws.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dims: int, *, decay: float, least: float, learned: bool) -> None:
        """learned: by gradients"""
        super().__init__()
        self.decay, self.least, self.learned = decay, least, learned
        start = torch.randn(size, dims) / dims**0.5
        if learned:
            self.vectors = nn.Parameter(start)
        else:
            self.register_buffer("vectors", start)
            self.register_buffer("sums", start.clone())
        self.register_buffer("counts", torch.ones(size))

    def nearest(self, z: Tensor) -> Tensor:
        """The number of the code that is nearest to each row: (N, D) -> int64 (N,)."""
        z, e = full(z), full(self.vectors.detach())
        # |z - e|^2 without the part that is the same for all codes
        return (e.square().sum(1) - 2 * z @ e.T).argmin(1)

    def start(self, z: Tensor) -> None:
        """Puts the codes where outputs (N, D) of the first batch are, drawn at random."""
        rows = torch.randint(len(z), (len(self.counts),), device=z.device)
        jitter = 1e-2 * z.std() * torch.randn_like(self.vectors)
        self._place(torch.ones_like(self.counts, dtype=torch.bool), z[rows] + jitter)

    def update(self, seen: Seen) -> Tensor:
        """Moves the codes by what a step has assigned to them; returns how many were dead: ()."""
        z = seen.z.to(self.counts.dtype)
        size = len(self.counts)
        n = torch.zeros_like(self.counts).index_add_(0, seen.k, torch.ones_like(z[:, 0]))
        self.counts.lerp_(n, 1 - self.decay)
        if not self.learned:
            s = torch.zeros_like(self.sums).index_add_(0, seen.k, z)
            self.sums.lerp_(s, 1 - self.decay)
            total = self.counts.sum()
            smoothed = (self.counts + SMALL) / (total + size * SMALL) * total
            self.vectors.copy_(self.sums / smoothed[:, None])
        # drawn in every step, so that the random stream does not depend on which codes are dead
        rows = torch.randint(len(z), (size,), device=z.device)
        dead = self.counts < self.least * self.counts.mean()
        self._place(dead, z[rows])
        return dead.sum()

    def _place(self, which: Tensor, at: Tensor) -> None:
        """Puts these codes, bool (K,), at rows of (K, D), with the mean count."""
        count = self.counts.mean()
        self.counts.copy_(torch.where(which, count, self.counts))
        vectors = torch.where(which[:, None], at.to(self.vectors), self.vectors)
        self.vectors.data.copy_(vectors)
        if not self.learned:
            self.sums.copy_(torch.where(which[:, None], vectors * count, self.sums))


def whole_of(z: Tensor, k: Tensor) -> Seen:
    """What all processes have assigned. z: (B, P, D), k: (B, P), of the examples here"""
    every = streams.whole(z.detach()), streams.whole(k)
    return Seen(every[0].flatten(0, 1), every[1].flatten())


def counted(k: Tensor, size: int) -> Tensor:
    """How often each code is used: int64 (K,). `bincount` on a GPU makes the host wait."""
    each = k.flatten()
    return each.new_zeros(size).scatter_add_(0, each, torch.ones_like(each))


def perplexity(k: Tensor, size: int) -> Tensor:
    """exp of the entropy of how often codes are used: from 1 to K."""
    p = counted(k, size).float() / k.numel()
    return (-torch.xlogy(p, p).sum()).exp()


def used(k: Tensor, size: int) -> Tensor:
    """The share of the codes that come at all."""
    return (counted(k, size) > 0).float().mean()
