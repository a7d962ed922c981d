"""Denoising autoencoder (Vincent et al. 2010, JMLR 11)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, option
from ptheta.corruption import NOISES, NoiseName, corrupt, odd_level, odd_noise
from ptheta.models.autoencoders.ae import AE, PIXEL_ERRORS, AEConfig
from ptheta.models.autoencoders.chain import from_noise
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, filled, from_levels, from_unit, full


@dataclass(frozen=True)
class DAEConfig(AEConfig):
    noise: NoiseName = option("gaussian", "noise that corrupts the input", basic=True)
    level: AtLeastZero = option(
        0.5, "noise level: standard deviation (gaussian, white - black = 1) or share of values"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition) or odd_level(self.noise, self.level)
        return odd or odd_noise(self.noise, spec)


class DAE(AE):
    """An autoencoder that is shown a damaged example and must give the clean one. A cell that is
    lost is 0 to its encoder, the mean of a number and no word."""

    config: DAEConfig

    def corrupted(self, x: Tensor) -> Tensor:
        return corrupt(x, self.config.noise, self.config.level, self.spec)

    def seen(self, x: Tensor) -> Tensor:
        return filled(self.spec.scaled(x))

    def checked(self, x: Tensor) -> Tensor:
        return self.spec.check(x) if NOISES[self.config.noise].loses else super().checked(x)

    # -- its chain (Bengio et al. 2013, arXiv:1305.6663)

    def chain_start(self, n: int, condition: Condition | None = None) -> Tensor:
        """Noise."""
        return from_noise(self.spec, n, next(self.parameters()).device)

    def transition(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Corrupt x and restore it: binary pixels and categories are sampled from the decoder's
        probabilities; other values are set to their mean, since the squared error does not define
        their variance. `gsn` samples these as well."""
        out = full(self.decoder(self.encoder(self.seen(self.corrupted(x)))))
        if isinstance(self.spec, VectorSpec):
            return self.spec.unscaled(out + _noise_of_words(self.spec, out))
        assert isinstance(self.spec, ImageSpec)
        u = PIXEL_ERRORS[self.config.loss].to_unit(out)
        if self.spec.levels == 2:
            return from_levels(streams.uniform_like(u) < u, 2)
        return from_unit(u, self.spec.levels)

    def graph(self) -> Graph:
        x, *rest = super().graph().variables
        damaged = Variable(r"\tilde{x}", "latent", f"{self.config.noise} noise added")
        return Graph(
            (x, damaged, *rest),
            (
                Arrow("x", r"\tilde{x}", law="noise"),
                Arrow(r"\tilde{x}", "z", law="encoder"),
                Arrow("z", r"\hat{x}", law="decoder"),
            ),
        )


def _noise_of_words(spec: VectorSpec, out: Tensor) -> Tensor:
    """Gumbel noise for each word, by which the largest sum is a draw of the softmax; 0 for numbers:
    (B, width), as out."""
    words = [bool(column.values) for column in spec.columns for _ in range(column.width)]
    u = streams.uniform_like(out).clamp_min(torch.finfo(out.dtype).tiny)
    return -(-u.log()).log() * torch.tensor(words, device=out.device)


RECIPES: Recipes = {
    "default": {
        "about": "Gaussian noise of half the pixel range",
        "model": {},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
    },
    "points": {
        "about": "points, low noise: small chain steps, which stay near the means",
        "model": {"level": 0.3, "hidden": (128, 128), "latent": 64},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine"},
    },
}
