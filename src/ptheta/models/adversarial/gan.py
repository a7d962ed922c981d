"""Generative adversarial networks: loss x penalty x network x condition x tricks, by config.

Every published combination of these parts is a preset (`presets.py`): other defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy as class_entropy
from torch.nn.functional import normalize

from ptheta.batch import Batch, Condition, repeated
from ptheta.compute import streams
from ptheta.conditions import GIVEN, Conditional, ConditionSpec, Kinds, Labels, classes_of, word
from ptheta.conditions.base import tensor_of
from ptheta.config import (
    AtLeastZero,
    Count,
    Fraction,
    NonNegative,
    Positive,
    check_choices,
    option,
)
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES, accuracy, convergence, equilibrium
from ptheta.losses.penalties import PENALTIES, squared_slopes
from ptheta.models.adversarial.watch import Watch
from ptheta.models.base import EVERY_KIND, ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.adversarial import (
    KINDS,
    Discriminator,
    Generator,
    Judgement,
    NetConfig,
    check_size,
)
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.optimizers import BESIDE_LR, Decay, OptimizerConfig
from ptheta.specs import ImageSpec, from_symmetric, to_symmetric


class Conditioning(NamedTuple):
    """How the discriminator uses a label; the generator sees it in any case."""

    tells_discriminator: bool = False
    classifies: bool = False
    projects: bool = False


CONDITIONING: dict[str, Conditioning] = {
    "none": Conditioning(),
    "label": Conditioning(tells_discriminator=True),
    "auxiliary": Conditioning(classifies=True),
    "projection": Conditioning(projects=True),
}


if TYPE_CHECKING:
    LossName: TypeAlias = str
    PenaltyName: TypeAlias = str
    AugmentationName: TypeAlias = str
    ConditioningName: TypeAlias = str
else:  # the names are those of the tables: a new entry there is all that a new part takes
    LossName, PenaltyName = Literal[*LOSSES], Literal[*PENALTIES]
    AugmentationName, ConditioningName = Literal[*AUGMENTATIONS], Literal[*CONDITIONING]


@dataclass(frozen=True)
class GANConfig(Conditional, NetConfig, OptimizerConfig):
    loss: LossName = option("non_saturating", "what the two players minimise")
    penalty: tuple[PenaltyName, ...] = option(
        (), f"gradient penalties, summed: {', '.join(PENALTIES)}"
    )
    penalty_weight: Positive | None = option(None, "of each penalty; none: its own default, 10")
    weight_clip: AtLeastZero = option(
        0.0, "the discriminator's weights are clipped to +-this after each step (1701.07875); 0: no"
    )
    conditioning: ConditioningName = option(
        "none",
        "how the label enters: label: both networks are given it (1411.1784); auxiliary: the "
        "discriminator classifies (1610.09585); projection: the label's embedding is projected on "
        "the features (1802.05637)",
    )
    class_weight: Positive = option(1.0, "of the auxiliary classifier's cross-entropy")
    latent: Count = option(100, "dimensions of the code z")
    prior: Literal["normal", "sphere"] = option(
        "normal", "of z: N(0, I), or uniform on the sphere of radius sqrt(latent) (1609.04468)"
    )
    lr: Positive = option(2e-4, "learning rate")
    d_lr: Positive | None = option(None, "the discriminator's, if another (two time scales)")
    beta1: Decay | None = option(0.5, BESIDE_LR["beta1"].help)
    critic_steps: Count = option(
        1, "the discriminator moves in every step, the generator in every so many-th"
    )
    feature_matching: Fraction = option(
        0.0, "share of the generator's loss that matches mean features (1606.03498); 1: all of it"
    )
    label_smoothing: Fraction = option(
        0.0, "real images are labelled 1 - this, fakes 0 (one-sided, 1606.03498)"
    )
    label_noise: Fraction = option(0.0, "each label is moved towards 1/2 by U(0, this)")
    label_flips: Fraction = option(0.0, "share of labels that are the wrong way round")
    instance_noise: AtLeastZero = option(
        0.0, "deviation of the noise on all that the discriminator sees, pixels in -1 to 1"
    )
    instance_noise_steps: NonNegative = option(
        0, "steps over which that noise falls to 0 (1610.04490); 0: it stays"
    )
    augment: tuple[AugmentationName, ...] = option(
        (),
        "differentiable augmentation of all that the discriminator sees (2006.10738): "
        f"{', '.join(AUGMENTATIONS)}",
    )
    historical_averaging: AtLeastZero = option(
        0.0, "weight of the squared distance of weights to their past mean (1606.03498)"
    )
    gamma: Fraction = option(0.5, "diversity E L(G(z)) / E L(x) that began holds (1703.10717)")
    equilibrium_rate: Positive = option(1e-3, "learning rate of began's k")
    code: Count = option(64, "numbers that began's discriminator rebuilds an image from")

    condition: Kinds = option("labels", f"where conditioning is not none, {GIVEN}")

    def kinds(self) -> tuple[str, ...]:
        return () if self.conditioning == "none" else super().kinds()


# options under which the best discriminator is not that of densities and hard labels
NOT_FREE = (
    *("label_noise", "label_flips", "instance_noise", "augment", "minibatch"),
    *("penalty", "weight_clip", "spectral_norm", "historical_averaging"),
)


class Fakes(NamedTuple):
    """What the moves of one step share.

    real: the step's images, (B, C, H, W) in [-1, 1]; z: codes (B, L)
    fake: G(z), with its graph in the steps in which the generator moves
    """

    real: Tensor
    z: Tensor
    fake: Tensor


class History(nn.Module):
    """The mean over all past steps of a player's weights (Salimans et al. 2016, section 3.3)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        for i, p in enumerate(module.parameters()):
            self.register_buffer(f"mean{i}", p.detach().clone())

    def distance(self, module: nn.Module) -> Tensor:
        """|theta - mean|^2"""
        pairs = zip(module.parameters(), self.buffers(), strict=True)
        return torch.stack([(p - mean).square().sum() for p, mean in pairs]).sum()

    def update(self, module: nn.Module, step: int) -> None:
        """With the weights after step `step`, those before step 1 being the first of the mean."""
        means, now = list(self.buffers()), [p.detach() for p in module.parameters()]
        torch._foreach_lerp_(means, now, 1 / (step + 1))


