"""The base of models trained on pairs of images: network inputs, discriminator outputs, and
translation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec, Image
from ptheta.conditions.base import tensor_of
from ptheta.errors import PthetaError
from ptheta.games import Terms
from ptheta.losses.adversarial import LOSSES, accuracy
from ptheta.models.adversarial.monitor import GAP
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.translation.options import PairsConfig
from ptheta.models.translation.targets import target_of
from ptheta.nets.norms import NORMS
from ptheta.nets.translation.moves import drawn, moved
from ptheta.nets.translation.patch import (
    MultiScaleDiscriminator,
    PatchOutput,
    per_example,
    split,
)
from ptheta.specs import ImageSpec


class PairsModel(ImageModel, ABC):
    """A model of targets given inputs, both images of one size."""

    takes = ("image",)
    takes_label_maps = True
    condition: Image
    config: PairsConfig

    def __init__(
        self, spec: ImageSpec, config: PairsConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.target, self.loss = target_of(spec), LOSSES[config.loss]
        self.batchwise = "batchwise" in NORMS[config.norm].traits
        self.planes_given = self.input_spec().scaled_shape[0] + config.instance_edges

    # -- pairs

    def input_spec(self) -> ImageSpec:
        return self.condition.spec

    def domains(self) -> tuple[str, ...]:
        """None: it learned from pairs."""
        return ()

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a step as networks see them, both moved alike."""
        real = self.spec.scaled(batch.x)
        given = self.condition.planes(self.given(batch.condition)).to(real.dtype)
        places = drawn(self.config.augment, real)
        if places is not None:
            real = moved(real, places, smooth=self.target.smooth)
            given = moved(given, places, smooth=target_of(self.input_spec()).smooth)
        return self.with_edges(given), real

    def with_edges(self, given: Tensor) -> Tensor:
        """Inputs as a network sees them, and the borders of their instances where they count."""
        if not self.config.instance_edges:
            return given
        return torch.cat([given, borders(given)], 1)

    def seen(self, x: Tensor) -> Tensor:
        """Inputs of any height and width as a network sees them. Raises PthetaError for others."""
        spec = self.input_spec()
        if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[1] != spec.channels:
            raise PthetaError(
                f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model translates uint8 "
                f"(B, {spec.channels}, H, W): convert the images"
            )
        return self.with_edges(spec.scaled(x))

    # -- the discriminator

    def new_discriminator(self) -> MultiScaleDiscriminator:
        extra = 0 if self.config.unconditional_discriminator else self.planes_given
        channels, height, width = self.spec.scaled_shape
        return MultiScaleDiscriminator(
            channels + extra,
            max(height, width),
            self.config.patches(),
            self.config.discriminators,
        )

    def rated(
        self, discriminator: MultiScaleDiscriminator, given: Tensor, x: Tensor
    ) -> list[PatchOutput]:
        """Discriminator outputs for images x with their inputs."""
        alone = self.config.unconditional_discriminator
        return discriminator(x if alone else torch.cat([given, x], 1))

    def rated_both(
        self, discriminator: MultiScaleDiscriminator, given: Tensor, real: Tensor, fake: Tensor
    ) -> tuple[list[PatchOutput], list[PatchOutput]]:
        """Of real and of made images: in one pass, where none of them depends on the others."""
        if self.batchwise:
            first = self.rated(discriminator, given, real)
            return first, self.rated(discriminator, given, fake)
        given, both = torch.cat([given, given]), torch.cat([real, fake])
        return split(self.rated(discriminator, given, both), len(real))

    def discriminator_term(
        self, batch: Batch, on_real: Sequence[PatchOutput], on_fake: Sequence[PatchOutput]
    ) -> Tensor:
        """Its loss, a mean over patches and a sum over sizes: (B,)."""
        pairs = [(r.logits, f.logits) for r, f in zip(on_real, on_fake, strict=True)]
        real, fake = (per_example(d.detach()) for d in pairs[0])
        read = torch.sigmoid if self.loss.probability else torch.clone
        batch.logs["D(y)"], batch.logs["D(G(x))"] = read(real), read(fake)
        batch.logs["accuracy"] = accuracy(real, fake, self.loss.boundary)
        batch.logs[GAP] = real.mean() - fake.mean()
        return torch.stack([per_example(self.loss.discriminator(*pair)) for pair in pairs]).sum(0)

    def adversarial_terms(
        self, discriminator: MultiScaleDiscriminator, given: Tensor, real: Tensor, fake: Tensor
    ) -> Terms:
        """The generator's adversarial and feature-matching losses."""
        on_fake = self.rated(discriminator, given, fake)
        matching = self.config.feature_matching
        on_real = on_fake
        if self.loss.compares or matching:
            with torch.no_grad():
                on_real = self.rated(discriminator, given, real)
        pairs = list(zip(on_fake, on_real, strict=True))
        fooled = [per_example(self.loss.generator(f.logits, r.logits)) for f, r in pairs]
        terms = {"adversarial": self.config.adversarial_weight * torch.stack(fooled).sum(0)}
        if matching:
            terms["features"] = matching * feature_distance(pairs)
        return terms

    def error_term(self, out: Tensor, image: Tensor, real: Tensor) -> Terms:
        """The distance to the target; none where it has no weight."""
        weight = self.config.l1_weight
        return {self.target.term: weight * self.target.error(out, image, real)} if weight else {}

    # -- capabilities

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.translate(tensor_of(self.given(condition), self.condition.kind))

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        if to is not None:
            raise PthetaError("this model was trained on pairs and has no domains: leave `to` out")
        return self.spec.unscaled(self.target.image(self.answer(self.seen(x))))

    @abstractmethod
    def answer(self, given: Tensor) -> Tensor:
        """One answer of the generator to each input as networks see it, no end."""

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("x", "given", f"input, {self.input_spec().one}"),
                Variable("y", "observed", f"target, {self.spec.one}"),
            ),
            (Arrow("x", "y", law="G(x)"),),
        )


def feature_distance(pairs: Sequence[tuple[PatchOutput, PatchOutput]]) -> Tensor:
    """Mean |f(G(x)) - f(y)|, a sum over layers and a mean over sizes: eq. 4 of pix2pixHD, (B,)."""
    gaps = [
        (mine - theirs).abs().flatten(1).mean(1)
        for fake, real in pairs
        for mine, theirs in zip(fake.features, real.features, strict=True)
    ]
    return torch.stack(gaps).sum(0) / len(pairs)


def borders(planes: Tensor) -> Tensor:
    """Planes of labels (B, K, H, W) -> 1 where a neighbour has another label, else -1: (B, 1, H,
    W)."""
    labels = planes.argmax(1, keepdim=True).to(planes.dtype)
    padded = torch.nn.functional.pad(labels, (1, 1, 1, 1), mode="replicate")
    high, low = max_pool2d(padded, 3, 1), -max_pool2d(-padded, 3, 1)
    return torch.where(high != low, 1.0, -1.0).to(planes.dtype)
