"""The base of text-to-image models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec, Text
from ptheta.conditions.base import tensor_of
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES
from ptheta.models.base import ImageModel, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.parts import Part, named
from ptheta.models.text.monitor import StagesMonitor
from ptheta.models.text.options import OF_GENERATOR, TextConfig
from ptheta.models.text.stage import Captions, Made, Stage, Step, others
from ptheta.models.worded import ReadsBetween
from ptheta.nets.condition import blended
from ptheta.nets.resize import enlarged
from ptheta.nets.text import Matcher, TextEncoder, new_encoder
from ptheta.specs import ImageSpec

ENCODER = "encoder"  # the player that learns first


class Turn(NamedTuple):
    """stage: who learns; generator, discriminator: names of its players; span: as of `Move`"""

    stage: Stage
    generator: str
    discriminator: str
    span: tuple[float, float]


class TextToImage(ReadsBetween, ImageModel, ABC):
    """Captions are read by an encoder that learns first, by matching them with images, and then
    rests; or that the discriminator teaches all along.

    To be extended by who makes images.
    """

    takes = (Text.kind,)
    config: TextConfig

    def __init__(
        self, spec: ImageSpec, config: TextConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        assert isinstance(condition, Text)
        name, width = config.text_encoder, config.text_width
        self.matcher = Matcher(spec, condition, name, width) if config.matching else None
        self.encoder = new_encoder(condition, name, width) if self.matcher is None else None

    @classmethod
    def config_parts(cls, config: object) -> list[Part]:
        return named(config, OF_GENERATOR)

    # -- captions

    @property
    def reader(self) -> TextEncoder:
        """The caption encoder."""
        if self.matcher is not None:
            return self.matcher.encoder
        assert self.encoder is not None
        return self.encoder

    def tokens(self, condition: Condition | None) -> Tensor:
        return tensor_of(self.given(condition), Text.kind)

    def sentences(self, condition: Condition | None) -> Tensor:
        """(B, W), without a way back to the encoder; of what lies between two captions, what lies
        between their sentences."""
        with torch.no_grad():
            return blended(self._sentences, self.given(condition))

    def _sentences(self, condition: Condition) -> Tensor:
        return self.reader(self.tokens(condition)).sentence

    def captions(self, condition: Condition | None) -> Captions:
        """Of a step's images, with the way back to an encoder that the discriminator teaches."""
        tokens = self.tokens(condition)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.matcher is None):
            right = self.reader(tokens).sentence
            words = tokens.to(right.dtype)  # as what processes send one another
            return Captions(right, others(right), (others(words) != words).any(1))

    # -- the encoder that learns first

    def matching_loss(self, batch: Batch, shared: object) -> Terms:
        assert self.matcher is not None
        return {"match": self.matcher.loss(batch.x, self.tokens(batch.condition))}

    def match_term(self, batch: Batch, images: Tensor) -> Terms:
        """The generator's matching loss of its images and their captions by the encoder."""
        weight = self.config.matching_weight
        if self.matcher is None or not weight:
            return {}
        full = enlarged(images, (self.spec.height, self.spec.width))
        return {"match": weight * self.matcher.found(full, self.tokens(batch.condition))}

    # -- the game

    @abstractmethod
    def make(self, stage: Stage, sentences: Tensor) -> Made:
        """Images of sentences (N, W) by this stage, with its graph."""

    def step(self, stage: Stage, batch: Batch, clock: Clock, real: Tensor, moves: bool) -> Step:
        """Values shared by the moves of a step of this stage. moves: whether the generator moves"""
        if clock.movers == {ENCODER}:
            return Step(clock.step, real, None)
        given = self.sentences(batch.condition)
        if moves and self.config.interpolated:  # half way between two captions
            given = torch.cat([given, (given + others(given)) / 2])
        with torch.set_grad_enabled(moves):
            return Step(clock.step, real, self.make(stage, given))

    def generator_loss(self, stage: Stage, batch: Batch, shared: Step) -> Terms:
        assert shared.made is not None
        terms = stage.generator_terms(batch, shared.real, shared.made)
        return terms | self.match_term(batch, shared.made.images[: len(batch)])

    def discriminator_loss(self, stage: Stage, batch: Batch, shared: Step) -> Terms:
        assert shared.made is not None
        fake = shared.made.images[: len(batch)].detach()
        captions = self.captions(batch.condition)
        return stage.discriminator_terms(batch, shared.real, fake, captions, shared.number)

    def played(self, turns: Sequence[Turn]) -> Game[Step]:
        """The game of these stages, the encoder's part first where it learns first."""
        c = self.config
        players, judges, makers = dict[str, Player](), list[Move[Step]](), list[Move[Step]]()
        taught = () if self.encoder is None else (self.encoder,)  # by the first discriminator
        for stage, generator, discriminator, span in turns:
            judge = (stage.discriminator, *taught)
            players[generator] = Player(stage.makers(), c.optimizer_factory())
            players[discriminator] = Player(judge, c.optimizer_factory(c.d_lr))
            of_judge, of_maker = (
                partial(loss, stage) for loss in (self.discriminator_loss, self.generator_loss)
            )
            judges.append(Move(discriminator, of_judge, span=span))
            makers.append(Move(generator, of_maker, every=c.critic_steps, span=span))
            taught = ()
        moves = [*judges, *makers]
        if self.matcher is not None:
            players[ENCODER] = Player((self.matcher,), c.optimizer_factory(c.matching_lr))
            moves.append(Move(ENCODER, self.matching_loss, span=(0.0, c.matching)))
        pairs = [(turn.generator, turn.discriminator) for turn in turns]
        monitor = StagesMonitor(pairs, LOSSES[c.loss].probability)
        return Game(players, tuple(moves), self.prepare, monitor=monitor)

    @abstractmethod
    def prepare(self, batch: Batch, clock: Clock) -> Step:
        """The images of a step, and those that the stage which learns makes of its captions."""

    # -- images

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n, condition), condition)

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.made_of(z, self.sentences(condition))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generated(z, condition))

    @abstractmethod
    def made_of(self, z: Tensor, sentences: Tensor) -> Tensor:
        """Images as networks see them of all that is drawn (N, L) and sentences (N, W)."""

    @property
    @abstractmethod
    def drawn(self) -> int:
        """How many numbers are drawn for an image."""

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        """All noise of n images: the code, and the noise of conditioning augmentation."""
        return streams.normal(n, self.drawn, device=next(self.parameters()).device)

    def seen(self, x: Tensor) -> Tensor:
        """Images x in network scale. Raises PthetaError if x does not match the spec."""
        return self.spec.scaled(whole(self.spec, x))

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("z", "latent", f"{self.drawn} dimensions, N(0, I)"),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("z", "x", law="G(z, c), implicit"),),
        ).given("a caption", "x")