class GAN(ImageModel):
    """A generator G(z) against a discriminator d(x), in the game that the config describes.

    Raises PthetaError for parts that do not go together, with the reason.
    """

    takes = EVERY_KIND
    steps: Tensor
    k: Tensor | None
    past: dict[str, History]

    def __init__(
        self,
        spec: ImageSpec,
        config: GANConfig,
        condition: ConditionSpec | None = None,
        *,
        inputs: int = 0,
        tells: int = 0,
    ) -> None:
        """inputs: of the generator beside z and labels; tells: numbers that the discriminator is
        to say of an image beside d."""
        super().__init__(spec, config, condition)
        check_choices(config)
        check_size(spec, config)
        refuse(config, condition)
        self.config = config
        self.loss, self.conditioning = LOSSES[config.loss], CONDITIONING[config.conditioning]
        self.classes = classes_of(condition)
        size = 0 if condition is None else condition.size
        norm = discriminator_norm(config)
        self.batchwise = norm == "batch" or config.minibatch != "none"
        self.generator = Generator(spec, config, config.latent + size + inputs)
        self.discriminator = Discriminator(
            spec,
            config,
            norm,
            numbers=size if self.conditioning.tells_discriminator else 0,
            tells=self.classes if self.conditioning.classifies else tells,
            projects=self.classes if self.conditioning.projects else 0,
            autoencoding=config.code if self.loss.autoencoding else 0,
        )
        players = {"generator": self.generator, "discriminator": self.discriminator}
        kept = players if config.historical_averaging else {}
        # a dict to the reader, a ModuleDict for its buffers
        self.past = nn.ModuleDict({k: History(m) for k, m in kept.items()})  # type: ignore[assignment]
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("k", torch.zeros(()) if self.loss.autoencoding else None)
        if self.loss.autoencoding:  # of this step, for k; the discriminator's, so that the
            # processes of a training average them as they do its other statistics
            errors = torch.full((2,), math.nan)
            self.discriminator.register_buffer("errors", errors, persistent=False)
        if self.generator.reference is not None:
            every = None if condition is None else condition.examples(config.reference)
            z = self.sample_latent(config.reference, every)
            self.generator.reference = self.numbers(z, every)

    # -- codes, images, judgements

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        z = streams.normal(n, self.config.latent, device=self.steps.device)
        return z if self.config.prior == "normal" else on_sphere(z)

    def numbers(self, z: Tensor, y: Condition | None) -> Tensor:
        """What the generator sees: the code, and the label as its extension."""
        if self.condition is None:
            return z
        return torch.cat([z, self.condition.vector(self.given(y)).to(z.dtype)], 1)

    def generate(self, z: Tensor, y: Condition | None = None) -> Tensor:
        """z (B, L) -> float images (B, C, H, W) in [-1, 1]."""
        return self.generator(self.numbers(z, y))

    def judge(self, images: Tensor, y: Condition | None) -> Judgement:
        """Float images in [-1, 1], and their labels, as the discriminator sees them."""
        if self.condition is None:
            return self.discriminator(images)
        y = self.given(y)
        told = self.conditioning.tells_discriminator
        numbers = self.condition.vector(y).to(images.dtype) if told else None
        return self.discriminator(images, numbers, y if self.conditioning.projects else None)

    def shown(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them in training: augmented, with instance noise."""
        for name in self.config.augment:
            images = AUGMENTATIONS[name](images)
        if self.config.instance_noise:
            left = torch.ones_like(self.steps)
            if self.config.instance_noise_steps:
                left = (1 - self.steps / self.config.instance_noise_steps).clamp(min=0)
            images = images + self.config.instance_noise * left * streams.normal_like(images)
        return images

    def asked(self, batch: Batch) -> Condition | None:
        """The batch's conditions where the model is given them."""
        return None if self.condition is None else batch.condition

    # -- the game

    def prepare(self, batch: Batch, clock: Clock) -> Fakes:
        """The images and the fakes of a step: the generator's graph is kept where it will move."""
        y = self.asked(batch)
        z = self.sample_latent(len(batch), y)
        with torch.set_grad_enabled("generator" in clock.movers):
            fake = self.generate(z, y)
        return Fakes(to_symmetric(batch.x), z, fake)

    def generator_loss(self, batch: Batch, shared: Fakes) -> Terms:
        c, y = self.config, self.asked(batch)
        real, z, fake = shared
        judged = self.judge(self.shown(fake), y)
        needs_real = self.loss.compares or c.feature_matching > 0
        on_real = self.judge(self.shown(real), y) if needs_real else judged
        terms = {}
        if c.feature_matching < 1:
            adversarial = self.loss.generator(judged.d, on_real.d)
            terms["adversarial"] = (1 - c.feature_matching) * adversarial
        if c.feature_matching:
            gap = judged.features.mean(0) - on_real.features.mean(0)
            terms["features"] = (c.feature_matching * gap.square().sum()).expand(len(batch))
        terms |= self.told_terms(judged.told, z, y)
        batch.logs["diversity"] = spread(fake.detach()) / spread(real).clamp(min=1e-12)
        return terms | self.past_term("generator", len(batch))

    def discriminator_loss(self, batch: Batch, shared: Fakes) -> Terms:
        c, y = self.config, self.asked(batch)
        penalties = [PENALTIES[name] for name in c.penalty]
        # a penalty there needs the slope at the images themselves: no second pass for it
        real, fake = shared.real.detach(), shared.fake.detach()
        for images in (real, fake):
            if any(p.points(real, fake) is images for p in penalties if not p.moves):
                images.requires_grad_()
        on_real, on_fake = self.judge_both(real, fake, y)
        terms = {"adversarial": self.against(on_real.d, on_fake.d)}
        for name, penalty in zip(c.penalty, penalties, strict=True):
            points = penalty.points(real, fake)
            if points is real or points is fake:
                d = on_real.d if points is real else on_fake.d
            else:
                points = points.requires_grad_()
                d = self.judge(self.shown(points), y).d
            cost = penalty.cost(squared_slopes(d, points))
            terms[name] = (c.penalty_weight or penalty.weight) * cost
        if self.conditioning.classifies and on_real.told is not None:
            terms["class_of_real"] = c.class_weight * class_entropy(
                on_real.told, tensor_of(self.given(y), Labels.kind), reduction="none"
            )
        terms |= self.told_terms(on_fake.told, shared.z, y)
        self.log(batch, on_real.d.detach(), on_fake.d.detach())
        return terms | self.past_term("discriminator", len(batch))

    def judge_both(
        self, real: Tensor, fake: Tensor, y: Condition | None
    ) -> tuple[Judgement, Judgement]:
        """In one pass where no image's judgement depends on the others."""
        if self.batchwise:
            return self.judge(self.shown(real), y), self.judge(self.shown(fake), y)
        both = self.judge(
            self.shown(torch.cat([real, fake])), None if y is None else repeated(y, 2)
        )
        n = len(real)
        told = (None, None) if both.told is None else (both.told[:n], both.told[n:])
        return (
            Judgement(both.d[:n], both.features[:n], told[0]),
            Judgement(both.d[n:], both.features[n:], told[1]),
        )

    def against(self, d_real: Tensor, d_fake: Tensor) -> Tensor:
        """The discriminator's loss with this config's labels and weights: (B,)."""
        c = self.config
        if self.k is not None:
            errors = torch.stack([-d_real.detach().mean(), -d_fake.detach().mean()])
            self.discriminator.get_buffer("errors").copy_(errors)
            return self.loss.discriminator(d_real, self.k * d_fake)
        if self.loss.labelled is None or not (c.label_smoothing or c.label_noise or c.label_flips):
            return self.loss.discriminator(d_real, d_fake)
        on_real = self.loss.labelled(d_real, self.targets(d_real, 1 - c.label_smoothing))
        return on_real + self.loss.labelled(d_fake, self.targets(d_fake, 0.0))

    def targets(self, d: Tensor, label: float) -> Tensor:
        """Labels of outputs d: `label`, moved towards 1/2 and turned round at random."""
        c, target = self.config, torch.full_like(d, label)
        if c.label_noise:
            target = target + (0.5 - target).sign() * c.label_noise * streams.uniform_like(d)
        if c.label_flips:
            target = torch.where(streams.uniform_like(d) < c.label_flips, 1 - target, target)
        return target

    def told_terms(self, told: Tensor | None, z: Tensor, y: Condition | None) -> Terms:
        """What both players pay for what the discriminator says of the fakes beside d."""
        if told is None or y is None:
            return {}
        cost = class_entropy(told, tensor_of(y, Labels.kind), reduction="none")
        return {"class_of_fake": self.config.class_weight * cost}

    def past_term(self, player: str, n: int) -> Terms:
        if not self.past:
            return {}
        distance = self.past[player].distance(getattr(self, player))
        return {"history": (self.config.historical_averaging * distance).expand(n)}

    def log(self, batch: Batch, d_real: Tensor, d_fake: Tensor) -> None:
        """D(x) and D(G(z)) as probabilities where they are some, how often the discriminator is
        right, and the gap of the outputs."""
        read = torch.sigmoid if self.loss.probability else torch.Tensor.clone
        batch.logs["D(x)"], batch.logs["D(G(z))"] = read(d_real), read(d_fake)
        batch.logs["accuracy"] = accuracy(d_real, d_fake, self.loss.boundary)
        batch.logs["critic_gap"] = d_real.mean() - d_fake.mean()
        if self.k is not None:
            batch.logs["k"] = self.k
            batch.logs["convergence"] = convergence(
                -d_real.mean(), -d_fake.mean(), self.config.gamma
            )

    def start(self, batch: Batch) -> None:
        """Virtual normalisation of the discriminator refers to the first images of the data."""
        d = self.discriminator
        if d.reference_images is None:
            return
        at = torch.arange(len(d.reference_images), device=batch.x.device) % len(batch)
        d.reference_images.copy_(to_symmetric(batch.x[at]))
        if d.reference_numbers is not None:
            assert self.condition is not None
            d.reference_numbers.copy_(self.condition.vector(self.given(batch.condition)[at]))

    def after(self, step: int) -> None:
        """What follows a step outside of gradients: clipping, k, the mean of past weights."""
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
        for name, history in self.past.items():
            history.update(getattr(self, name), step)

    def game(self) -> Game[Fakes]:
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
            monitor=Watch(self.loss.probability, c.label_smoothing),
            start=self.start,
        )

    def graph(self) -> Graph:
        c = self.config
        graph = Graph(
            (
                Variable("z", "latent", f"{c.latent} numbers, {c.prior}"),
                Variable("x", "observed", f"image {self.spec}"),
            ),
            (Arrow("z", "x", law="G(z), implicit"),),
        )
        return graph if self.condition is None else graph.given(word(self.condition), "x")

    # -- capabilities

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return from_symmetric(self.generate(z, condition), self.spec.levels)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n, condition), condition)

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Outputs d, higher for what looks real: (B,). Logits where the loss makes them so."""
        return self.judge(to_symmetric(self.spec.check(x)), condition).d

    def log_ratio(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p_data(x) / p_model(x) as the discriminator has it: (B,) nats.

        Exact at the best discriminator (Goodfellow et al. 2014, proposition 1).
        Raises PthetaError where the loss, or its labels, do not make it readable.
        """
        c = self.config
        if self.loss.log_ratio is None:
            raise PthetaError(
                f"loss = {c.loss}: its best discriminator does not tell p_data / p_model; "
                "train with minimax, non_saturating or least_squares"
            )
        for name in NOT_FREE:
            if getattr(c, name) not in (0, (), "none"):
                raise PthetaError(
                    f"{name} changes what the discriminator learns, so that p_data / p_model "
                    "cannot be read off: train without it"
                )
        return self.loss.log_ratio(self.discriminate(x, condition), 1 - c.label_smoothing)


