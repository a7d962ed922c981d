"""Masked autoregressive transforms (Papamakarios et al. 2017, arXiv:1705.07057): dimension d is
transformed with parameters that a masked network computes from the earlier ones."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute.precise import precise
from ptheta.nets.elements import Span
from ptheta.nets.flows.conditioners import quiet
from ptheta.nets.flows.laws import Law
from ptheta.nets.flows.transform import Image, Transform, summed
from ptheta.nets.made_masks import Masks
from ptheta.nets.made_units import Units
from ptheta.nets.modules import Modules
from ptheta.specs import full


class Autoregressive(Transform):
    """z_d = law(x_d; net(x_1 .. x_{d-1})) in the order of the numbers, or the other way round where
    it is reversed. One pass gives all z; x is found number by number, each unit computed once.

    number: of the masks, which decides the degrees of the hidden units
    """

    def __init__(
        self, dims: int, hidden: tuple[int, ...], law: Law, number: int, *, reverse: bool
    ) -> None:
        super().__init__()
        self.dims, self.law = dims, law
        self.masks = Masks(dims, 1, hidden, number, reverse=reverse)
        sizes = [dims, *hidden, dims * law.numbers]
        self.layers = Modules(nn.Linear(a, b) for a, b in pairwise(sizes))
        quiet(self.layers[-1])
        self.kept: list[Tensor] = []

    def _weights(self) -> list[Tensor]:
        device = self.layers[0].weight.device
        if not self.kept or self.kept[0].device != device:
            masks = self.masks.layers(device)
            masks[-1] = masks[-1].repeat_interleave(self.law.numbers, 0)
            self.kept = masks
        layers = zip(self.layers, self.kept, strict=True)
        return [layer.weight * mask.to(layer.weight.dtype) for layer, mask in layers]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Image:
        h = x
        for k, (layer, weight) in enumerate(zip(self.layers, self._weights(), strict=True)):
            h = F.linear(h if k == 0 else h.relu(), weight, layer.bias)
        said = full(h).unflatten(1, (self.dims, self.law.numbers)).transpose(1, 2)
        z, log_d = self.law.forward(x, said)
        return z, summed(log_d)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        weights = [full(w.detach()) for w in self._weights()]
        biases = [full(layer.bias.detach()) for layer in self.layers]
        each, several = Span((1,) * self.dims), Span((self.law.numbers,) * self.dims)
        with torch.no_grad(), precise(z.device):
            units = Units(self.masks, each, several, weights, biases, len(z))
            for rank, z_d in enumerate(z[:, units.by_rank].split(1, 1)):
                units.put(rank, self.law.inverse(z_d, units.output(rank)[:, :, None]))
        return units.values[0][:, self.masks.ranks.to(z.device)]
