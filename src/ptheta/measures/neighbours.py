"""Nearest training images, and what they say about memorisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.terminal.progress import watched


def nearest(x: Tensor, train: Dataset, chunk: int = 2000) -> tuple[np.ndarray, Tensor]:
    """For each image of x its nearest in `train`: positions (B,), and distances (B,).

    The distance is the root mean square over pixels, in pixel values 0..255. The data set is read
    a chunk at a time, with its fixed binarisation where it has 2 levels.

    Raises PthetaError where the images differ in size or channels.
    """
    train = train.with_fixed_binarisation()
    if x.shape[1:] != train.spec.shape:
        raise PthetaError(
            f"images of {tuple(x.shape[1:])} have no distance to the {train.spec} of {train.name}: "
            "bring both to the same size and channels"
        )
    flat = x.flatten(1).float()
    own = flat.square().sum(1, keepdim=True)
    best = torch.full((len(x),), torch.inf)
    where = torch.zeros(len(x), dtype=torch.long)
    for start in watched(range(0, len(train), chunk), "nearest real images"):
        part = train.batch(slice(start, min(start + chunk, len(train)))).x.flatten(1).float()
        squared = torch.addmm(own + part.square().sum(1), flat, part.T, alpha=-2)
        values, index = squared.min(1)
        closer = values < best
        best = torch.where(closer, values, best)
        where = torch.where(closer, index + start, where)
    distances = (best.clamp(min=0) / flat.shape[1]).sqrt()
    return where.numpy(), distances


def ratio_of_medians(fake: Tensor, held_out: Tensor) -> tuple[float, float]:
    """(median distance fake -> train) / (median distance held-out -> train), and its error.

    Near 1: samples are as far from the training images as new real images are. Far below 1: the
    training images are copied. The error is from the bootstrap of both medians.
    """
    generator = torch.Generator().manual_seed(0)

    def again(d: Tensor) -> Tensor:
        return d[torch.randint(len(d), (200, len(d)), generator=generator)].median(1).values

    floor = held_out.median().clamp(min=1e-12)
    ratios = again(fake) / again(held_out).clamp(min=1e-12)
    return (fake.median() / floor).item(), ratios.std().item()


def copied_share(fake: Tensor, held_out: Tensor) -> tuple[float, float]:
    """Share of samples as near to a training image as only 1% of new real images; its error.

    fake, held_out: distances to the training set, (N,) and (M,). About 0.01 without copies. Where a
    tenth of the samples are copies the ratio of medians hardly moves; this is then 0.1.
    """
    near = fake <= held_out.double().quantile(0.01)
    share = near.double().mean().item()
    return share, (share * (1 - share) / len(fake)) ** 0.5
