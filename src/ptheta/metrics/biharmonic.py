"""Inpainting by the smoothest surface through the known pixels, without training images.

Minimises the bending energy u_xx^2 + 2 u_xy^2 + u_yy^2, summed over all second differences within
the image. In the interior, its minimum solves the biharmonic equation (Damelin & Hoang 2018,
Journal of Mathematical Imaging and Vision 60:1027); the boundary is free, so that linear functions
are reproduced.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.sparse import csc_matrix, diags, eye, kron, vstack
from scipy.sparse.linalg import splu
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import images_of

LEAST = 1e-7  # weight of the distance to the mean of the known pixels: makes the minimum unique


class SmoothestSurface(nn.Module):
    """The surface of least bending energy through the known pixels, channel by channel."""

    condition = None

    def __init__(self, train: Dataset) -> None:
        super().__init__()
        self.spec = images_of(train).spec

    def varied(self) -> bool:
        return False

    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        done = x.cpu().double().numpy()
        there = known.expand(x.shape).cpu().numpy()
        for image, known_here in zip(done, there, strict=True):
            for plane, seen in zip(image, known_here, strict=True):
                if not seen.all():
                    plane[~seen] = smoothest(plane, seen)
        made = torch.from_numpy(done).round().clamp(0, 255).to(torch.uint8).to(x.device)
        return torch.where(known, x, self.spec.rounded(made))


def smoothest(plane: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The values (N,) of the unknown pixels of a plane (H, W). seen: which pixels are known"""
    u, k = (~seen).ravel(), seen.ravel()
    values = plane.ravel()[k]
    middle = values.mean() if len(values) else 127.5
    energy = _bending(*plane.shape)
    inner = energy[u][:, u] + LEAST * eye(int(u.sum()), format="csc")
    # relative to the mean, which the bending energy leaves free
    right = -(energy[u][:, k] @ (values - middle))
    return np.asarray(splu(inner.tocsc()).solve(right)) + middle


@lru_cache(maxsize=4)
def _bending(h: int, w: int) -> csc_matrix:
    """The quadratic form of the bending energy of planes (H, W): (H W, H W)."""
    down, across = _differences(h), _differences(w)
    parts = [
        kron(_differences(h - 1) @ down, eye(w)),
        kron(eye(h), _differences(w - 1) @ across),
        np.sqrt(2) * kron(down, across),
    ]
    rows = vstack([part for part in parts if part.shape[0]] or [csc_matrix((1, h * w))])
    return csc_matrix(rows.T @ rows)


def _differences(n: int) -> csc_matrix:
    """First differences of n numbers: (n - 1, n)."""
    if n < 2:
        return csc_matrix((0, max(n, 0)))
    return csc_matrix(diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n)))
