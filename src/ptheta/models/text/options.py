"""The options of models that make an image of a caption, and what in them goes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from annotated_types import Ge, Lt

from ptheta.conditions import ConditionSpec, Kinds, Text, word
from ptheta.config import AtLeastZero, Count, Fraction, NonNegative, OneOf, Positive, option
from ptheta.losses.image_text import PAIR_PENALTIES
from ptheta.models.adversarial.options import AugmentationName, LossName
from ptheta.models.refusals import odd_loss, odd_norm
from ptheta.models.worded import TextConditional
from ptheta.nets.adversarial.config import NormName
from ptheta.nets.text import TextEncoderName
from ptheta.nets.text_to_image.discriminator import JudgeOptions
from ptheta.nets.text_to_image.fusion import FusionName
from ptheta.nets.text_to_image.generator import MapOptions
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay
from ptheta.specs import DataSpec

PairPenaltyName: TypeAlias = Annotated[str, OneOf(PAIR_PENALTIES, "none")]
BeforeTheEnd = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class TextConfig(TextConditional):
    condition: Kinds = option("text", "condition of each example: its caption", basic=True)
    text_encoder: TextEncoderName = option("gru", "caption encoder")
    text_width: Count = option(64, "dimensions of the caption embedding")
    matching: BeforeTheEnd = option(
        0.1,
        "share of the run, at its start, that pretrains the encoder to match images and captions "
        "and then freezes it; 0: trained with the discriminator",
        basic=True,
    )
    matching_weight: AtLeastZero = option(
        0.0,
        "weight of the pretrained encoder's matching loss between generated images and their "
        "captions in the generator's loss (1711.10485); 0: off",
        basic=True,
    )
    wrong_captions: Fraction = option(
        0.5,
        "share of the discriminator's loss for real images with mismatched captions (1605.05396); "
        "0: none",
    )
    interpolated: AtLeastZero = option(
        0.0,
        "weight of the generator's loss on midpoints of two caption embeddings (1605.05396, with "
        "1); 0: off",
    )
    fusion: FusionName = option("deep", "how the caption enters the generator's layers")
    augmented: NonNegative = option(
        0,
        "dimensions of conditioning augmentation, whose KL is a loss term (1612.03242, with 128); "
        "0: the generator gets the sentence embedding itself",
    )
    latent: Count = option(32, "dimensions of the latent code z", basic=True)
    features: Count = option(32, "channels of the generator's largest map", basic=True)
    d_features: Count | None = option(
        None, "channels of the discriminator's first map (default: as --features)"
    )
    norm: NormName = option("none", "normalisation between the generator's layers")
    d_norm: NormName = option("none", "normalisation between the discriminator's layers")
    loss: LossName = option("hinge", "adversarial loss of generator and discriminator", basic=True)
    penalty: PairPenaltyName = option(
        "matching", "penalty on the discriminator at real images and their captions", basic=True
    )
    penalty_weight: Positive | None = option(
        None,
        "weight of the penalty (default: the penalty's own: matching 2, r1 10)",
        of="penalty",
    )
    penalty_every: Count = option(
        1,
        "lazy regularisation: steps between penalties, scaled up to match (1912.04958, with 16)",
        of="penalty",
    )
    augment: tuple[AugmentationName, ...] = option(
        (),
        "differentiable augmentation of all discriminator inputs (2006.10738)",
        basic=True,
    )
    lr: Positive = option(2e-4, "learning rate", basic=True)
    d_lr: Positive | None = option(
        None, "discriminator's learning rate (default: --lr)", basic=True
    )
    matching_lr: Positive = option(
        1e-3, "learning rate of the encoder's pretraining", of="matching"
    )
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)
    critic_steps: Count = option(1, "discriminator updates per generator update", basic=True)

    def maps(self) -> MapOptions:
        return MapOptions(self.features, self.fusion, self.norm)

    def judge(self) -> JudgeOptions:
        return JudgeOptions(self.d_features or self.features, self.d_norm, self.text_width)

    def has_kl(self) -> bool:
        """Whether the generator has a KL term of conditioning augmentation."""
        return bool(self.augmented)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_condition(condition) or self._odd_parts()

    def _odd_parts(self) -> str | None:
        """Why its parts do not go together, whatever the data are; None where they do."""
        if self.matching_weight and not self.matching:
            return (
                f"matching_weight = {self.matching_weight:g} is by an encoder that has learned "
                "first, and matching = 0 has none: give --matching 0.1, or --matching-weight 0"
            )
        return odd_norm({name: vars(self)[name] for name in OF_NORMS}) or odd_loss(self.loss)


OF_GENERATOR = ("norm",)  # their traits belong to another network
OF_NORMS = (*OF_GENERATOR, "d_norm")


def odd_condition(condition: ConditionSpec | None) -> str | None:
    """Why these are no captions; None where they are."""
    if isinstance(condition, Text):
        return None
    got = "got none" if condition is None else f"cannot learn from {word(condition)} alone"
    return (
        f"a model of captions {got}: give data with captions (such as a .txt next to each image), "
        "or condition=ptheta.Text(vocabulary, length)"
    )
