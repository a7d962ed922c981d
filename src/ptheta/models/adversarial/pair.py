"""The two networks of a GAN: codes, images, and what the discriminator makes of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Batch
from ptheta.conditions import ConditionSpec, classes_of
from ptheta.config import check_choices
from ptheta.errors import PthetaError
from ptheta.losses.adversarial import LOSSES
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.latents import PRIORS
from ptheta.models.adversarial.options import GANConfig, discriminator_norm, parts, validate
from ptheta.models.adversarial.tricks import remaining
from ptheta.nets.adversarial.config import check_size
from ptheta.nets.adversarial.discriminator import Discriminator, DiscriminatorOutput
from ptheta.nets.adversarial.generator import Generator
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.nets.norms import NORMS
from ptheta.specs import ImageSpec, from_symmetric, to_symmetric


class Pair(nn.Module):
    """A generator G(z) and a discriminator d(x), with what each is given beside code and image.

    Raises PthetaError for parts that do not go together, with the reason.
    """

    steps: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        config: GANConfig,
        condition: ConditionSpec | None = None,
        *,
        code_dim: int = 0,
        aux_dim: int = 0,
    ) -> None:
        """code_dim: numbers of the generator's input beside z and labels; aux_dim: size of the
        discriminator's auxiliary output, where the conditioning needs none."""
        super().__init__()
        check_choices(config)
        check_size(spec, config)
        validate(config, condition)
        self.spec, self.config, self.condition = spec, config, condition
        self.loss, self.conditioning = LOSSES[config.loss], CONDITIONING[config.conditioning]
        self.classes = classes_of(condition)
        norm = discriminator_norm(config)
        traits = {*NORMS[norm].traits, *(t for part in parts(config) for t in part.traits())}
        self.batchwise = "batchwise" in traits  # an image's output depends on its batch
        way, classes = self.conditioning, self.classes
        inputs = config.latent + way.generator_dim(classes) + code_dim
        self.generator = Generator(spec, config, inputs)
        self.discriminator = Discriminator(
            spec,
            config,
            norm,
            cond_dim=way.discriminator_dim(classes),
            aux_dim=way.aux_dim(classes) or aux_dim,
            label_term=lambda width: way.label_term(classes, width),
            autoencoding=config.code if self.loss.autoencoding else 0,
        )
        self.register_buffer("steps", torch.zeros(()))
        if self.generator.reference is not None:
            labels = torch.arange(config.reference) % max(1, self.classes)
            z = self.sample_latent(config.reference, labels)
            self.generator.reference = self.generator_input(z, labels)

    # -- codes, images, outputs of the discriminator

    def sample_latent(self, n: int, condition: Tensor | None = None) -> Tensor:
        return PRIORS[self.config.prior].sample(n, self.config.latent, self.steps.device)

    def generator_input(self, z: Tensor, y: Tensor | None) -> Tensor:
        """What the generator sees: the code, and what the conditioning makes of the label."""
        if not self.classes:
            return z
        label = self.conditioning.generator_input(self.given(y), self.classes)
        return torch.cat([z, label.to(z.dtype)], 1)

    def given(self, y: Tensor | None) -> Tensor:
        """The labels. Raises PthetaError where there are none."""
        if y is None:
            raise PthetaError(
                f"this model is conditional on {self.classes} labels and got none: give a condition"
            )
        return y

    def labels_of(self, batch: Batch) -> Tensor | None:
        return batch.y if self.classes else None

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """z (B, L) -> float images (B, C, H, W) in [-1, 1]."""
        return self.generator(self.generator_input(z, y))

    def discriminate_batch(self, images: Tensor, y: Tensor | None) -> DiscriminatorOutput:
        """Of float images in [-1, 1] and their labels."""
        if not self.classes:
            return self.discriminator(images)
        y = self.given(y)
        numbers = self.conditioning.discriminator_input(y, self.classes)
        return self.discriminator(images, None if numbers is None else numbers.to(images.dtype), y)

    def augmented(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them in training: augmented, with instance noise."""
        c = self.config
        for name in c.augment:
            images = AUGMENTATIONS[name].apply(images)
        if c.instance_noise:
            left = remaining(self.steps, c.instance_noise_steps)
            images = images + c.instance_noise * left * torch.randn_like(images)
        return images

    def discriminate_augmented(self, images: Tensor, y: Tensor | None) -> DiscriminatorOutput:
        return self.discriminate_batch(self.augmented(images), y)

    # -- capabilities

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return from_symmetric(self.generate(z, condition), self.spec.levels)

    def sample(self, n: int, condition: Tensor | None = None) -> Tensor:
        return self.decode(self.sample_latent(n, condition), condition)

    def discriminate(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Outputs d, higher for what looks real: (B,). Logits where the loss makes them so."""
        return self.discriminate_batch(to_symmetric(self.spec.check(x)), condition).logits

    def networks(self) -> dict[str, nn.Module]:
        """By player."""
        return {"generator": self.generator, "discriminator": self.discriminator}
