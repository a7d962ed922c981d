"""InfoGAN: a GAN with interpretable codes (Chen et al. 2016, arXiv:1606.03657)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from ptheta.batch import Condition
from ptheta.capabilities import CodePart
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, NonNegative, OneOf, Positive, option
from ptheta.games import Terms
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.gan import GAN
from ptheta.models.adversarial.options import GANConfig
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.specs import DataSpec

UNCONDITIONAL = {"none": CONDITIONING["none"]}


@dataclass(frozen=True)
class InfoGANConfig(GANConfig):
    conditioning: Annotated[str, OneOf(UNCONDITIONAL)] = option(
        "none", "always none: InfoGAN has codes instead of labels", basic=True
    )
    categories: Count = option(10, "number of values of the categorical code", basic=True)
    continuous: NonNegative = option(2, "number of continuous codes, each U(-1, 1)", basic=True)
    information: Positive = option(
        1.0, "weight of the mutual-information bound of the categorical code", basic=True
    )
    continuous_information: Positive = option(
        0.1, "weight of the mutual-information bound of the continuous codes"
    )
    latent: Count = option(62, "dimensions of the noise z, in addition to the codes", basic=True)


class InfoGAN(GAN):
    """G(z, c, u) with a uniform category c and continuous codes u, and a discriminator that also
    predicts Q(c, u | x).

    Both players maximise L_I = E log Q(c, u | G(z, c, u)) + H(c, u), a lower bound of the mutual
    information of codes and example (eq. 5). Q(u | x) is a Gaussian of learned mean and deviation.
    A code (B, latent + categories + continuous) holds z, c as one-hot, u.
    """

    takes = ()
    config: InfoGANConfig

    def __init__(
        self, spec: DataSpec, config: InfoGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        c = config
        super().__init__(
            spec,
            c,
            condition,
            code_dim=c.categories + c.continuous,
            aux_dim=c.categories + 2 * c.continuous,
        )

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        z, c = super().sample_latent(n), self.config
        category = streams.integers(0, c.categories, n, device=z.device)
        u = streams.uniform(n, c.continuous, device=z.device) * 2 - 1
        return torch.cat([z, one_hot(category, c.categories).to(z.dtype), u], 1)

    def code_parts(self) -> tuple[CodePart, ...]:
        """c0, the category, and c1, c2, ..., the numbers."""
        c, first = self.config, self.config.latent + self.config.categories
        numbers = (CodePart(f"c{i + 1}", first + i, 1) for i in range(c.continuous))
        return (CodePart("c0", c.latent, c.categories, category=True), *numbers)

    def settled(self, z: Tensor) -> Tensor:
        """The noise as ever, one category, numbers within -1 to 1."""
        noise, category, u = self._parts(z)
        one = one_hot(category.argmax(1), category.shape[1]).to(z.dtype)
        return torch.cat([super().settled(noise), one, u.clamp(-1, 1)], 1)

    def improbable(self, z: Tensor) -> Tensor:
        return super().improbable(self._parts(z)[0])

    def _parts(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The noise of a code, its category as one-hot, its numbers."""
        c = self.config
        noise, category, u = z.split([c.latent, c.categories, c.continuous], 1)
        return noise, category, u

    def inferred(self, aux: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q: logits of the category (B, K), means and log-variances of the rest (B, U)."""
        c = self.config
        logits, mean, log_var = aux.split([c.categories, c.continuous, c.continuous], 1)
        return logits, mean, log_var.clamp(-6, 6)

    def auxiliary_terms(self, aux: Tensor | None, z: Tensor, y: Condition | None) -> Terms:
        """-log Q(c | x) and -log Q(u | x), nats."""
        assert aux is not None
        c = self.config
        logits, mean, log_var = self.inferred(aux)
        _, category, u = self._parts(z)
        terms = {
            "category": c.information * cross_entropy(logits, category.argmax(1), reduction="none")
        }
        if c.continuous:
            square = (u - mean).square() * (-log_var).exp()
            nats = 0.5 * (square + log_var + math.log(2 * math.pi)).sum(1)
            terms["continuous"] = c.continuous_information * nats
        return terms

    def cluster(self, x: Tensor) -> Tensor:
        """The most probable category of each example under Q: int64 (B,)."""
        return self._posterior(x)[0].argmax(1)

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Q(c | x) (B, K), and the means of the continuous codes (B, U)."""
        logits, mean, _ = self._posterior(x)
        return logits.softmax(1), mean

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        aux = self.discriminate_batch(self.seen(x), None).aux
        assert aux is not None
        return self.inferred(aux)

    def graph(self) -> Graph:
        c = self.config
        noise, x = super().graph().variables
        codes = [Variable("k", "latent", f"one of {c.categories} categories")]
        if c.continuous:
            codes.append(Variable("u", "latent", f"{c.continuous} dimensions, U(-1, 1)"))
        return Graph(
            (noise, *codes, x),
            (
                Arrow("z", "x", law="G, implicit"),
                *(Arrow(code.name, "x") for code in codes),
                *(Arrow("x", code.name, "inference", "Q") for code in codes),
            ),
        )


RECIPES: dict[str, dict[str, object]] = {
    "default": {
        "about": "Chen et al. 2016 on digits: ten categories, two continuous codes",
        "model": {"lr": 1e-3, "d_lr": 2e-4},
        "train": {"batch_size": 64, "epochs": 25.0, "ema": 0.999},
    },
    "digits": {
        "about": "the bundled digits in ten CPU minutes: a small network with a dense layer",
        "model": {"features": 16, "dense": 512, "information": 0.2, "lr": 1e-3, "d_lr": 2e-4},
        "train": {"batch_size": 64, "steps": 9000, "ema": 0.995, "evaluate_every": 0},
    },
}
