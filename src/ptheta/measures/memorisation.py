"""Detection of copies: whether samples are nearer to a set of real images than new real images are,
by distances in pixels and angles of features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.nearest import BLOCK, Nearest, search
from ptheta.measures.results import Draws

NEAR = 0.01  # a sample counts as a copy if as near as this fraction of new images
BOOTSTRAP = 400  # number of bootstrap replicates


def nearest(x: Tensor, train: Dataset, chunk: int = BLOCK) -> tuple[np.ndarray, Tensor]:
    """The nearest image in `train` of each image of x: indices (B,), and distances (B,), as in
    `neighbours`."""
    found = neighbours([x], train, 1, chunk=chunk)
    return found.places[:, 0].numpy(), found.distances[:, 0]


def neighbours(
    moved: Sequence[Tensor],
    train: Dataset,
    k: int,
    *,
    but: Tensor | None = None,
    chunk: int = BLOCK,
) -> Nearest:
    """The k nearest examples in `train` of each example.

    moved: batches of N examples each, the same examples transformed; the nearest one counts
    but: for each of N an index of `train` to exclude, int64 (N,)
    The distance is the root mean square over pixels, in pixel values 0..255; for vectors over the
    dimensions in network scale. The data set is read a chunk at a time, with its fixed binarisation
    if it has 2 levels.

    Raises PthetaError if the images differ in size or channels.
    """
    train, spec = train.with_fixed_binarisation(), train.spec
    shape = moved[0].shape[1:]
    if shape != spec.shape:
        raise PthetaError(
            f"images of {tuple(shape)} have no distance to the {spec} of {train.name}: convert "
            "both to the same size and channels"
        )

    def rows(at: slice | Tensor) -> Tensor:
        return spec.compared(train.batch(at if isinstance(at, slice) else at.numpy()).x)

    flat = [spec.compared(x) for x in moved]
    k, what = min(k, len(train)), f"nearest real {train.examples}"
    found = search(flat, rows, len(train), k, but=but, block=chunk, what=what)
    return Nearest(found.distances / math.sqrt(flat[0].shape[1]), found.places)


def cosine_distance(x: Tensor, train: Tensor, chunk: int = 2000) -> Tensor:
    """For each of x (N, d) the minimum of 1 - |cos| to the features of train (M, d): (N,)."""
    a = torch.nn.functional.normalize(x.float(), dim=1)
    best = torch.zeros(len(a))
    for part in train.split(chunk):
        b = torch.nn.functional.normalize(part.float(), dim=1)
        best = torch.maximum(best, (a @ b.T).abs().max(1).values)
    return (1 - best).clamp(min=0)


def ratio_of_medians(fake: Tensor, held_out: Tensor) -> tuple[float, float]:
    """(median distance fake -> train) / (median distance held-out -> train), and its error.

    Near 1: samples are as far from the training images as new real images. Far below 1: training
    images are copied. The error is by a bootstrap of both medians.
    """
    generator = torch.Generator().manual_seed(0)

    def again(d: Tensor) -> Tensor:
        return d[torch.randint(len(d), (200, len(d)), generator=generator)].median(1).values

    floor = held_out.median().clamp(min=1e-12)
    ratios = again(fake) / again(held_out).clamp(min=1e-12)
    return (fake.median() / floor).item(), ratios.std().item()


def copied_share(fake: Tensor, held_out: Tensor) -> tuple[float, float]:
    """Fraction of samples as near to a training image as only 1% of new real images; its error.

    fake, held_out: distances to the training set, (N,) and (M,). About 0.01 without copies. If a
    tenth of the samples are copies, this is 0.1, while the ratio of medians hardly changes.
    """
    near = fake <= held_out.double().quantile(NEAR)
    share = near.double().mean().item()
    return share, (share * (1 - share) / len(fake)) ** 0.5


def share_draws(fake: Tensor, held_out: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """`copied_share` on `BOOTSTRAP` resampled sets of samples and new images, and the same for
    these new images themselves (0.01, or more if many are equally near): float64 (B,) each."""
    generator = torch.Generator().manual_seed(seed)
    mine, theirs = (
        d.double()[torch.randint(len(d), (BOOTSTRAP, len(d)), generator=generator)]
        for d in (fake, held_out)
    )
    least = theirs.quantile(NEAR, 1, keepdim=True)
    return (mine <= least).double().mean(1), (theirs <= least).double().mean(1)


def copying_test(fake: Tensor, held_out: Tensor) -> float:
    """z of the Mann-Whitney test that samples are nearer to a set of images than new real images.

    fake (N,), held_out (M,): distances to the nearest image of the set: the training set, with
    held-out images as the new ones, or the test set, with training images. About N(0, 1) for equal
    distributions; far below 0: copies (z < -3 is significant); far above 0: away from the data.
    Meehan et al. 2020, section 3 (arXiv:2004.05675), with the correction for ties.
    """
    n, m = len(fake), len(held_out)
    if min(n, m) < 2:
        raise PthetaError(f"{min(n, m)} image is too few to test for copies: give at least two")
    both = torch.cat([fake, held_out]).double()
    _, place, counts = both.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    ranks = (ends - (counts - 1).double() / 2)[place]  # mid-ranks
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    ties = ((counts.double() ** 3 - counts).sum() / (total * (total - 1))).item()
    deviation = math.sqrt(n * m / 12 * (total + 1 - ties))
    return ((u - n * m / 2) / deviation).item() if deviation else 0.0


def memorisation_factor(fake: Tensor, held_out: Tensor) -> float:
    """The factor of a Frechet distance that penalises copies: 1, or more for samples that copy.

    fake, held_out: `cosine_distance` to the set that may have been copied. Bai et al. 2021
    (arXiv:2106.03062) divide by the mean distance s if it is below a threshold. Their threshold is
    specific to an extractor, so half the mean distance of held-out images is used instead:
    max(1, half / s).
    """
    return _factor(fake.double().mean(), held_out.double().mean()).item()


def factor_draws(
    sides: Sequence[tuple[Tensor, Tensor, Groups | None]], fakes: Groups
) -> Draws | None:
    """The largest `memorisation_factor` of several real sets, without each group of fakes and of
    held-out images; None if a group contains all images.

    sides: the two distances of each set, and the groups of its held-out images; None for images
        that are never left out
    """
    grouped = [groups for *_, groups in sides if groups is not None]
    if not all(g.count and g.left.min() > 0 for g in (fakes, *grouped)):
        return None
    fake, real = [], []
    for own, held, groups in sides:
        s, t = own.double().mean(), held.double().mean()
        fake.append(_factor(fakes.means(own), t))
        real.append(_factor(s, t if groups is None else groups.means(held)))
    return draws(_largest(fake), _largest(real) if grouped else None)


def _largest(each: Sequence[Tensor]) -> Tensor:
    """The maximum by group, for values by group or a common one."""
    return torch.stack(torch.broadcast_tensors(*each)).amax(0)


def _factor(own: Tensor, held: Tensor) -> Tensor:
    return (held / 2 / own.clamp(min=1e-6)).clamp(min=1)