def on_sphere(z: Tensor) -> Tensor:
    """z (B, L) brought to the norm sqrt(L), the typical one of N(0, I)."""
    return normalize(z, dim=1) * z.shape[1] ** 0.5


def spread(x: Tensor) -> Tensor:
    """Mean squared difference of images that stand side by side in a batch: twice the variance."""
    return (x - x.roll(1, 0)).square().mean()


def discriminator_norm(config: GANConfig) -> str:
    """What `d_norm = auto` stands for."""
    if config.d_norm != "auto":
        return config.d_norm
    alone = config.penalty or config.spectral_norm or LOSSES[config.loss].autoencoding
    return "batch" if KINDS[config.net].batch_norm and not alone else "none"


def refuse(config: GANConfig, condition: ConditionSpec | None) -> None:
    """Raises PthetaError for parts that do not go together, with the reason."""
    c, loss = config, LOSSES[config.loss]
    if c.conditioning == "none" and condition is not None:
        raise PthetaError(
            f"a condition of {condition.size} {condition.kind} but conditioning = none: choose "
            "label, auxiliary or projection, or leave the condition out"
        )
    if c.conditioning != "none" and condition is None:
        raise PthetaError(
            f"conditioning = {c.conditioning} needs a condition, such as ptheta.Labels(names)"
        )
    if c.conditioning in ("auxiliary", "projection") and not isinstance(condition, Labels):
        raise PthetaError(
            f"conditioning = {c.conditioning} needs labels: give condition=ptheta.Labels(names)"
        )
    for name in ("label_smoothing", "label_noise", "label_flips"):
        if getattr(c, name) and loss.labelled is None:
            raise PthetaError(
                f"{name} = {getattr(c, name)} is not defined for loss = {c.loss}: "
                f"{loss.unlabelled}; leave it out"
            )
    if loss.autoencoding and c.minibatch != "none":
        raise PthetaError(
            f"minibatch = {c.minibatch} is not defined for loss = {c.loss}: each image's output is "
            "its reconstruction error, to which the batch has nothing to add; leave it out"
        )
    if loss.autoencoding and c.conditioning == "projection":
        raise PthetaError(
            f"conditioning = projection is not defined for loss = {c.loss}: its output is a "
            "reconstruction error, not linear in features; take label or auxiliary"
        )
    if c.penalty and c.d_norm == "batch":
        raise PthetaError(
            f"penalty = {','.join(c.penalty)} takes the slope of each image's own output, and with "
            "d_norm = batch an output depends on all images: take layer, virtual or none"
        )
    if c.penalty and c.minibatch != "none":
        raise PthetaError(
            f"penalty = {','.join(c.penalty)} takes the slope of each image's own output, and with "
            f"minibatch = {c.minibatch} an output depends on all images: leave one of them out"
        )
    if c.weight_clip and c.spectral_norm:
        raise PthetaError(
            f"weight_clip = {c.weight_clip} and spectral_norm bound the same weights, and the "
            "second divides out what the first does: take one of them"
        )
