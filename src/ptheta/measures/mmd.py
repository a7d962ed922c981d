"""Maximum mean discrepancy of points, with a Gaussian kernel: Gretton et al. 2012 (JMLR 13:723)."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups
from ptheta.measures.kernel import Kernel, gaussian, kernel_draws, within_groups
from ptheta.measures.points import check_pair, check_points, some
from ptheta.measures.results import Draws

PERMUTATIONS = 200
MOST = 2000  # maximum points of either side for permutations
OF_MEDIAN = 1000  # maximum points for the median distance


def median_distance(x: Tensor) -> float:
    """The median distance of two points of x (N, D), the usual bandwidth.

    Raises PthetaError if it is 0, since half of all points coincide.
    """
    median = torch.pdist(some(check_points(x, "points"), OF_MEDIAN)).median().item()
    if not median:
        raise PthetaError("half of all points coincide, so no bandwidth can be chosen: give one")
    return median


def mmd_draws(x: Tensor, y: Tensor, bandwidth: float) -> tuple[float, Draws | None]:
    """Unbiased MMD^2 of samples (N, D) and real points (M, D), and its leave-one-group-out values;
    None for too few points.

    bandwidth: of the Gaussian kernel, in the unit of the points; only values with equal bandwidth
        are comparable
    """
    x, y = check_pair(x, y)
    if not bandwidth > 0:
        raise PthetaError(f"bandwidth = {bandwidth}: give a number above 0")
    sides = Groups(len(x), "fake"), Groups(len(y), "real")
    return kernel_draws(x, y, *sides, kernel=gaussian(bandwidth))


def permutation_p(
    x: Tensor, y: Tensor, kernel: Kernel, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """The permutation p-value of MMD^2 for the hypothesis that x and y have the same distribution;
    exact for any number of points if the kernel does not depend on the assignment of points. At
    most `MOST` points of either side are used.
    """
    x, y = check_pair(x, y)
    x, y = some(x, MOST, seed), some(y, MOST, seed + 1)
    both, n = torch.cat([x, y]), len(x)
    generator = torch.Generator().manual_seed(seed)
    member = torch.zeros(len(both), permutations + 1, dtype=torch.float64)
    member[:n, 0] = 1  # the observed assignment
    for i in range(1, permutations + 1):
        member[torch.randperm(len(both), generator=generator)[:n], i] = 1
    found = _mmd_of_parts(both, member, kernel)
    least = found[0] - 1e-12 * found[0].abs()
    return int((found >= least).sum()) / (permutations + 1)


def _mmd_of_parts(z: Tensor, member: Tensor, kernel: Kernel) -> Tensor:
    """Unbiased MMD^2 between each subset of z (N, D), given by a column of member (N, B), and the
    rest: (B,)."""
    ones = torch.ones(len(z), 1, dtype=torch.float64)
    sums = within_groups(z, torch.cat([ones, member], 1), kernel)
    every, within = sums[:, 0], (member * sums[:, 1:]).sum(0)
    of_part = member.T @ every  # pairs of a point of the subset with any other
    across, rest = of_part - within, every.sum() - 2 * of_part + within
    n = member.sum(0)
    m = len(z) - n
    return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)
