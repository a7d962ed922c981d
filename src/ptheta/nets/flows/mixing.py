"""Invertible 1x1 convolutions (Kingma & Dhariwal 2018, section 3.2, arXiv:1807.03039)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.compute.precise import precise
from ptheta.nets.flows.laws import bounded
from ptheta.nets.flows.transform import Image, Transform
from ptheta.specs import full

MOST = 4.0  # of |log s| of a number of the diagonal


class Mixing(Transform):
    """y = W x at each place, or of a vector; W = P L (U + diag(s)): log |det W| = sum log |s|.

    P is fixed; L is unit lower and U strictly upper triangular. W starts as a random rotation.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        shrunk = (diagonal.abs().log() / MOST).clamp(-0.99, 0.99)
        self.raw_scale = nn.Parameter(MOST * torch.atanh(shrunk))
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())

    def _weight(self) -> tuple[Tensor, Tensor]:
        """W and log |s|"""
        log_s = bounded(full(self.raw_scale), MOST)
        lower = full(self.lower).tril(-1)
        lower = lower + torch.eye(self.channels, dtype=lower.dtype, device=lower.device)
        diagonal = (full(self.sign) * log_s.exp()).diag()
        return full(self.permutation) @ lower @ (full(self.upper).triu(1) + diagonal), log_s

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        with precise(x.device):  # in half W would not be inverted
            weight, log_s = self._weight()
            places = x[0, 0].numel()
            return _applied(weight, x), (log_s.sum() * places).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with precise(z.device):
            weight, _ = self._weight()
            wide = weight if weight.device.type == "mps" else weight.double()
            return _applied(torch.linalg.inv(wide).to(weight.dtype), z)


def _applied(weight: Tensor, x: Tensor) -> Tensor:
    return (weight @ x.flatten(2)).view_as(x) if x.ndim > 2 else x @ weight.t()
