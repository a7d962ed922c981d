"""A masked network (arXiv:1502.03509) walked through in its order, each unit computed once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from ptheta.nets.elements import Span
from ptheta.nets.made_masks import Masks


class Units:
    """The units sorted by degree: each is computed as soon as all that it sees is known.

    masks: who sees whom; inputs, outputs: numbers of each element
    weights: masked, of each layer; biases: of each layer, (units,) or (n, units)
    linear: weights of a path from the inputs to the outputs, (outputs, inputs), masked
    """

    def __init__(
        self,
        masks: Masks,
        inputs: Span,
        outputs: Span,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        n: int,
        linear: Tensor | None = None,
    ) -> None:
        self.by_rank = torch.argsort(masks.ranks).tolist()  # elements
        counts = [inputs.counts[d] for d in self.by_rank]
        every = torch.arange(inputs.total, device=weights[0].device)
        self.known = list(accumulate(counts, initial=0))  # inputs of the elements of lower rank
        source = rows = torch.cat([every[inputs.of(d)] for d in self.by_rank])
        self.layers, self.values = [], [weights[0].new_zeros(n, len(source))]
        for degrees, weight, bias in zip(masks.degrees, weights, biases, strict=False):
            by_degree, order = torch.sort(degrees.to(source.device), stable=True)
            weight = weight[order][:, source].contiguous()
            ends = torch.bincount(by_degree, minlength=len(masks.ranks)).cumsum(0).tolist()
            self.layers.append((weight, bias.expand(n, -1)[:, order].contiguous(), ends))
            self.values.append(weight.new_zeros(n, len(order)))
            source = order
        own = [outputs.of(d) for d in self.by_rank]
        bias, last = biases[-1], weights[-1][:, source]
        self.last = [(bias[..., at].contiguous(), last[at]) for at in own]
        self.linear: list[Tensor] = []
        if linear is not None:
            self.linear = [linear[:, rows][at] for at in own]
        self.ready = -1  # degrees done

    def put(self, rank: int, seen: Tensor, elements: int = 1) -> None:
        """What the network sees of the element of this rank, and of the next where there are more:
        (n, inputs of them)"""
        self.values[0][:, self.known[rank] : self.known[rank + elements]] = seen

    def output(self, rank: int) -> Tensor:
        """(n, outputs of the element of this rank), once all of lower rank are put. Called for
        growing ranks."""
        for degree in range(self.ready + 1, rank + 1):
            self._compute(degree)
        self.ready = max(self.ready, rank)
        # without hidden layers the inputs are the top
        seen = self.layers[-1][2][rank] if self.layers else self.known[rank]
        bias, last = self.last[rank]
        out = torch.addmm(bias, self.values[-1][:, :seen], last[:, :seen].t())
        if self.linear:
            known = self.known[rank]
            out.addmm_(self.values[0][:, :known], self.linear[rank][:, :known].t())
        return out

    def _compute(self, degree: int) -> None:
        """The units of this degree, layer after layer: all that they see is known."""
        seen = self.known[degree]
        for k, (weight, bias, ends) in enumerate(self.layers):
            start, end = ends[degree - 1] if degree else 0, ends[degree]
            if end > start:
                torch.addmm(
                    bias[:, start:end],
                    self.values[k][:, :seen],
                    weight[start:end, :seen].t(),
                    out=self.values[k + 1][:, start:end],
                ).relu_()
            seen = end
