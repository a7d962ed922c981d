"""The options of models that learn from pairs of images."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.conditions import Conditional, ConditionSpec, Image, Kinds, word
from ptheta.config import AtLeastZero, Count, Parts, Positive, option
from ptheta.models.adversarial.options import LossName
from ptheta.models.refusals import odd_loss, odd_norm
from ptheta.nets.adversarial.config import NormName, Share
from ptheta.nets.translation.moves import PairMoveName
from ptheta.nets.translation.patch import PatchName, PatchOptions
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay, OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec


@dataclass(frozen=True)
class PairsConfig(Conditional, OptimizerConfig):
    condition: Kinds = option("image", "condition of each example: the input image", basic=True)
    features: Count = option(64, "channels of the generator's largest map", basic=True)
    norm: NormName = option(
        "instance",
        "normalisation in all networks; instance: equals the paper's batch normalisation with "
        "batch size 1, but independent of batch size and the same in evaluation",
    )
    dropout: Share = option(0.0, "dropout in the generator's inner layers: its source of noise")
    noise_in_sampling: bool = option(False, "keep dropout in inference, as in the paper")
    receptive_field: PatchName = option("70", "receptive field of a discriminator logit, pixels")
    d_features: Count | None = option(
        None, "channels of the discriminator's first map (default: as --features)"
    )
    discriminators: Parts = option(
        1, "number of discriminators, each at half the size of the one before (1711.11585, with 3)"
    )
    unconditional_discriminator: bool = option(
        False, "give the discriminator only the outputs, without the inputs"
    )
    loss: LossName = option(
        "non_saturating", "adversarial loss of generator and discriminator", basic=True
    )
    l1_weight: AtLeastZero = option(
        100.0, "weight of the L1 distance to the target (label maps: cross-entropy); 0: none"
    )
    adversarial_weight: AtLeastZero = option(
        1.0, "weight of the generator's adversarial term; 0: no discriminator"
    )
    feature_matching: AtLeastZero = option(
        0.0, "weight of the L1 distance of discriminator features (1711.11585, with 10)"
    )
    augment: tuple[PairMoveName, ...] = option(
        (), "augmentation applied identically to input and target", basic=True
    )
    instance_edges: bool = option(
        False,
        "add the borders between instances as an input plane, for label maps with one colour per "
        "instance (1711.11585)",
    )
    lr: Positive = option(2e-4, "learning rate", basic=True)
    d_lr: Positive | None = option(
        None, "discriminator's learning rate (default: --lr)", basic=True
    )
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)

    @property
    def plays(self) -> bool:
        """Whether there is a discriminator."""
        return self.adversarial_weight > 0

    def patches(self) -> PatchOptions:
        return PatchOptions(self.receptive_field, self.d_features or self.features, self.norm)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return (
            super().unsupported(spec, condition)
            or odd_pair(self, spec, condition)
            or self._odd_parts()
        )

    def _odd_parts(self) -> str | None:
        """Why its parts do not go together, whatever the images are; None where they do."""
        if not self.l1_weight and not self.adversarial_weight:
            return "l1_weight = adversarial_weight = 0: nothing is left to learn; give one of both"
        if self.feature_matching and not self.plays:
            return (
                f"feature_matching = {self.feature_matching:g} is of the discriminator's features, "
                "and adversarial_weight = 0 makes none: leave one of both out"
            )
        if self.noise_in_sampling and not self.dropout:
            return "noise_in_sampling keeps the dropout, and there is none: give --dropout 0.5"
        return odd_norm({"norm": self.norm}) or odd_loss(self.loss)


def odd_pair(config: PairsConfig, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
    """Why these are no pairs that the config can learn; None where they are."""
    if not isinstance(spec, ImageSpec) or not isinstance(condition, Image):
        got = "got no input" if condition is None else f"cannot learn from {word(condition)}"
        return (
            f"a model of pairs {got}: give data with inputs (--pairs), or "
            "condition=ptheta.Image(spec of the inputs)"
        )
    given = condition.spec
    if given.shape[1:] != spec.shape[1:]:
        return (
            f"inputs of {given.height}x{given.width} and targets of {spec.height}x{spec.width} "
            "pixels: bring both to one size (--size)"
        )
    if config.instance_edges and not isinstance(given, LabelMapSpec):
        return (
            "instance_edges needs inputs that are label maps, with a colour for each instance, and "
            f"these are {given}: leave it out"
        )
    return None
