"""LSTM layers over the pixels of a map with states independent of later pixels (van den Oord et al.
2016, arXiv:1601.06759, sections 3.1 and 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.nets.diagonal import diagonal_bilstm
from ptheta.nets.masked import MaskedConv2d, RowConv2d


def lstm(gates: Tensor, c: Tensor | float) -> tuple[Tensor, Tensor]:
    """gates (..., 4 h): input, forget, output, candidate; c (..., h) -> the next h and c."""
    i, f, o = gates[..., : gates.shape[-1] // 4 * 3].sigmoid().chunk(3, -1)
    c = i * gates[..., gates.shape[-1] // 4 * 3 :].tanh() + f * c
    return o * c.tanh(), c


class RowLayer(nn.Module):
    """A row of LSTM cells at a time; each sees three states (or `kernel`) of the row above."""

    def __init__(self, features: int, kernel: int, colours: int) -> None:
        super().__init__()
        self.features = features
        self.input = RowConv2d(2 * features, 4 * features, kernel, "B", colours, parts=4)
        self.state = nn.Conv1d(features, 4 * features, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 h, H, W) -> (B, h, H, W)"""
        rows = self.input(x).permute(2, 0, 3, 1).unbind()  # H of (B, W, 4 h)
        h: Tensor | None = None
        c: Tensor | float = 0.0
        outs = []
        for gates in rows:
            if h is not None:
                gates = gates + self.state(h.transpose(1, 2)).transpose(1, 2)
            h, c = lstm(gates, c)
            outs.append(h)
        return torch.stack(outs, 1).permute(0, 3, 1, 2)


class DiagonalLayer(nn.Module):
    """Both directions; the mirrored one is moved down by a row, so that it shows no later pixel."""

    def __init__(self, features: int, colours: int) -> None:
        super().__init__()
        self.features = features
        self.input = MaskedConv2d(2 * features, 8 * features, 1, "B", colours, parts=8)
        scale = (2 * features) ** -0.5
        self.state = nn.Parameter(torch.randn(2, 2 * features, 4 * features) * scale)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 h, H, W) -> (B, h, H, W)"""
        weight = self.input.kernel()[:, :, 0, 0].t()  # (2 h, 8 h)
        w = torch.stack(weight.chunk(2, 1))
        return diagonal_bilstm(x, w, self.input.bias.view(2, -1), self.state)
