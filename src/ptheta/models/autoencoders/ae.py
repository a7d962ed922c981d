"""Autoencoder (Hinton & Salakhutdinov 2006), optionally contractive (Rifai et al. 2011)."""

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
from ptheta.distributions.columns import column_errors
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import Model, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderConfig, decoder, encoder, odd_net
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, columns_of, from_unit, full, to_unit


@dataclass(frozen=True)
class PixelError(Entry):
    """A reconstruction loss, and the mapping of outputs to grey values.

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
        about="cross-entropy of the grey value",
    ),
}

PixelErrorName: TypeAlias = Annotated[str, OneOf(PIXEL_ERRORS)]


@dataclass(frozen=True)
class AEConfig(CoderConfig, OptimizerConfig):
    loss: PixelErrorName = option(
        "squared",
        "reconstruction error of a pixel (white - black = 1) or a standardised number; categories "
        "always use cross-entropy",
        basic=True,
    )
    contractive: AtLeastZero = option(
        0.0, "weight of the contractive penalty |d code / d x|^2, pixels in [-1, 1]", basic=True
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition) or odd_net(spec, self.net)
        if odd is None and self.loss != "squared" and not isinstance(spec, ImageSpec):
            return f"loss = {self.loss} needs grey values, not {spec}: leave it at squared"
        return odd


class AE(Model):
    """A code for each example and an example for each code. It has no density and no prior: fit one
    on the codes (`ptheta fit`) to sample."""

    specs = (ImageSpec, VectorSpec)

    def __init__(
        self, spec: DataSpec, config: AEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.rows = config, columns_of(spec)
        self.encoder = encoder(spec, config, config.latent)
        self.decoder = decoder(spec, config, 1)

    def errors(self, out: Tensor, x: Tensor) -> Tensor:
        """The loss of each example, summed over its pixels or columns: (B,). out: decoder output"""
        if self.rows is not None:
            return column_errors(self.rows, out, x).sum(1)
        return PIXEL_ERRORS[self.config.loss].loss(out, to_unit(x)).flatten(1).sum(1)

    def corrupted(self, x: Tensor) -> Tensor:
        """The examples that the encoder is given in training: here x itself."""
        return x

    def seen(self, x: Tensor) -> Tensor:
        """Examples as the encoder sees them: (B, *scaled_shape)."""
        return self.spec.scaled(x)

    def checked(self, x: Tensor) -> Tensor:
        """x itself if it can be encoded; raises PthetaError otherwise."""
        return whole(self.spec, x)

    def contraction(self, s: Tensor, z: Tensor) -> Tensor:
        """|dz/ds|^2 of each image, (B,), by one random projection: E_v |v^T J|^2 with v ~ N(0, I).

        The squared Frobenius norm of Rifai et al. 2011 without a pass for each code dimension.
        """
        (row,) = torch.autograd.grad((z * streams.normal_like(z)).sum(), s, create_graph=True)
        return row.square().flatten(1).sum(1)

    def terms(self, batch: Batch, shared: None = None) -> Terms:
        s = self.seen(self.corrupted(whole(self.spec, batch.x)))
        if not self.config.contractive:
            return {"reconstruction": self.errors(full(self.decoder(self.encoder(s))), batch.x)}
        s.requires_grad_()
        z = self.encoder(s)
        return {
            "reconstruction": self.errors(full(self.decoder(z)), batch.x),
            "contraction": self.config.contractive * self.contraction(s, z),
        }

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return full(self.encoder(self.seen(self.checked(x))))

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        out = full(self.decoder(z))
        if self.rows is not None:
            return out
        return 2 * PIXEL_ERRORS[self.config.loss].to_unit(out) - 1

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        out = full(self.decoder(z))
        if self.rows is not None:
            return self.rows.unscaled(out)
        return from_unit(PIXEL_ERRORS[self.config.loss].to_unit(out))

    def game(self) -> Game[None]:
        return Game(
            players={"autoencoder": Player((self,), self.config.optimizer_factory())},
            moves=(Move("autoencoder", self.terms),),
        )

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("x", "observed", self.spec.one),
                Variable("z", "deterministic", f"code of {self.config.latent} dimensions"),
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
