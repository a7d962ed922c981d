"""The two networks of a GAN: codes, samples, and discriminator outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec, classes_of, word
from ptheta.errors import PthetaError
from ptheta.losses.adversarial import LOSSES
from ptheta.models.adversarial import search
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.growth import position
from ptheta.models.adversarial.latents import PRIORS
from ptheta.models.adversarial.options import GANConfig, discriminator_norm, parts
from ptheta.models.adversarial.tricks import remaining
from ptheta.models.base import EVERY_KIND, Model, refuse_missing, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.parts import Part
from ptheta.models.worded import ReadsBetween
from ptheta.nets.adversarial.discriminator import Discriminator, DiscriminatorOutput
from ptheta.nets.adversarial.generator import Generator
from ptheta.nets.adversarial.growing import Growing
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.nets.condition import ConditionVector
from ptheta.nets.minibatch import STATISTICS
from ptheta.nets.norms import NORMS
from ptheta.specs import DataSpec, ImageSpec, VectorSpec


class Pair(ReadsBetween, Model):
    """A generator G(z) and a discriminator d(x), with their conditional inputs.

    Raises PthetaError for incompatible parts, with the reason.
    """

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    steps: Tensor

    def __init__(
        self,
        spec: DataSpec,
        config: GANConfig,
        condition: ConditionSpec | None = None,
        *,
        code_dim: int = 0,
        aux_dim: int = 0,
    ) -> None:
        """code_dim: dimensions of the generator's input in addition to z and labels; aux_dim: size
        of the discriminator's auxiliary output, if the conditioning defines none."""
        super().__init__(spec, config, condition)
        self.config = config
        self.loss, self.conditioning = LOSSES[config.loss], CONDITIONING[config.conditioning]
        self.classes = classes_of(condition)
        way, norm = self.conditioning, discriminator_norm(config, spec)
        traits = {*NORMS[norm].traits, *(t for part in parts(config) for t in part.traits())}
        # an example's output depends on its batch
        self.truncation: float | None = None  # of codes that are drawn, for a while
        self.batchwise = not traits.isdisjoint({"batchwise", STATISTICS})
        self.rates_together = STATISTICS in traits  # once it has learned, too
        self.search_steps = config.search_steps
        of_z, of_x = (
            None if condition is None else ConditionVector(condition, config) for _ in range(2)
        )
        beside_z = 0 if of_z is None else way.generator_dim(of_z)
        self.generator = Generator(spec, config, config.latent + beside_z + code_dim)
        self.generator.vectors = of_z
        self.discriminator = Discriminator(
            spec,
            config,
            norm,
            cond_dim=0 if of_x is None else way.discriminator_dim(of_x),
            aux_dim=aux_dim if condition is None else way.aux_dim(condition),
            logit_term=self._logit_term,
            autoencoding=config.code if self.loss.autoencoding else 0,
        )
        # where the discriminator is given no numbers, an encoder of them would learn nothing
        self.discriminator.vectors = of_x if of_x and way.discriminator_dim(of_x) else None
        self.register_buffer("steps", torch.zeros(()))
        if self.generator.reference is not None:
            self.generator.reference = self._reference()

    def _reference(self) -> Tensor:
        """The reference codes of the generator's virtual batch normalisation: (R, N)."""
        n = self.config.reference
        every = None if self.condition is None else self.condition.examples(n)
        return self.generator_input(self.sample_latent(n, every), every).detach()

    @classmethod
    def config_parts(cls, config: object) -> list[Part]:
        return parts(config)

    def _logit_term(self, width: int) -> nn.Module | None:
        """The output head of a discriminator with features (B, width)."""
        if self.condition is None:
            return None
        return self.conditioning.logit_term(self.condition, width, self.config)

    # -- codes, examples, outputs of the discriminator

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        prior = PRIORS[self.config.prior]
        if self.truncation is None or prior.truncated is None:
            return prior.sample(n, self.config.latent, self.steps.device)
        return prior.truncated(n, self.config.latent, self.steps.device, self.truncation)

    def code_at(self, t: Tensor) -> Tensor:
        return PRIORS[self.config.prior].at(t)

    def settled(self, z: Tensor) -> Tensor:
        """Codes (B, L) projected to the support of the prior."""
        return PRIORS[self.config.prior].nearest(z)

    def improbable(self, z: Tensor) -> Tensor:
        """How improbable codes (B, L) are: minus the log-density over the dimensions, up to a
        constant, (B,)."""
        return PRIORS[self.config.prior].improbable(z)

    def generator_input(self, z: Tensor, condition: Condition | None) -> Tensor:
        """The generator's input: the code, and the embedded condition."""
        vectors = self.generator.vectors
        if vectors is None:
            return z
        extra = self.conditioning.generator_input(vectors, self.given(condition))
        return torch.cat([z, extra.to(z.dtype)], 1)

    def generate(
        self, z: Tensor, condition: Condition | None = None, *, drawn: bool = True
    ) -> Tensor:
        """z (B, L) -> examples as a network sees them, (B, *scaled_shape) or of the present size.

        drawn: whether words are drawn where a spec has categories, or are the most probable ones
        """
        return self.generator(self.generator_input(z, condition), drawn)

    def discriminate_batch(self, x: Tensor, condition: Condition | None) -> DiscriminatorOutput:
        """Discriminator outputs for examples in network scale and their conditions."""
        if self.condition is None:
            return self.discriminator(x)
        condition, extra = self.given(condition), self.conditional_input(condition)
        return self.discriminator(x, None if extra is None else extra.to(x.dtype), condition)

    def conditional_input(self, condition: Condition) -> Tensor | None:
        """The discriminator's conditional input (B, K), if it has one."""
        vectors = self.discriminator.vectors
        if vectors is None:
            return None
        return self.conditioning.discriminator_input(vectors, condition)

    def augmented(self, x: Tensor) -> Tensor:
        """Examples as the discriminator sees them in training: augmented, with instance noise."""
        c = self.config
        for name in c.augment:
            x = AUGMENTATIONS[name].apply(x)
        if c.instance_noise:
            left = remaining(self.steps, c.instance_noise_steps)
            x = x + c.instance_noise * left * streams.normal_like(x)
        return x

    def discriminate_augmented(self, x: Tensor, condition: Condition | None) -> DiscriminatorOutput:
        return self.discriminate_batch(self.augmented(x), condition)

    def seen(self, x: Tensor) -> Tensor:
        """Examples x in network scale, at the current size. Raises PthetaError if x does not match
        the spec."""
        return self.presented(self.spec.scaled(whole(self.spec, x)))

    # -- growth

    def growing(self) -> list[Growing]:
        """The parts that have a size at present, the generator's first; none where the networks do
        not grow."""
        return [m for m in self.modules() if isinstance(m, Growing) and m.plan.stages > 1]

    def grow(self, share: float) -> None:
        """Set the stage of the networks for this completed share of a run."""
        for part in self.growing():
            part.grow(position(share, part.plan.stages, self.config.growth, self.config.fade))

    def presented(self, x: Tensor) -> Tensor:
        """Examples of full size as networks see them, as the discriminator is shown them at
        present."""
        return next((part.presented(x) for part in self.growing()), x)

    def sized(self, x: Tensor) -> Tensor:
        """The same, in the present size and no more."""
        return next((part.sized(x) for part in self.growing()), x)

    def enlarged(self, x: Tensor) -> Tensor:
        """Current samples, enlarged to full size."""
        return next((part.enlarged(x) for part in self.growing()), x)

    def present_stage(self) -> str:
        """In which size of several the networks learn; empty where it is the last one."""
        part = next(iter(self.growing()), None)
        if part is None or part.grown():
            return ""
        (h, w), full, (_, weight) = part.size(), part.plan.sizes[-1], part.now()
        fading = "" if weight == 1 else f", fading in: {weight:.0%}"
        return f"{h}x{w} of {full[0]}x{full[1]} pixels{fading}"

    # -- capabilities

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.enlarged(self.generate(z, condition, drawn=False))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generated(z, condition))

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        z = self.sample_latent(n, condition)
        return self.spec.unscaled(self.enlarged(self.generate(z, condition)))

    def sample_truncated(
        self, n: int, truncation: float, condition: Condition | None = None
    ) -> Tensor:
        if PRIORS[self.config.prior].truncated is None:
            able = [name for name, prior in PRIORS.items() if prior.truncated is not None]
            raise PthetaError(
                f"this model cannot sample truncated codes: prior = {self.config.prior} has no "
                f"tails; train with prior = {' or '.join(able)}"
            )
        self.truncation = truncation
        try:
            return self.sample(n, condition)
        finally:
            self.truncation = None

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Outputs d, higher for what looks real: (B,). Logits where the loss makes them so."""
        return self.discriminate_batch(self.seen(x), condition).logits

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Fill the unknown elements of x from the generated example that fits the known ones best,
        found by a latent search (`search`). candidates: restarts of the search"""
        x, known = self.spec.check(x), known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        y = self.asked(condition)
        return search.completed(self, x, known, y, candidates)

    def networks(self) -> dict[str, nn.Module]:
        """The optimizers by player."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def graph(self) -> Graph:
        c = self.config
        graph = Graph(
            (
                Variable("z", "latent", f"{c.latent} numbers, {c.prior}"),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("z", "x", law="G(z), implicit"),),
        )
        return graph if self.condition is None else graph.given(word(self.condition), "x")
