"""Neural autoregressive distribution estimator (Larochelle & Murray 2011; arXiv:1605.02226)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, option
from ptheta.distributions.base import ElementDistribution
from ptheta.games import Terms
from ptheta.models.autoregressive.base import Autoregressive, LikelihoodConfig
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.base import as_learned, refuse_missing
from ptheta.models.recipes import Recipes
from ptheta.nets import sparse_prefix
from ptheta.nets.activations import ACTIVATIONS, ActivationName
from ptheta.nets.condition import embedding
from ptheta.nets.elements import elements
from ptheta.nets.flat import flatten
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@dataclass(frozen=True)
class NADEConfig(LikelihoodConfig):
    hidden: Count = option(500, "hidden units", basic=True)
    activation: ActivationName = option("sigmoid", "activation of the hidden units", basic=True)
    block: Count = option(28, "sub-pixels whose hidden units are computed in one block")
    any_order: bool = option(
        False,
        "learn each column of a table given any subset of the others (1310.1757); always on for "
        "incomplete rows",
        basic=True,
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if self.any_order and not isinstance(spec, VectorSpec):
            return "any_order is for tables, and these are images: leave it out"
        return super().unsupported(spec, condition)


class NADE(Autoregressive):
    """h_d = f(c + W[:, <d] x_<d), and x_d's parameters are b_d + V_d h_d.

    On the columns of a vector it is RNADE (Uria et al. 2013, arXiv:1306.0186).

    With `any_order` (Uria et al. 2014, arXiv:1310.1757) it learns each column given any subset of
    the others: a mask of observed columns is an input, a subset is sampled for each row and step,
    and the rest of the row is predicted. Rows may then have missing cells, and `complete`
    conditions on all known cells, without candidates. `log_prob` uses the order of the columns.
    """

    specs = (ImageSpec, VectorSpec)
    takes_missing = True
    lower: Tensor

    def __init__(
        self, spec: DataSpec, config: NADEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.any_order = config.any_order or bool(spec.missing)
        e = self.elements = elements(
            spec, config.likelihood, config.components, with_mask=self.any_order
        )
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
        x = as_learned(self.spec, x)
        first = self.start(len(x), condition)
        # the sparse product has no gradient in x
        if self.sparse and sparse_prefix.available(x.device) and not x.requires_grad:
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

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        if not self.any_order:
            return super().loss(batch)
        x = as_learned(self.spec, batch.x)
        there = ~x.isnan()
        given = some_given(there)
        first = self.start(len(x), self.asked(batch.condition))
        hidden = torch.addmm(first, self.elements.row(x.masked_fill(~given, math.nan)), self.w)
        out = self.b.flatten() + self.activation(hidden) @ self.v.squeeze(2).t()
        each = self.elements.distribution(out).log_prob(x).masked_fill(given, 0.0)
        # of the terms of a random order it has those after its first, which stand for them all
        share = there.sum(1) / (there & ~given).sum(1).clamp_min(1)
        return {"nll": -each.sum(1) * share}

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """As any autoregressive model; in any order, each unknown cell given all that are known
        and those drawn before it."""
        if not self.any_order:
            return super().complete(x, known, condition, candidates)
        x, known = self.spec.check(x), known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        drawn, u = x.masked_fill(~known, math.nan), self.noise(len(x))
        w, v, b = (full(q) for q in (self.w, self.v, self.b))
        a = torch.addmm(full(self.start(len(x), condition)), self.elements.row(drawn).to(w), w)
        for d in range(self.spec.dims):
            gaps = (~known[:, d]).nonzero()[:, 0]
            if not len(gaps):
                continue
            bias, out = self.readout(d, b, v)
            p = self.elements.one(d, torch.addmm(bias, self.activation(a[gaps]), out))
            drawn[gaps, d] = p.icdf(u[gaps, d : d + 1])[:, 0].to(drawn)
            seen = self.elements.part(d, drawn[gaps, d : d + 1]).to(w)
            a[gaps] = torch.addmm(a[gaps], seen, w[self.elements.inputs.of(d)])
        return drawn

    def late(self, known: Tensor) -> Tensor:
        """None in any order: all that is known is looked at."""
        return torch.zeros_like(known) if self.any_order else super().late(known)

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return NADEStepper(self, n, condition)


def some_given(there: Tensor) -> Tensor:
    """Of the cells that are there, the first few in a random order: bool (B, D), from none to all
    but one of each row, every number as likely."""
    n, dims = there.shape
    noise = streams.uniform(n, dims, device=there.device).masked_fill(~there, 2.0)
    place = noise.argsort(1).argsort(1)
    count = streams.uniform(n, 1, device=there.device) * there.sum(1, keepdim=True)
    return (place < count.floor()) & there


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
        "about": "500 rectified units: 86.62 +- 0.23 nats on static MNIST of 59,500 images",
        "model": {"hidden": 500, "activation": "relu", "lr": 0.004},
        "train": {"batch_size": 100, "epochs": 7.5, "schedule": "cosine", "ema": 0.999},
        "data": {"levels": 2},
    },
    "table": {
        "about": "128 rectified units, mixtures of 3: tables of some hundred rows, incomplete",
        "model": {
            "hidden": 128,
            "activation": "relu",
            "components": 3,
            "any_order": True,
            "weight_decay": 1e-3,
            "lr": 5e-3,
        },
        "train": {"batch_size": 128, "steps": 1500, "schedule": "cosine"},
    },
    "points": {
        "about": "256 rectified units, mixtures of 10: points in a minute on one core",
        "model": {"hidden": 256, "activation": "relu", "lr": 5e-3},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine"},
    },
}
