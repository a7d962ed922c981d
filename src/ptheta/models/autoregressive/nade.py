"""Neural autoregressive distribution estimator (Larochelle & Murray 2011; arXiv:1605.02226)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, option
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import Autoregressive, LikelihoodConfig, Stepper
from ptheta.models.recipes import Recipes
from ptheta.nets import sparse_prefix
from ptheta.nets.activations import ACTIVATIONS, ActivationName
from ptheta.nets.condition import embedding
from ptheta.nets.flat import flatten, scaled, unflatten
from ptheta.nets.heads import HeadOptions, head
from ptheta.specs import ImageSpec, full


@dataclass(frozen=True)
class NADEConfig(LikelihoodConfig):
    hidden: Count = option(500, "hidden units")
    activation: ActivationName = option("sigmoid", "of the hidden units")
    block: Count = option(28, "sub-pixels whose hidden units are computed together")


class NADE(Autoregressive):
    """h_d = f(c + W[:, <d] x_<d), and x_d's parameters are b_d + V_d h_d."""

    lower: Tensor

    def __init__(
        self, spec: ImageSpec, config: NADEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.distribution = head(spec, config.likelihood, HeadOptions(config.components))
        chosen = ACTIVATIONS[config.activation]
        self.activation = chosen.function
        d, h, p = spec.dims, config.hidden, self.distribution.per_pixel
        self.w = nn.Parameter(torch.randn(d, h) * d**-0.5)
        self.c = nn.Parameter(torch.zeros(h))
        self.v = nn.Parameter(torch.randn(d, h, p) * h**-0.5)
        self.b = nn.Parameter(torch.zeros(d, p))
        s = min(config.block, d)
        self.register_buffer("lower", torch.ones(s, s).tril(-1)[:, None], persistent=False)
        self.label = embedding(condition, h)
        self.sparse = spec.levels == 2 and p == 1 and chosen.by_hand is not None

    def start(self, n: int, condition: Condition | None) -> Tensor:
        """The hidden units' input before any pixel: (n, H)."""
        asked = self.asked(condition)
        if self.label is None or asked is None:
            return self.c.expand(n, -1)
        more: Tensor = self.label(asked)
        return self.c + more

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        """Binary pixels: the hidden units once after each pixel that is on (`sparse_prefix`).
        More levels: a block of s sub-pixels at a time; with M[d, b, k] = x[b, k] for k < d, else 0,
        their hidden inputs are one product M W, added to what the earlier blocks gave."""
        flat = flatten(self.spec.check(x))
        if self.sparse and sparse_prefix.available(flat.device):
            first = self.start(len(x), condition)
            v, name = self.v.squeeze(2), self.config.activation
            logits = sparse_prefix.sparse_prefix(flat != 0, first, self.w, v, name)
            return self.distribution(unflatten(logits + self.b.squeeze(1), self.spec.shape))
        flat = scaled(flat, self.spec.levels)  # (B, D)
        base, outs = self.start(len(x), condition), []
        for start in range(0, self.spec.dims, len(self.lower)):
            part = flat[:, start : start + len(self.lower)]  # (B, s)
            s = part.shape[1]
            rows = slice(start, start + s)
            m = (part * self.lower[:s, :, :s]).flatten(0, 1)  # (s B, s)
            a = (m @ self.w[rows]).view(s, len(x), -1) + base  # (s, B, H)
            outs.append(torch.baddbmm(self.b[rows, None], self.activation(a), self.v[rows]))
            base = torch.addmm(base, part, self.w[rows])
        out = torch.cat(outs).transpose(0, 1)  # (B, D, P)
        return self.distribution(unflatten(out.flatten(1), self.spec.shape))

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return NADEStepper(self, n, condition)


class NADEStepper(Stepper):
    """The hidden input is carried from sub-pixel to sub-pixel: O(H) each, O(D H) an image."""

    def __init__(self, model: NADE, n: int, condition: Condition | None) -> None:
        self.model, self.colours = model, model.spec.channels
        self.w, self.v, self.b = (full(q.detach()) for q in (model.w, model.v, model.b))
        self.a = full(model.start(n, condition).detach()).clone()
        self.added = 0  # sub-pixels

    def add(self, upto: int, pixel: Tensor) -> None:
        while self.added < upto:
            value = scaled(pixel[:, self.added % self.colours], self.model.spec.levels)
            self.a.addr_(value, self.w[self.added])
            self.added += 1

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        d = t * self.colours + c
        self.add(d, pixel)
        out = torch.addmm(self.b[d], self.model.activation(self.a), self.v[d])
        return self.model.distribution(out[:, :, None, None])

    def observe(self, t: int, pixel: Tensor) -> None:
        self.add((t + 1) * self.colours, pixel)


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
}
