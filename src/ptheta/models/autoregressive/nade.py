"""Neural autoregressive distribution estimator (Larochelle & Murray 2011; arXiv:1605.02226)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, option
from ptheta.distributions.base import ElementDistribution
from ptheta.models.autoregressive.base import Autoregressive, LikelihoodConfig
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.base import whole
from ptheta.models.recipes import Recipes
from ptheta.nets import sparse_prefix
from ptheta.nets.activations import ACTIVATIONS, ActivationName
from ptheta.nets.condition import embedding
from ptheta.nets.elements import elements
from ptheta.nets.flat import flatten
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@dataclass(frozen=True)
class NADEConfig(LikelihoodConfig):
    hidden: Count = option(500, "hidden units")
    activation: ActivationName = option("sigmoid", "of the hidden units")
    block: Count = option(28, "sub-pixels whose hidden units are computed together")


class NADE(Autoregressive):
    """h_d = f(c + W[:, <d] x_<d), and x_d's parameters are b_d + V_d h_d.

    On the columns of a vector it is RNADE (Uria et al. 2013, arXiv:1306.0186).
    """

    specs = (ImageSpec, VectorSpec)
    lower: Tensor

    def __init__(
        self, spec: DataSpec, config: NADEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        e = self.elements = elements(spec, config.likelihood, config.components)
        chosen = ACTIVATIONS[config.activation]
        self.activation = chosen.function
        inputs, outputs, h = e.inputs.total, e.outputs.total, config.hidden
        self.by_block = isinstance(spec, ImageSpec)
        d, p = (spec.dims, outputs // spec.dims) if self.by_block else (outputs, 1)
        self.w = nn.Parameter(torch.randn(inputs, h) * inputs**-0.5)
        self.c = nn.Parameter(torch.zeros(h))
        self.v = nn.Parameter(torch.randn(d, h, p) * h**-0.5)
        self.b = nn.Parameter(torch.zeros(d, p))
        s = min(config.block, inputs)
        self.register_buffer("lower", torch.ones(s, s).tril(-1)[:, None], persistent=False)
        self.label = embedding(condition, h, config)
        binary = isinstance(spec, ImageSpec) and spec.levels == 2 and p == 1
        self.sparse = binary and chosen.by_hand is not None

    def start(self, n: int, condition: Condition | None) -> Tensor:
        """The hidden units' input before any pixel: (n, H)."""
        asked = self.asked(condition)
        if self.label is None or asked is None:
            return self.c.expand(n, -1)
        more: Tensor = self.label(asked)
        return self.c + more

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> ElementDistribution:
        """Binary pixels: the hidden units once after each pixel that is on (`sparse_prefix`)."""
        x = whole(self.spec, x)
        first = self.start(len(x), condition)
        if self.sparse and sparse_prefix.available(x.device):
            v, name = self.v.squeeze(2), self.config.activation
            logits = sparse_prefix.sparse_prefix(flatten(x) != 0, first, self.w, v, name)
            return self.elements.distribution(logits + self.b.squeeze(1))
        row = self.elements.row(x)
        outputs = self._by_block if self.by_block else self._by_element
        return self.elements.distribution(outputs(row, first))

    def _by_block(self, row: Tensor, base: Tensor) -> Tensor:
        """The parameters of sub-pixels, (B, D P), a block of s at a time: with M[d, b, k] =
        x[b, k] for k < d, else 0, their hidden inputs are one product M W, added to what the
        earlier blocks gave, at first `base`."""
        outs = []
        for start in range(0, row.shape[1], len(self.lower)):
            part = row[:, start : start + len(self.lower)]  # (B, s)
            s = part.shape[1]
            rows = slice(start, start + s)
            m = (part * self.lower[:s, :, :s]).flatten(0, 1)  # (s B, s)
            a = (m @ self.w[rows]).view(s, len(row), -1) + base  # (s, B, H)
            outs.append(torch.baddbmm(self.b[rows, None], self.activation(a), self.v[rows]))
            base = torch.addmm(base, part, self.w[rows])
        return torch.cat(outs).transpose(0, 1).flatten(1)

    def _by_element(self, row: Tensor, a: Tensor) -> Tensor:
        """The parameters of columns, which have as many as they need: (B, outputs)."""
        outs = []
        for d in range(self.spec.dims):
            b, v = self.readout(d, self.b, self.v)
            outs.append(torch.addmm(b, self.activation(a), v))
            own = self.elements.inputs.of(d)
            a = torch.addmm(a, row[:, own], self.w[own])
        return torch.cat(outs, 1)

    def readout(self, d: int, b: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """What of b and v gives the parameters of element d: (p,) and (H, p)."""
        if self.by_block:
            return b[d], v[d]
        own = self.elements.outputs.of(d)
        return b[own, 0], v[own, :, 0].t()

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return NADEStepper(self, n, condition)


class NADEStepper(Stepper):
    """The hidden input is carried from sub-pixel to sub-pixel: O(H) each, O(D H) an image."""

    def __init__(self, model: NADE, n: int, condition: Condition | None) -> None:
        self.model, self.elements = model, model.elements
        self.w, self.v, self.b = (full(q.detach()) for q in (model.w, model.v, model.b))
        self.a = full(model.start(n, condition).detach()).clone()
        self.added = 0  # elements

    def add(self, upto: int, pixel: Tensor) -> None:
        e = self.elements
        while self.added < upto:
            c, weight = self.added % e.colours, self.w[e.inputs.of(self.added)]
            seen = e.part(self.added, pixel[:, c : c + 1]).to(weight.dtype)
            if len(weight) == 1:
                self.a.addr_(seen[:, 0], weight[0])
            else:
                self.a.addmm_(seen, weight)
            self.added += 1

    def conditional(self, t: int, c: int, pixel: Tensor) -> ElementDistribution:
        d = t * self.elements.colours + c
        self.add(d, pixel)
        b, v = self.model.readout(d, self.b, self.v)
        return self.elements.one(d, torch.addmm(b, self.model.activation(self.a), v))

    def observe(self, t: int, pixel: Tensor) -> None:
        self.add((t + 1) * self.elements.colours, pixel)


RECIPES: Recipes = {
    "default": {
        "about": "500 sigmoid units",
        "model": {},
        "train": {"batch_size": 64, "epochs": 50.0, "schedule": "cosine"},
    },
    "larochelle-2011": {
        "about": "the sizes of NADE's 88.33 nats on static MNIST of 50,000; 88.05 +- 0.23 here",
        "model": {"hidden": 500, "lr": 0.02},
        "train": {"batch_size": 100, "epochs": 8.0, "schedule": "cosine", "ema": 0.999},
        "data": {"levels": 2},
    },
    "relu": {
        "about": "the same with rectified units: 86.62 +- 0.23 nats on static MNIST of 59,500",
        "model": {"hidden": 500, "activation": "relu", "lr": 0.004},
        "train": {"batch_size": 100, "epochs": 7.5, "schedule": "cosine", "ema": 0.999},
        "data": {"levels": 2},
    },
    "points": {
        "about": "256 rectified units, mixtures of 10: points in a minute on one core",
        "model": {"hidden": 256, "activation": "relu", "lr": 5e-3},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine"},
    },
}
