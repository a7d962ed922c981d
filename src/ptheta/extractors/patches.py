"""Unsupervised features: assignments of whitened patches to k-means clusters."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.data.dataset import Dataset
from ptheta.extractors.gradients import brought

SIDE = 6  # side of a patch in pixels
STEP = 2  # stride in pixels
KINDS = 200  # number of patch clusters
REGIONS = 3  # regions per side for pooling
LEARNED_FROM = 2000  # images to learn from
PATCHES = 60_000  # patches to learn from
ROUNDS = 10  # iterations of k-means
CONTRAST = 0.01  # added to the variance of a patch
WHITENING = 0.1  # added to the variance of each direction of patches


class Patches:
    """`patches`: the proximity of an image's patches to each of `KINDS` cluster means, by region.

    Coates, Lee & Ng 2011 (AISTATS): patches normalised to contrast 1 are whitened and clustered by
    k-means; the activation of a mean is by how much a patch is nearer to it than to the means on
    average (triangle activation), summed over regions. A square root reduces the weight of frequent
    patches.

    shift, whiten: whitening of a patch, (p,) and (p, p); means: (K, p)
    """

    name, classes = "patches", 0

    def __init__(self, shift: Tensor, whiten: Tensor, means: Tensor) -> None:
        self.shift, self.whiten, self.means = shift, whiten, means
        known = torch.cat([shift[None], whiten, means]).numpy().tobytes()
        self.digest = hashlib.sha256(known).hexdigest()[:12]
        self.reads = f"patches of {SIDE}x{SIDE}, {len(means)} kinds in {REGIONS}x{REGIONS} regions"

    @classmethod
    def of(cls, data: Dataset) -> Patches:
        """Learn from images without labels; deterministic."""
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
        shift, whiten, means = (
            on(known, x.device) for known in (self.shift, self.whiten, self.means)
        )
        distance = torch.cdist((p - shift) @ whiten, means)
        near = (distance.mean(2, keepdim=True) - distance).clamp(min=0)
        maps = near.transpose(1, 2).unflatten(2, side)
        return F.adaptive_avg_pool2d(maps, REGIONS).flatten(1).sqrt(), None


def _places(u: Tensor) -> tuple[int, int]:
    """Number of patches, vertically and horizontally."""
    down, across = ((max(n, SIDE) - SIDE) // STEP + 1 for n in u.shape[2:])
    return down, across


def _patches(x: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> the contrast-normalised patches of each image: (B, places, p)."""
    u = brought(x)
    lacking = [max(0, SIDE - n) for n in u.shape[2:]]
    u = F.pad(u, (0, lacking[1], 0, lacking[0]), mode="replicate") if any(lacking) else u
    p = F.unfold(u, SIDE, stride=STEP).transpose(1, 2)
    centred = p - p.mean(2, keepdim=True)
    return centred / (centred.square().mean(2, keepdim=True) + CONTRAST).sqrt()


def _k_means(p: Tensor, generator: torch.Generator) -> Tensor:
    """The means of at most `KINDS` clusters of points (N, p)."""
    means = p[torch.randperm(len(p), generator=generator)[:KINDS]].clone()
    for _ in range(ROUNDS):
        group = torch.cat([torch.cdist(part, means).argmin(1) for part in p.split(10_000)])
        total = torch.zeros_like(means).index_add_(0, group, p)
        count = torch.bincount(group, minlength=len(means))[:, None]
        means = torch.where(count > 0, total / count.clamp(min=1), means)
    return means
