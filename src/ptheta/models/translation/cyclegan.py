"""CycleGAN: unpaired translation between domains (Zhu et al. 2017, arXiv:1703.10593); for more than
two domains as in StarGAN (Choi et al. 2018, arXiv:1711.09020).

Cycle consistency (there and back gives the same image) preserves the content. With two domains,
each has its own generator and discriminator; with shared weights or more domains, there is one
domain-conditional generator, and one discriminator with a domain classifier.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec, Labels
from ptheta.conditions.base import tensor_of
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES, accuracy
from ptheta.models.adversarial.monitor import GAP, GANMonitor
from ptheta.models.base import ImageModel, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.translation.domain_options import CycleGANConfig
from ptheta.models.translation.domains import (
    JudgeForAll,
    JudgeForEach,
    OneForAll,
    OneForEach,
)
from ptheta.models.translation.pool import Drawn, ImagePool
from ptheta.nets.convolutional import init_dcgan
from ptheta.nets.translation.ends import ENDS
from ptheta.nets.translation.generators import GENERATORS, GeneratorOptions
from ptheta.nets.translation.moves import drawn, moved
from ptheta.nets.translation.patch import PatchOptions
from ptheta.specs import ImageSpec


class Carried(NamedTuple):
    """What the moves of one step share: images as a network sees them, (B, C, H, W).

    x: of the step, of the domains `of` (B,); made: what they become in the domains `to` (B,), with
        the generator's graph in the steps in which it moves
    same: what they become in their own domain; None where that costs nothing
    rated: what the discriminator learns from in the place of `made`, past ones among them
    """

    x: Tensor
    of: Tensor
    to: Tensor
    made: Tensor
    same: Tensor | None
    rated: Tensor


class CycleGAN(ImageModel):
    """Generators into domains against discriminators of domains, as one game of two players."""

    takes = ("labels",)
    balanced = True
    condition: Labels

    def __init__(
        self, spec: ImageSpec, config: CycleGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.loss = config, LOSSES[config.loss]
        domains, one = len(self.condition), config.shared or len(self.condition) > 2
        patches = PatchOptions(
            config.receptive_field, config.d_features, config.d_norm or config.norm
        )
        end = ENDS[config.output]
        self.generator = (OneForAll if one else OneForEach)(domains, self.new_generator, end)
        self.discriminator = (JudgeForAll if one else JudgeForEach)(domains, spec, patches)
        init_dcgan(self)
        self.past = ImagePool(config.pool, domains, spec.scaled_shape) if config.pool else None
        self.drawn: Drawn | None = None  # in the last step, for the pool

    def new_generator(self, latent: int) -> nn.Module:
        """A generator that is given a code of so many numbers."""
        o, (channels, height, width) = self.config, self.spec.scaled_shape
        options = GeneratorOptions(o.features, o.blocks, o.norm, o.resize, o.kernel, latent)
        made = ENDS[o.output].planes(channels)
        return GENERATORS[o.generator].make(channels, made, (height, width), options)

    # -- the game

    def prepare(self, batch: Batch, clock: Clock) -> Carried:
        """The images of a step and what they become, with a graph where the generator moves."""
        of = tensor_of(self.given(batch.condition), "labels")
        x, to = self.seen(batch.x), self.others(of)
        moves = "generator" in clock.movers
        same = None
        with torch.set_grad_enabled(moves):
            if moves and self.config.of_identity:  # in one pass: no image depends on another
                both = self.generator(torch.cat([x, x]), torch.cat([to, of]))
                made, same = both[: len(x)], both[len(x) :]
            else:
                made = self.generator(x, to)
        rated = made.detach()
        if self.past is not None:
            self.drawn = self.past.draw(rated, to)
            rated = self.drawn.rated
        return Carried(x, of, to, made, same, rated)

    def seen(self, x: Tensor) -> Tensor:
        """Training images as networks see them, moved anew."""
        scaled = self.spec.scaled(x)
        places = drawn(self.config.augment, scaled)
        return scaled if places is None else moved(scaled, places, smooth=True)

    def others(self, of: Tensor) -> Tensor:
        """Another domain for each image, any of them with the same probability: int64 (B,)."""
        domains = len(self.condition)
        if domains == 2:
            return 1 - of
        return (of + streams.integers(1, domains, len(of), device=of.device)) % domains

    def discriminator_loss(self, batch: Batch, shared: Carried) -> Terms:
        x = torch.cat([shared.x, shared.rated])
        both = self.discriminator(x, torch.cat([shared.of, shared.to]))
        real, fake = both.split(len(shared.x))
        self.log(batch, real.logits.detach().mean(1), fake.logits.detach().mean(1))
        terms = {"adversarial": self.loss.discriminator(real.logits, fake.logits).mean(1)}
        return terms | self.class_term(real.classes, shared.of)

    def generator_loss(self, batch: Batch, shared: Carried) -> Terms:
        c, x = self.config, shared.x
        rated = self.discriminator(shared.made, shared.to)
        on_fake = self.loss.generator(rated.logits, rated.logits)
        terms = {"adversarial": c.adversarial_weight * on_fake.mean(1)}
        if c.cycle_weight:
            back = self.generator(shared.made, shared.of)
            terms["cycle"] = c.cycle_weight * difference(back, x)
        if shared.same is not None:
            terms["identity"] = c.of_identity * difference(shared.same, x)
        return terms | self.class_term(rated.classes, shared.to)

    def class_term(self, classes: Tensor | None, of: Tensor) -> Terms:
        """-log of the probability that the classifier gives the domain, where there is one."""
        if classes is None:
            return {}
        return {"class": self.config.class_weight * cross_entropy(classes, of, reduction="none")}

    def log(self, batch: Batch, real: Tensor, fake: Tensor) -> None:
        """D(x) and D(G(x)) of each image, as probabilities where they are some."""
        read = torch.sigmoid if self.loss.probability else torch.Tensor.clone
        batch.logs["D(x)"], batch.logs["D(G(x))"] = read(real), read(fake)
        batch.logs["accuracy"] = accuracy(real, fake, self.loss.boundary)
        batch.logs[GAP] = real.mean() - fake.mean()

    def after(self, step: int) -> None:
        """The pool keeps images of the step."""
        if self.past is not None and self.drawn is not None:
            self.past.update(self.drawn)

    def game(self) -> Game[Carried]:
        c = self.config
        return Game(
            players={
                "generator": Player((self.generator,), c.optimizer_factory()),
                "discriminator": Player((self.discriminator,), c.optimizer_factory(c.d_lr)),
            },
            moves=(
                Move("discriminator", self.discriminator_loss),
                Move("generator", self.generator_loss, every=c.critic_steps),
            ),
            prepare=self.prepare,
            after=self.after,
            monitor=GANMonitor(self.loss.probability),
        )

    # -- capabilities

    def input_spec(self) -> ImageSpec:
        return self.spec

    def domains(self) -> tuple[str, ...]:
        return self.condition.names

    def varied(self) -> bool:
        return False

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """Raises PthetaError where `to` does not name a domain of each."""
        sized = self.spec
        if x.ndim == 4:
            sized = dataclasses.replace(sized, height=x.shape[2], width=x.shape[3])
        if to is None:
            raise PthetaError(
                f"this model translates images to {' or '.join(self.domains())}, but no target "
                "domain was given: give the index of the domain of each image"
            )
        to = tensor_of(self.condition.check(to), "labels")
        if len(to) != len(sized.check(x)):
            raise PthetaError(f"{len(x)} images and {len(to)} domains: give one for each")
        return sized.unscaled(self.generator(sized.scaled(x), to))

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean over patches, as the discriminator of the domain has it: (B,). Logits where the
        loss makes them so."""
        seen = self.spec.scaled(whole(self.spec, x))
        of = tensor_of(self.condition.check(self.given(condition)), "labels")
        return self.discriminator(seen, of).logits.mean(1)

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("s", "given", f"{self.spec.one} of any domain"),
                Variable("c", "given", "domain"),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("s", "x", law="G(s, c)"), Arrow("c", "x", law="G(s, c)")),
        )


def difference(a: Tensor, b: Tensor) -> Tensor:
    """The mean of |a - b| of each image: (B, ...) -> (B,)"""
    return (a - b).abs().flatten(1).mean(1)


RECIPES: Recipes = {
    "default": {
        "about": "32 pixels in a quarter of an hour on two cores",
        "model": {
            "output": "mask",
            "features": 24,
            "blocks": 3,
            "kernel": 3,
            "lr": 4e-4,
            "d_lr": 2e-4,
        },
        "train": {
            "batch_size": 16,
            "minutes": 15.0,
            "schedule": "late_linear",
            "ema": 0.99,
            "best": "none",
        },
    },
    "paper": {
        "about": "Zhu et al. 2017, appendix 7: 256 pixels, one image of each domain per step",
        "model": {
            "features": 64,
            "blocks": 9,
            "receptive_field": "70",
            "d_features": 64,
            "augment": ("jitter", "flip"),
        },
        "train": {
            "batch_size": 2,
            "epochs": 200.0,
            "schedule": "late_linear",
            "best": "none",
        },
        "data": {"size": 256},
    },
}
