"""Past translations for the discriminators (Shrivastava et al. 2017, section 2.3, arXiv:1612.07828,
in the way of Zhu et al. 2017, section 4, arXiv:1703.10593)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.compute import streams


class Drawn(NamedTuple):
    """Of the images that are here of a step's batch, (B, *shape).

    rated: these and past ones, each of the domain that was asked for; new: these
    domains: of each, int64 (B,)
    places: of the past image in the pool that is returned for each, int64 (B,); -1 for none
    """

    rated: Tensor
    new: Tensor
    domains: Tensor
    places: Tensor


class ImagePool(nn.Module):
    """Up to `size` past images of each domain, as buffers: they are in the checkpoints of a run.

    While it fills, the images of a step are kept and returned; from then on each of them is, with
    probability 1/2, returned itself, and else kept in the place of a past one, which is returned.
    Several processes keep the same images, of the whole batch.

    filled: how many there are of each domain, (K,); images: (K * size, *shape), domain by domain
    """

    filled: Tensor
    images: Tensor

    def __init__(self, size: int, domains: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("filled", torch.zeros(domains, dtype=torch.int64))
        self.register_buffer("images", torch.zeros(domains * size, *shape))

    def draw(self, new: Tensor, domains: Tensor) -> Drawn:
        """What the images of a step, new (B, *shape) of `domains` (B,), are rated as. Nothing is
        kept of them until `update`."""
        n, device = len(new), new.device
        swapped = streams.uniform(n, device=device) < 0.5
        swapped &= self.filled[domains] == self.size
        at = domains * self.size + streams.integers(0, self.size, n, device=device)
        past = self.images[at].to(new.dtype)
        rated = torch.where(swapped.view(-1, *(1 for _ in new.shape[1:])), past, new)
        return Drawn(rated, new, domains, at.where(swapped, -1))

    def update(self, drawn: Drawn) -> None:
        """Keeps the new images in the places of those that were returned for them, of several with
        one place the last; while the pool fills, in the empty places."""
        places, domains = (streams.whole(t).long() for t in (drawn.places, drawn.domains))
        for k in range(len(self.filled)):  # without a look at the numbers: the host would wait
            own = domains == k
            at = self.filled[k] + own.cumsum(0) - 1
            own &= at < self.size
            places = torch.where(own, k * self.size + at, places)
            self.filled[k] += own.sum()
        rows = torch.arange(len(places), device=places.device).where(places >= 0, -1)
        last = torch.full((len(self.images),), -1, device=places.device)
        last.scatter_reduce_(0, places.clamp(min=0), rows, "amax")
        # a row that is not kept writes as another does that is, or what is there already
        places = places.where(places >= 0, places.max().clamp(min=0))
        kept = last[places]
        new = streams.whole(drawn.new)[kept.clamp(min=0)].to(self.images.dtype)
        shape = (-1, *(1 for _ in new.shape[1:]))
        self.images[places] = torch.where(kept.view(shape) >= 0, new, self.images[places])
