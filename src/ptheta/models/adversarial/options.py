"""The options of a GAN, and what in them goes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from ptheta.conditions import GIVEN, NONE, ConditionSpec, Kinds, parts_of
from ptheta.config import (
    AtLeastZero,
    Count,
    Entry,
    Fraction,
    NonNegative,
    OneOf,
    Positive,
    option,
)
from ptheta.losses.adversarial import LOSSES
from ptheta.losses.penalties import PENALTIES
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.latents import PRIORS
from ptheta.models.parts import Part, named
from ptheta.models.worded import TextConditional
from ptheta.nets.adversarial.config import NetConfig, network_of, odd_network, stages_of
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.nets.norms import norm_entry
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay, OptimizerName
from ptheta.specs import DataSpec

LossName: TypeAlias = Annotated[str, OneOf(LOSSES)]
PenaltyName: TypeAlias = Annotated[str, OneOf(PENALTIES)]
AugmentationName: TypeAlias = Annotated[str, OneOf(AUGMENTATIONS)]
ConditioningName: TypeAlias = Annotated[str, OneOf(CONDITIONING)]
PriorName: TypeAlias = Annotated[str, OneOf(PRIORS)]


@dataclass(frozen=True)
class GANConfig(TextConditional, NetConfig):
    loss: LossName = option(
        "non_saturating", "adversarial loss of generator and discriminator", basic=True
    )
    penalty: tuple[PenaltyName, ...] = option(
        (), "penalties on the discriminator, summed", basic=True
    )
    penalty_weight: Positive | None = option(
        None,
        "weight of each penalty (default: the penalty's own, 10 for those on gradients)",
        of="penalty",
    )
    weight_clip: AtLeastZero = option(
        0.0,
        "clip the discriminator's weights to +-this value after each step (1701.07875); 0: off",
        basic=True,
    )
    conditioning: ConditioningName = option(
        "none", "how the condition enters the networks", basic=True
    )
    class_weight: Positive = option(1.0, "weight of the auxiliary classifier's cross-entropy")
    latent: Count = option(100, "dimensions of the latent code z", basic=True)
    prior: PriorName = option("normal", "distribution of z", basic=True)
    search_steps: NonNegative = option(
        200, "optimisation steps of the latent search in inpainting (1607.07539)"
    )
    lr: Positive = option(2e-4, "learning rate", basic=True)
    d_lr: Positive | None = option(
        None, "discriminator's learning rate (TTUR; default: --lr)", basic=True
    )
    d_optimizer: OptimizerName | None = option(
        None, "discriminator's optimizer, such as sgd (default: --optimizer)"
    )
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)
    critic_steps: Count = option(1, "discriminator updates per generator update", basic=True)
    feature_matching: Fraction = option(
        0.0, "share of feature matching in the generator's loss (1606.03498); 1: all of it"
    )
    label_smoothing: Fraction = option(
        0.0, "one-sided label smoothing: target 1 - this for real examples (1606.03498)"
    )
    label_noise: Fraction = option(0.0, "move each target towards 1/2 by U(0, this)")
    label_flips: Fraction = option(0.0, "share of flipped real/fake labels")
    joint_batches: bool = option(
        False,
        "give the discriminator real and fake examples in one batch, with joint batch statistics "
        "(default: separate batches)",
    )
    replay: NonNegative = option(
        0,
        "size of a buffer of past fakes, which supply half of the fakes in each discriminator "
        "step (1612.07828, with 50); 0: none",
    )
    instance_noise: AtLeastZero = option(
        0.0,
        "standard deviation of noise added to all discriminator inputs: pixels in -1 to 1, numbers "
        "standardised",
    )
    instance_noise_steps: NonNegative = option(
        0,
        "steps over which that noise falls to 0 (1610.04490); 0: constant noise",
        of="instance_noise",
    )
    augment: tuple[AugmentationName, ...] = option(
        (),
        "differentiable augmentation of all discriminator inputs (2006.10738)",
        basic=True,
    )
    historical_averaging: AtLeastZero = option(
        0.0, "weight of the squared distance of parameters to their running mean (1606.03498)"
    )
    gamma: Fraction = option(0.5, "target diversity ratio E L(G(z)) / E L(x) of began (1703.10717)")
    equilibrium_rate: Positive = option(1e-3, "learning rate of began's k")
    code: Count = option(64, "code dimensions of began's autoencoding discriminator", basic=True)

    growth: Fraction = option(
        0.5,
        "share of the run in which the networks grow, divided equally among the smaller sizes "
        "(growing)",
    )
    fade: Fraction = option(
        0.5, "share of each size's phase, at its end, in which the next size fades in (growing)"
    )
    condition: Kinds = option("labels", f"unless conditioning is none: {GIVEN}", basic=True)

    def chosen(self) -> tuple[str, ...]:
        return (self.optimizer, self.d_optimizer or self.optimizer)

    def kinds(self) -> tuple[str, ...]:
        return super().kinds() if CONDITIONING[self.conditioning].takes else ()

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return (
            super().unsupported(spec, condition)
            or odd_spec(self, spec)
            or odd_condition(self, condition)
        )


# Options that are parts of the game, though they name no entry of a table: in use where not 0.
SOFT = frozenset({"soft_labels"})
TRICKS: dict[str, Entry] = {
    "label_smoothing": Entry(traits=SOFT),
    "label_noise": Entry(traits=SOFT),
    "label_flips": Entry(traits=SOFT),
    "weight_clip": Entry(traits=frozenset({"clipped"})),
    "spectral_norm": Entry(
        traits=frozenset({"normalised_weights"}),
        excludes={"clipped": "both bound the same weights, and spectral_norm cancels the clipping"},
    ),
    "equalised": Entry(
        excludes={
            "clipped": "it would clip weights of unit variance",
            "normalised_weights": "spectral_norm cancels its constants",
        }
    ),
}

# options that change the optimal discriminator, so that it gives no density ratio
BREAKS_DENSITY_RATIO = (
    *("label_noise", "label_flips", "instance_noise", "augment", "minibatch"),
    *("penalty", "weight_clip", "spectral_norm", "historical_averaging", "replay"),
)


# options of the generator only: their traits do not apply to the discriminator
OF_GENERATOR = ("g_norm",)


def parts(config: object) -> list[Part]:
    """All entries that the config names, and the tricks in use."""
    values = vars(config)
    tricks = [Part(name, values[name], entry) for name, entry in TRICKS.items() if values[name]]
    return named(config, OF_GENERATOR) + tricks


def odd_spec(config: GANConfig, spec: DataSpec) -> str | None:
    """Why a part of the config is not for such examples; None where all are."""
    for name in config.augment:
        if not isinstance(spec, AUGMENTATIONS[name].specs):
            return f"augment = {name} is not for {spec}: leave augment out"
    return odd_network(config, spec) or odd_growth(config, spec)


def odd_growth(config: GANConfig, spec: DataSpec) -> str | None:
    """Why a part of the config is not for networks that grow; None where they do not."""
    if stages_of(config, spec) == 1 or not norm_entry(discriminator_norm(config, spec)).refers:
        return None
    return (
        f"d_norm = {config.d_norm} does not go with stages = {config.stages}: its reference batch "
        "has one image size; use --stages 1 or another --d-norm"
    )


def odd_condition(config: GANConfig, condition: ConditionSpec | None) -> str | None:
    """Why a condition, or none, does not go with the config's conditioning; None where it does."""
    takes = CONDITIONING[config.conditioning].takes
    usual = GANConfig.__dataclass_fields__["condition"].default
    if not takes and config.condition not in (usual, NONE):
        return (
            f"condition = {config.condition} but conditioning = {config.conditioning}: choose "
            "a conditioning, such as conditioning = label"
        )
    given = [part.kind for part in parts_of(condition)]
    if not given and takes:
        return (
            f"conditioning = {config.conditioning} needs a condition, such as ptheta.Labels(names)"
        )
    if all(kind in takes for kind in given):
        return None
    if takes:
        return (
            f"conditioning = {config.conditioning} needs {' or '.join(takes)}: give "
            "condition=ptheta.Labels(names)"
        )
    ways = [name for name, way in CONDITIONING.items() if all(kind in way.takes for kind in given)]
    return (
        f"a condition of {' and '.join(given)} but conditioning = {config.conditioning}: choose "
        f"{', '.join(ways)}, or leave the condition out"
    )


def discriminator_norm(config: GANConfig, spec: DataSpec) -> str:
    """The discriminator's normalisation, with `auto` resolved."""
    if config.d_norm != "auto":
        return config.d_norm
    alone = any("batchwise" in part.entry.excludes for part in parts(config))
    autoencoding = LOSSES[config.loss].autoencoding
    free = not (alone or autoencoding or config.spectral_norm)
    return "batch" if network_of(config, spec).batch_norm and free else "none"
