"""A generator of images of captions and the discriminator against it, with what both pay."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal
from ptheta.games import Terms
from ptheta.losses.adversarial import LOSSES, accuracy
from ptheta.losses.image_text import PAIR_PENALTIES, matching_aware, pair_penalty
from ptheta.models.adversarial.monitor import DIVERSITY, GAP
from ptheta.models.adversarial.tricks import pairwise_mse
from ptheta.models.text.options import TextConfig
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.nets.text_to_image.augmentation import ConditioningAugmentation
from ptheta.nets.text_to_image.discriminator import MatchingDiscriminator
from ptheta.nets.text_to_image.generator import Coarse, Refiner, TextGenerator


class Made(NamedTuple):
    """Images generated from sentence embeddings, those of interpolated ones last.

    images: in [-1, 1], (N, C, H, W); sentences: (N, W)
    q: the distribution of conditioning augmentation, if used
    """

    images: Tensor
    sentences: Tensor
    q: Normal | None


class Step(NamedTuple):
    """Values shared by the moves of a step.

    number: 1, 2, ...; real: its images in network scale, at the size of the stage in training
    made: images of its captions, and of interpolated ones; None during pretraining of the encoder
    """

    number: int
    real: Tensor
    made: Made | None


class Captions(NamedTuple):
    """The captions of a step's images, as the discriminator is given them.

    right: of each image, (B, W); wrong: of another, (B, W)
    differs: bool (B,), whether these two are not the same caption
    """

    right: Tensor
    wrong: Tensor
    differs: Tensor


class Stage(nn.Module):
    """noise: numbers that are drawn for each image"""

    def __init__(
        self, shape: tuple[int, int, int], config: TextConfig, coarse: Coarse | None = None
    ) -> None:
        """shape: of the images, (C, H, W); coarse: the images that it refines, which bring
        what the code decides; None where it makes images of nothing but code and sentence"""
        super().__init__()
        self.config, self.loss = config, LOSSES[config.loss]
        given = config.augmented or config.text_width
        self.latent = config.latent if coarse is None else 0
        self.noise = self.latent + config.augmented
        self.augmentation = (
            ConditioningAugmentation(config.text_width, config.augmented)
            if config.augmented
            else None
        )
        numbers, options = self.latent + given, config.maps()
        self.generator: nn.Module
        if coarse is None:
            self.generator = TextGenerator(shape, numbers, options)
        else:
            self.generator = Refiner(shape, coarse, numbers, options)
        self.discriminator = MatchingDiscriminator(shape, config.judge())

    def makers(self) -> tuple[nn.Module, ...]:
        """What makes images, of this stage."""
        return tuple(filter(None, (self.generator, self.augmentation)))

    def make(self, noise: Tensor, sentences: Tensor, coarse: Tensor | None = None) -> Made:
        """noise: (N, noise); sentences: (N, W); coarse: images (N, C, h, w) of a stage before."""
        z, drawn = noise.split([self.latent, self.config.augmented], 1)
        q = None if self.augmentation is None else self.augmentation(sentences)
        given = sentences if q is None else q.mean + torch.exp(0.5 * q.log_var) * drawn
        numbers = torch.cat([z, given], 1)
        extra = () if coarse is None else (coarse,)
        made: Tensor = self.generator(numbers, *extra)
        return Made(made, sentences, q)

    # -- losses of the players

    def augmented(self, images: Tensor) -> Tensor:
        """As the discriminator sees them in training."""
        for name in self.config.augment:
            images = AUGMENTATIONS[name].apply(images)
        return images

    def maps(self, images: Tensor) -> Tensor:
        """What the discriminator finds in images alone."""
        return self.discriminator.maps(self.augmented(images))

    def generator_terms(self, batch: Batch, real: Tensor, made: Made) -> Terms:
        """real: images of the step as networks see them, (B, C, H, W)"""
        judge, n = self.discriminator, len(real)
        d = judge.rated(self.maps(made.images), made.sentences)
        on_real = d[:n]
        if self.loss.compares:
            on_real = judge.rated(self.maps(real), made.sentences[:n])
        terms = {"adversarial": self.loss.generator(d[:n], on_real)}
        if len(d) > n:
            terms["interpolated"] = self.config.interpolated * self.loss.generator(d[n:], on_real)
        if made.q is not None:
            terms["kl"] = kl_standard_normal(made.q.mean[:n], made.q.log_var[:n])
        spread = pairwise_mse(made.images[:n].detach()) / pairwise_mse(real).clamp(min=1e-12)
        batch.logs[DIVERSITY] = spread
        return terms

    def discriminator_terms(
        self, batch: Batch, real: Tensor, fake: Tensor, captions: Captions, step: int
    ) -> Terms:
        """fake: images made of the captions `captions.right`, detached, (B, C, H, W)"""
        judge, c = self.discriminator, self.config
        penalised = c.penalty in PAIR_PENALTIES and step % c.penalty_every == 0
        right = captions.right
        if penalised:
            real = real.detach().requires_grad_()
            right = right if right.requires_grad else right.detach().requires_grad_()
        seen = self.maps(real)
        on_right = judge.rated(seen, right)
        on_wrong = judge.rated(seen, captions.wrong) if c.wrong_captions else on_right
        on_fake = judge.rated(self.maps(fake), right)
        share, differs = c.wrong_captions, captions.differs
        paid = matching_aware(self.loss, on_right, on_wrong, on_fake, share=share, differs=differs)
        terms = {"adversarial": paid}
        if penalised:
            penalty = PAIR_PENALTIES[c.penalty]
            weight = (c.penalty_weight or penalty.weight) * c.penalty_every
            terms[c.penalty] = weight * pair_penalty(penalty, on_right, real, right)
        self._log(batch, on_right.detach(), on_wrong.detach(), on_fake.detach())
        return terms

    def _log(self, batch: Batch, right: Tensor, wrong: Tensor, fake: Tensor) -> None:
        """Outputs for real pairs, wrong captions and generated images, and the accuracy of
        classification."""
        read = torch.sigmoid if self.loss.probability else torch.Tensor.clone
        batch.logs |= {"D(x)": read(right), "D(x, wrong)": read(wrong), "D(G(z))": read(fake)}
        batch.logs["accuracy"] = accuracy(right, fake, self.loss.boundary)
        batch.logs["accuracy, wrong"] = accuracy(right, wrong, None)
        batch.logs[GAP] = right.mean() - fake.mean()


def others(rows: Tensor) -> Tensor:
    """The row of another example of the batch for each, rows (B, ...): the one before it, of all
    processes' examples."""
    return streams.back(streams.whole(rows).roll(1, 0))
