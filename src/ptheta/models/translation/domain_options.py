"""The options of a model that carries images from domain to domain."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.conditions import GIVEN, Conditional, ConditionSpec, Kinds, Labels
from ptheta.config import AtLeastZero, Count, NonNegative, Parts, Positive, option
from ptheta.losses.adversarial import LOSSES
from ptheta.models.adversarial.options import LossName
from ptheta.nets.adversarial.config import NormName
from ptheta.nets.norms import NORMS
from ptheta.nets.translation.ends import EndName
from ptheta.nets.translation.generators import GENERATORS, ImageGeneratorName
from ptheta.nets.translation.moves import PairMoveName
from ptheta.nets.translation.patch import PatchName
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay, OptimizerConfig
from ptheta.specs import DataSpec


@dataclass(frozen=True)
class CycleGANConfig(Conditional, OptimizerConfig):
    generator: ImageGeneratorName = option("residual", "generator network", basic=True)
    features: Count = option(32, "channels of the generator's largest map", basic=True)
    blocks: Parts = option(6, "residual blocks", basic=True)
    resize: bool = option(
        False, "upsample by nearest neighbour and convolution, not by transposed convolution"
    )
    kernel: Parts = option(
        7, "kernel size of the residual generator's first and last convolutions, pixels; odd"
    )
    output: EndName = option("image", "output of the generator")
    norm: NormName = option("instance", "normalisation in all networks")
    receptive_field: PatchName = option("34", "receptive field of a discriminator logit, pixels")
    d_features: Count = option(32, "channels of the discriminator's first layer")
    d_norm: NormName | None = option(None, "normalisation in the discriminator (default: --norm)")
    shared: bool = option(
        False, "one domain-conditional generator and discriminator; always for 3 or more domains"
    )
    loss: LossName = option(
        "least_squares", "adversarial loss of generator and discriminator", basic=True
    )
    adversarial_weight: Positive = option(
        2.0, "weight of the generator's adversarial term; 2: least squares without the factor 1/2"
    )
    cycle_weight: AtLeastZero = option(
        10.0, "weight of the cycle-consistency L1 loss, pixels in -1..1; 0: none"
    )
    identity_weight: AtLeastZero = option(
        0.5, "weight of the identity loss, relative to cycle_weight; 0: none"
    )
    class_weight: Positive = option(1.0, "weight of the domain classification loss (shared)")
    pool: NonNegative = option(
        50, "replay buffer of past images per domain for the discriminators (1612.07828); 0: none"
    )
    augment: tuple[PairMoveName, ...] = option(
        (), "augmentation of the training images", basic=True
    )
    lr: Positive = option(2e-4, "learning rate", basic=True)
    d_lr: Positive | None = option(
        None, "discriminator's learning rate (default: --lr)", basic=True
    )
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)
    critic_steps: Count = option(1, "discriminator updates per generator update", basic=True)
    condition: Kinds = option("labels", f"the domains: {GIVEN}", basic=True)

    @property
    def of_identity(self) -> float:
        """The weight of the identity term."""
        return self.cycle_weight * self.identity_weight

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or self._odd_part() or odd_domains(condition)

    def _odd_part(self) -> str | None:
        if LOSSES[self.loss].compares or LOSSES[self.loss].autoencoding:
            able = [n for n, loss in LOSSES.items() if not (loss.compares or loss.autoencoding)]
            return (
                f"loss = {self.loss} does not rate the images of a domain one by one: choose "
                f"{', '.join(able)}"
            )
        if GENERATORS[self.generator].staged:
            able = [name for name, generator in GENERATORS.items() if not generator.staged]
            return (
                f"generator = {self.generator} learns a part first, for which there is no time "
                f"here: choose {' or '.join(able)}"
            )
        if self.kernel % 2 == 0:
            return f"kernel = {self.kernel} must be odd: give {self.kernel + 1}"
        for name in ("norm", "d_norm"):
            norm = NORMS.get(vars(self)[name])
            if norm is not None and (norm.refers or "batchwise" in norm.traits):
                able = [n for n, o in NORMS.items() if not (o.refers or "batchwise" in o.traits)]
                return (
                    f"{name} = {vars(self)[name]} mixes the images of a batch, which are of "
                    f"several domains: choose {', '.join(able)}"
                )
        return None


def odd_domains(condition: ConditionSpec | None) -> str | None:
    """Why these are no domains to carry images over between: one sentence, or None."""
    if not isinstance(condition, Labels):
        return (
            "CycleGAN carries images from one domain to another and got no domains: give data with "
            "a folder for each, or condition=ptheta.Labels(names)"
        )
    if len(condition) < 2:
        return (
            f"CycleGAN carries images from one domain to another and got {condition.names[0]!r} "
            "alone: give the images of another one, too"
        )
    return None
