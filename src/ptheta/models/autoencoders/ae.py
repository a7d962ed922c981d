"""Autoencoder (Hinton & Salakhutdinov 2006), contractive if asked (Rifai et al. 2011)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Entry, OneOf, option
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderConfig, decoder, encoder
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import ImageSpec, from_unit, full, to_symmetric, to_unit


@dataclass(frozen=True)
class PixelError(Entry):
    """What a reconstruction costs, and how it is read.

    loss: the decoder's output and the image, (B, C, H, W) in [0, 1] -> the loss of each sub-pixel
    to_unit: the decoder's output -> grey values in [0, 1]
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    to_unit: Callable[[Tensor], Tensor]


PIXEL_ERRORS: dict[str, PixelError] = {
    "squared": PixelError(lambda out, u: (out - u).square(), lambda out: out),
    "cross-entropy": PixelError(
        partial(binary_cross_entropy_with_logits, reduction="none"),
        torch.sigmoid,
        about="of its grey value",
    ),
}

PixelErrorName: TypeAlias = Annotated[str, OneOf(PIXEL_ERRORS)]


@dataclass(frozen=True)
class AEConfig(CoderConfig, OptimizerConfig):
    loss: PixelErrorName = option("squared", "error of a pixel, white - black = 1")
    contractive: AtLeastZero = option(0.0, "weight of |d code / d image|^2, pixels in [-1, 1]")


class AE(ImageModel):
    """A code for each image and an image for each code. It has no density and no prior: fit one on
    the codes (`ptheta fit`) to sample."""

    def __init__(
        self, spec: ImageSpec, config: AEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.encoder = encoder(spec, config, config.latent)
        self.decoder = decoder(spec, config, 1)

    def errors(self, out: Tensor, x: Tensor) -> Tensor:
        """The loss of each image, summed over its pixels: (B,). out: what the decoder gave."""
        return PIXEL_ERRORS[self.config.loss].loss(out, to_unit(x)).flatten(1).sum(1)

    def corrupted(self, x: Tensor) -> Tensor:
        """The image batch that the encoder is given in training: here the images themselves."""
        return x

    def contraction(self, s: Tensor, z: Tensor) -> Tensor:
        """|dz/ds|^2 of each image, (B,), by one random projection: E_v |v^T J|^2 with v ~ N(0, I).

        The squared Frobenius norm of Rifai et al. 2011 without a pass for each code dimension.
        """
        (row,) = torch.autograd.grad((z * streams.normal_like(z)).sum(), s, create_graph=True)
        return row.square().flatten(1).sum(1)

    def terms(self, batch: Batch, shared: None = None) -> Terms:
        s = to_symmetric(self.corrupted(self.spec.check(batch.x)))
        if not self.config.contractive:
            return {"reconstruction": self.errors(full(self.decoder(self.encoder(s))), batch.x)}
        s.requires_grad_()
        z = self.encoder(s)
        return {
            "reconstruction": self.errors(full(self.decoder(z)), batch.x),
            "contraction": self.config.contractive * self.contraction(s, z),
        }

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return full(self.encoder(to_symmetric(self.spec.check(x))))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return from_unit(PIXEL_ERRORS[self.config.loss].to_unit(full(self.decoder(z))))

    def game(self) -> Game[None]:
        return Game(
            players={"autoencoder": Player((self,), self.config.optimizer_factory())},
            moves=(Move("autoencoder", self.terms),),
        )

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("x", "observed", f"image {self.spec}"),
                Variable("z", "deterministic", f"code of {self.config.latent} numbers"),
                Variable(r"\hat{x}", "deterministic", "reconstruction"),
            ),
            (Arrow("x", "z", law="encoder"), Arrow("z", r"\hat{x}", law="decoder")),
        )


RECIPES: Recipes = {
    "default": {
        "about": "two hidden layers of 500 units, 40 code dimensions",
        "model": {},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
    },
    "pca": {
        "about": "linear, squared error: spans the principal subspace",
        "model": {"net": "linear"},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
    },
}
