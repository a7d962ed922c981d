"""Features learned without labels: assignments of whitened patches to k-means clusters."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.extractors.gradients import brought

SIDE = 6  # pixels of a patch, across and down
STEP = 2  # pixels from one patch to the next
KINDS = 200  # number of patch clusters
REGIONS = 3  # across and down, in each of which they are counted
LEARNED_FROM = 2000  # images
PATCHES = 60_000  # of theirs
ROUNDS = 10  # of k-means
CONTRAST = 0.01  # added to the variance of a patch
WHITENING = 0.1  # added to the variance of each direction of patches


class Patches:
    """`patches`: how near an image's patches are to each of `KINDS` means, in each region.

    Coates, Lee & Ng 2011 (AISTATS): patches of contrast 1 are whitened and grouped by k-means; a
    patch is the share by which it is nearer to a mean than to the average mean (the triangle
    activation), summed over regions. The root evens out what is common.

    shift, whiten: of a patch (p,), (p, p); means: (K, p)
    """

    name, classes = "patches", 0

    def __init__(self, shift: Tensor, whiten: Tensor, means: Tensor) -> None:
        self.shift, self.whiten, self.means = shift, whiten, means
        known = torch.cat([shift[None], whiten, means]).numpy().tobytes()
        self.digest = hashlib.sha256(known).hexdigest()[:12]
        self.reads = f"patches of {SIDE}x{SIDE}, {len(means)} kinds in {REGIONS}x{REGIONS} regions"

    @classmethod
    def of(cls, data: Dataset) -> Patches:
        """Learned from images without a look at labels; always the same of the same images."""
        generator = torch.Generator().manual_seed(0)
        some = data.shuffled(0).subset(slice(0, LEARNED_FROM))
        found = []
        for start in range(0, len(some), 100):
            part = _patches(some.batch(slice(start, min(start + 100, len(some)))).x).flatten(0, 1)
            rows = torch.randperm(len(part), generator=generator)
            found.append(part[rows[: -(-PATCHES * 100 // LEARNED_FROM)]])
        p = torch.cat(found)
        p = p[p.abs().sum(1) > 1e-3] if bool((p.abs().sum(1) > 1e-3).any()) else p
        shift = p.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((p - shift).T))
        whiten = vectors @ torch.diag((values.clamp(min=0) + WHITENING).rsqrt()) @ vectors.T
        return cls(shift, whiten, _k_means((p - shift) @ whiten, generator))

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        p = _patches(x)
        side = _places(brought(x[:1]))
        distance = torch.cdist((p - self.shift) @ self.whiten, self.means)
        near = (distance.mean(2, keepdim=True) - distance).clamp(min=0)
        maps = near.transpose(1, 2).unflatten(2, side)
        return F.adaptive_avg_pool2d(maps, REGIONS).flatten(1).sqrt(), None


def _places(u: Tensor) -> tuple[int, int]:
    """How many patches there are, down and across."""
    down, across = ((max(n, SIDE) - SIDE) // STEP + 1 for n in u.shape[2:])
    return down, across


def _patches(x: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> the patches of each image, of contrast 1: (B, places, p)."""
    u = brought(x)
    lacking = [max(0, SIDE - n) for n in u.shape[2:]]
    u = F.pad(u, (0, lacking[1], 0, lacking[0]), mode="replicate") if any(lacking) else u
    p = F.unfold(u, SIDE, stride=STEP).transpose(1, 2)
    centred = p - p.mean(2, keepdim=True)
    return centred / (centred.square().mean(2, keepdim=True) + CONTRAST).sqrt()


def _k_means(p: Tensor, generator: torch.Generator) -> Tensor:
    """The means of at most `KINDS` groups of points (N, p)."""
    means = p[torch.randperm(len(p), generator=generator)[:KINDS]].clone()
    for _ in range(ROUNDS):
        group = torch.cat([torch.cdist(part, means).argmin(1) for part in p.split(10_000)])
        total = torch.zeros_like(means).index_add_(0, group, p)
        count = torch.bincount(group, minlength=len(means))[:, None]
        means = torch.where(count > 0, total / count.clamp(min=1), means)
    return means
