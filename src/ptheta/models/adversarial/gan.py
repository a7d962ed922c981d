"""Generative adversarial networks: loss x penalty x network x conditioning x tricks, by config.

Every published combination of these parts is a preset (`presets.py`): other defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition, joined
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES, accuracy, convergence, equilibrium
from ptheta.losses.penalties import PENALTIES, POINTS, At, Evaluation
from ptheta.models.adversarial.monitor import DIVERSITY, GAP, GANMonitor
from ptheta.models.adversarial.options import BREAKS_DENSITY_RATIO, GANConfig
from ptheta.models.adversarial.pair import Pair
from ptheta.models.adversarial.replay import Generated, Replay
from ptheta.models.adversarial.tricks import Histories, SoftLabels, pairwise_mse, remaining
from ptheta.nets.adversarial.discriminator import DiscriminatorOutput
from ptheta.specs import DataSpec


class Fakes(NamedTuple):
    """Values shared by the moves of a step.

    real: the step's examples in network scale, (B, *scaled_shape), or at the current size of
        growing networks; z: codes (B, L)
    fake: G(z), with its graph in steps in which the generator moves
    rated: the fakes for the discriminator, including replayed ones
    """

    real: Tensor
    z: Tensor
    fake: Tensor
    rated: Generated


class GAN(Pair):
    """A generator against a discriminator, in the game that the config describes."""

    k: Tensor | None

    def __init__(
        self,
        spec: DataSpec,
        config: GANConfig,
        condition: ConditionSpec | None = None,
        *,
        code_dim: int = 0,
        aux_dim: int = 0,
    ) -> None:
        """As of `Pair`."""
        super().__init__(spec, config, condition, code_dim=code_dim, aux_dim=aux_dim)
        self.penalties = {name: PENALTIES[name] for name in config.penalty}
        self.labels = SoftLabels(config.label_smoothing, config.label_noise, config.label_flips)
        self.past = Histories(self.networks()) if config.historical_averaging else None
        self.register_buffer("k", torch.zeros(()) if self.loss.autoencoding else None)
        if self.loss.autoencoding:  # of this step, for k; the discriminator's, so that the
            # processes of a training average them as they do its other statistics
            errors = torch.full((2,), math.nan)
            self.discriminator.register_buffer("errors", errors, persistent=False)
        code, shape = config.latent + code_dim, spec.scaled_shape
        self.replay = Replay(config.replay, shape, code, condition) if config.replay else None
        self.made: Generated | None = None  # in the last step, for the replay

    # -- the game

    def prepare(self, batch: Batch, clock: Clock) -> Fakes:
        """The examples and the fakes of a step, with the generator's graph where it will move."""
        self.grow(clock.share)
        y = self.asked(batch.condition)
        z = self.sample_latent(len(batch), y)
        moves = "generator" in clock.movers
        z.requires_grad_(moves and any(p.at == "code" for p in self.penalties.values()))
        with torch.set_grad_enabled(moves):
            fake = self.generate(z, y)
        rated = self.with_past(Generated(fake.detach(), z.detach(), y))
        return Fakes(self.presented(self.spec.scaled(batch.x)), z, fake, rated)

    def with_past(self, new: Generated) -> Generated:
        """The fakes for the discriminator at full size, half of them replayed if replay is on."""
        if self.replay is None:
            return new
        self.made = new._replace(x=self.enlarged(new.x))
        mixed = self.replay.mixed(self.made)
        return mixed._replace(x=self.sized(mixed.x))

    def generator_loss(self, batch: Batch, shared: Fakes) -> Terms:
        y, real, z, fake = self.asked(batch.condition), shared.real, shared.z, shared.fake
        if self.mixes:
            on_real, on_fake = self.discriminate_both(real, fake, y, y)
        else:
            on_fake = self.discriminate_augmented(fake, y)
            needs_real = self.loss.compares or self.config.feature_matching > 0
            on_real = self.discriminate_augmented(real, y) if needs_real else on_fake
        terms = self.matching_terms(on_fake, on_real)
        terms |= self.auxiliary_terms(on_fake.aux, z, y)
        at_code = Evaluation(z, fake, lambda codes: self.generate(codes, y))
        terms |= self.penalty_terms({"code": at_code})
        batch.logs[DIVERSITY] = pairwise_mse(fake.detach()) / pairwise_mse(real).clamp(min=1e-12)
        return terms | self.history_term("generator", len(batch))

    def matching_terms(self, on_fake: DiscriminatorOutput, on_real: DiscriminatorOutput) -> Terms:
        """The generator's loss, and the share of it that matches features."""
        share, terms = self.config.feature_matching, {}
        if share < 1:
            terms["adversarial"] = (1 - share) * self.loss.generator(on_fake.logits, on_real.logits)
        if share:
            fake, real = (streams.whole(on.features).mean(0) for on in (on_fake, on_real))
            gap = fake - real
            terms["features"] = (share * gap.square().sum()).expand(len(on_fake.logits))
        return terms

    def discriminator_loss(self, batch: Batch, shared: Fakes) -> Terms:
        y, past = self.asked(batch.condition), shared.rated
        x = {"real": shared.real.detach(), "fake": past.x.detach()}
        for penalty in self.penalties.values():
            if penalty.at in x:  # taken at the very examples, in no second pass
                x[penalty.at].requires_grad_()
        real, fake = x.values()
        on_real, on_fake = self.discriminate_both(real, fake, y, past.condition)
        terms = {"adversarial": self.adversarial_term(on_real.logits, on_fake.logits)}

        def logits_for(asked: Condition | None, points: Tensor) -> Tensor:
            return self.discriminate_augmented(points, asked).logits

        found: dict[At, Evaluation] = {
            "real": Evaluation(real, on_real.logits, partial(logits_for, y)),
            "fake": Evaluation(fake, on_fake.logits, partial(logits_for, past.condition)),
        }
        for at in dict.fromkeys(p.at for p in self.penalties.values() if p.at in POINTS):
            points = POINTS[at](real, fake).requires_grad_()
            found[at] = Evaluation(points, logits_for(y, points), partial(logits_for, y))
        terms |= self.penalty_terms(found)
        terms |= self.conditioning.real_terms(on_real.aux, y, self.config.class_weight)
        terms |= self.auxiliary_terms(on_fake.aux, past.z, past.condition)
        self.log(batch, on_real.logits.detach(), on_fake.logits.detach())
        return terms | self.history_term("discriminator", len(batch))

    @property
    def mixes(self) -> bool:
        """Whether an example's output depends on others, real and fake alike."""
        return self.batchwise and self.config.joint_batches

    def discriminate_both(
        self, real: Tensor, fake: Tensor, of_real: Condition | None, of_fake: Condition | None
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """In one pass where no example's output depends on the others, or where it shall depend on
        all of both; `of_real`, `of_fake`: their conditions."""
        if self.batchwise and not self.config.joint_batches:
            first = self.discriminate_augmented(real, of_real)
            return first, self.discriminate_augmented(fake, of_fake)
        asked = None if of_real is None or of_fake is None else joined([of_real, of_fake])
        return self.discriminate_augmented(torch.cat([real, fake]), asked).split(len(real))

    def penalty_terms(self, found: Mapping[At, Evaluation]) -> Terms:
        """The sum of the penalties at these points."""
        weight = self.config.penalty_weight
        return {
            name: (weight or penalty.weight) * penalty.cost(found[penalty.at])
            for name, penalty in self.penalties.items()
            if penalty.at in found
        }

    def adversarial_term(self, d_real: Tensor, d_fake: Tensor) -> Tensor:
        """The discriminator's loss with this config's labels and weights: (B,)."""
        if self.k is not None:
            errors = torch.stack([-d_real.detach().mean(), -d_fake.detach().mean()])
            self.discriminator.get_buffer("errors").copy_(errors)
            return self.loss.discriminator(d_real, self.k * d_fake)
        if self.loss.labelled is None or not any(self.labels):
            return self.loss.discriminator(d_real, d_fake)
        targets = self.labels.targets
        on_real = self.loss.labelled(d_real, targets(d_real, 1 - self.labels.smoothing))
        return on_real + self.loss.labelled(d_fake, targets(d_fake, 0.0))

    def auxiliary_terms(self, aux: Tensor | None, z: Tensor, y: Condition | None) -> Terms:
        """Auxiliary loss on generated examples, shared by both players."""
        return self.conditioning.fake_terms(aux, y, self.config.class_weight)

    def history_term(self, player: str, n: int) -> Terms:
        if self.past is None:
            return {}
        distance = self.past.distance(player)
        return {"history": (self.config.historical_averaging * distance).expand(n)}

    def log(self, batch: Batch, d_real: Tensor, d_fake: Tensor) -> None:
        """D(x) and D(G(z)) as probabilities where they are some, how often the discriminator is
        right, and the gap of the outputs."""
        read = torch.sigmoid if self.loss.probability else torch.Tensor.clone
        batch.logs["D(x)"], batch.logs["D(G(z))"] = read(d_real), read(d_fake)
        batch.logs["accuracy"] = accuracy(d_real, d_fake, self.loss.boundary)
        batch.logs[GAP] = d_real.mean() - d_fake.mean()
        for part in self.growing()[:1]:
            batch.logs["size"] = d_real.new_full((), min(part.size()))
            batch.logs["fade"] = d_real.new_full((), part.now()[1])
        if self.k is not None:
            batch.logs["k"] = self.k
            batch.logs["convergence"] = convergence(
                -d_real.mean(), -d_fake.mean(), self.config.gamma
            )

    def start(self, batch: Batch) -> None:
        """Virtual normalisation of the discriminator refers to the first examples of the data."""
        d = self.discriminator
        if d.reference_images is None:
            return
        at = torch.arange(len(d.reference_images), device=batch.x.device) % len(batch)
        d.reference_images.copy_(self.spec.scaled(batch.x[at]))
        if d.reference_numbers is not None:
            numbers = self.conditional_input(self.given(batch.condition)[at])
            if numbers is not None:
                d.reference_numbers.copy_(numbers)

    def after(self, step: int) -> None:
        """Updates after a step without gradients: clipping, k, the running mean of weights."""
        c = self.config
        self.steps.fill_(step)
        if c.weight_clip:
            for p in self.discriminator.parameters():
                p.clamp_(-c.weight_clip, c.weight_clip)
        if self.k is not None:
            errors = self.discriminator.get_buffer("errors")
            k = equilibrium(self.k, errors[0], errors[1], c.gamma, c.equilibrium_rate)
            self.k.copy_(torch.where(errors.isnan().any(), self.k, k))  # NaN: it has rested
            errors.fill_(math.nan)
        if self.past is not None:
            self.past.update(step)
        if self.replay is not None and self.made is not None:
            self.replay.update(self.made)

    def game(self) -> Game[Fakes]:
        c = self.config
        return Game(
            players={
                "generator": Player((self.generator,), c.optimizer_factory()),
                "discriminator": Player(
                    (self.discriminator,), c.optimizer_factory(c.d_lr, c.d_optimizer)
                ),
            },
            moves=(
                Move("discriminator", self.discriminator_loss),
                Move("generator", self.generator_loss, every=c.critic_steps),
            ),
            prepare=self.prepare,
            after=self.after,
            monitor=GANMonitor(self.loss.probability, c.label_smoothing),
            start=self.start,
        )

    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p_data(x) / p_model(x) as the discriminator has it: (B,) nats.

        Exact at the best discriminator (Goodfellow et al. 2014, proposition 1).
        Raises PthetaError where the loss, or its labels, do not make it readable.
        """
        left = self.config.instance_noise * remaining(self.steps, self.config.instance_noise_steps)
        fault = self.unreadable(replace(self.config, instance_noise=left.item()))
        if fault is not None:
            raise PthetaError(f"this model cannot estimate the density ratio: {fault}")
        assert self.loss.log_ratio is not None
        return self.loss.log_ratio(self.discriminate(x, condition), 1 - self.labels.smoothing)

    @classmethod
    def unreadable(cls, config: object) -> str | None:
        """The reason why a discriminator with these options does not give p_data / p_model; None
        if it does."""
        values = vars(config)
        if LOSSES[values["loss"]].log_ratio is None:
            readable = [name for name, loss in LOSSES.items() if loss.log_ratio is not None]
            return (
                f"loss = {values['loss']}: its optimal discriminator is not a "
                f"function of p_data / p_model; train with {', '.join(readable)}"
            )
        odd = (n for n in BREAKS_DENSITY_RATIO if values[n] not in (0, (), "none"))
        name = next(odd, None)
        if name is None:
            return None
        return (
            f"{name} changes what the discriminator learns, so p_data / p_model cannot be "
            "computed: train without it"
        )
