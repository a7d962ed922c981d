"""A small image transformer (Parmar et al. 2018, arXiv:1802.05751; Chen et al. 2020, iGPT)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Parts, option
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import AutoregressiveConfig, PixelModel
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.recipes import Recipes
from ptheta.nets.attention import AttentionLayer
from ptheta.nets.condition import embedding
from ptheta.nets.flat import flatten, unflatten
from ptheta.nets.heads import levels_head
from ptheta.nets.modules import Modules
from ptheta.specs import DataSpec, ImageSpec, to_levels


@dataclass(frozen=True)
class ImageTransformerConfig(AutoregressiveConfig):
    width: Count = option(64, "embedding dimensions; a multiple of the number of heads")
    layers: Parts = option(4, "layers of attention and MLP", basic=True)
    heads: Count = option(4, "attention heads", basic=True)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition)
        if odd is None and self.width % self.heads:
            return f"width = {self.width} must be a multiple of heads = {self.heads}"
        return odd


class ImageTransformer(PixelModel):
    """Token d carries the value of sub-pixel d - 1 and the place of sub-pixel d, and attends to
    all tokens up to itself; a learned start stands for the value before the first."""

    def __init__(
        self,
        spec: ImageSpec,
        config: ImageTransformerConfig,
        condition: ConditionSpec | None = None,
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        e = config.width
        self.distribution = levels_head(spec)
        c, h, w = spec.shape
        self.value = nn.Embedding(spec.levels + 1, e)  # the last one is the start
        self.row = nn.Parameter(0.02 * torch.randn(h, 1, 1, e))
        self.column = nn.Parameter(0.02 * torch.randn(1, w, 1, e))
        self.colour = nn.Parameter(0.02 * torch.randn(1, 1, c, e))
        self.layers = Modules(AttentionLayer(e, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(e)
        self.last = nn.Linear(e, self.distribution.per_pixel)
        self.label = embedding(condition, e, config)

    def places(self, condition: Condition | None) -> Tensor:
        """What tells each token where and for which label it speaks: (1 or B, D, E)."""
        places = (self.row + self.column + self.colour).flatten(0, 2)[None]
        asked = self.asked(condition)
        if self.label is None or asked is None:
            return places
        more: Tensor = self.label(asked)
        return places + more[:, None]

    def values(self, x: Tensor) -> Tensor:
        """Pixel values (B, D) -> what each token has of the one before it, (B, D, E).

        Of `relaxed` images, on the straight line between the embeddings of neighbouring levels.
        """
        levels = F.pad(to_levels(x, self.spec.levels)[:, :-1], (1, 0), value=self.spec.levels)
        values: Tensor = self.value(levels)
        if not x.requires_grad:
            return values
        real = x * ((self.spec.levels - 1) / 255)
        low = real.detach().floor().clamp(max=self.spec.levels - 2).long()
        slope = self.value(low + 1) - self.value(low)
        between = self.value(low) + (real - low)[..., None] * slope
        return torch.cat([values[:, :1], between[:, :-1]], 1)

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        h = self.values(flatten(self.spec.check(x))) + self.places(condition)
        for layer in self.layers:
            h = layer(h)
        out = self.last(self.norm(h))  # (B, D, P)
        return self.distribution(unflatten(out.flatten(1), self.spec.shape))

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return TransformerStepper(self, n, condition)


class TransformerStepper(Stepper):
    """One token at a time; keys and values of the earlier ones are kept, (n, heads, D, E / heads)
    for each layer, allocated once."""

    def __init__(self, model: ImageTransformer, n: int, condition: Condition | None) -> None:
        self.model, self.colours = model, model.spec.channels
        self.places = model.places(condition).detach()
        config = model.config
        shape = (config.layers, n, config.heads, model.spec.dims, config.width // config.heads)
        self.keys, self.values = self.places.new_zeros(shape), self.places.new_zeros(shape)
        start = torch.full((n,), model.spec.levels, device=self.places.device)
        self.next: Tensor = model.value(start)  # the value part of the next token
        self.done = 0

    def feed(self, upto: int, pixel: Tensor) -> Tensor:
        """Tokens up to `upto`; pixel holds the colours that the later ones carry."""
        model = self.model
        h = self.next
        while self.done <= upto:
            d = self.done
            if d % self.colours:
                self.next = model.value(
                    to_levels(pixel[:, d % self.colours - 1], model.spec.levels)
                )
            h = (self.next + self.places[:, d])[:, None]  # (n, 1, E)
            for k, layer in enumerate(model.layers):
                q, key, value = layer.heads_of(h)
                self.keys[k, :, :, d : d + 1], self.values[k, :, :, d : d + 1] = key, value
                so_far = self.keys[k, :, :, : d + 1], self.values[k, :, :, : d + 1]
                h = layer.after(h, F.scaled_dot_product_attention(q, *so_far))
            self.done += 1
        return h

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        h = self.feed(t * self.colours + c, pixel)
        out = self.model.last(self.model.norm(h[:, 0]))
        return self.model.distribution(out[:, :, None, None])

    def observe(self, t: int, pixel: Tensor) -> None:
        self.next = self.model.value(to_levels(pixel[:, -1], self.model.spec.levels))


RECIPES: Recipes = {
    "default": {
        "about": "four layers of width 64",
        "model": {},
        "train": {"batch_size": 32, "epochs": 20.0, "clip": 1.0, "ema": 0.999, "warmup": 200},
    },
}
