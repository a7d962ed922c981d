"""Patch-based inpainting with a GAN of a global and a patch head (Demir & Unal 2018,
arXiv:1803.07422)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.compute.constants import on
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, Count, Parts, Positive, Side, option
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES, accuracy
from ptheta.masks import MaskName, area
from ptheta.models.adversarial.monitor import GAP, GANMonitor
from ptheta.models.adversarial.options import LossName
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.refusals import odd_loss, odd_norm
from ptheta.nets.adversarial.config import NormName
from ptheta.nets.norms import NORMS
from ptheta.nets.translation.dilated import DilatedGenerator, DilatedOptions
from ptheta.nets.translation.fill import FILLS, FillName
from ptheta.nets.translation.patch import per_example
from ptheta.nets.translation.two_heads import HeadsOutput, TwoHeads
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay, OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec

TILE = 256  # pixels: larger images are completed tile by tile


@dataclass(frozen=True)
class ContextGANConfig(OptimizerConfig):
    features: Count = option(
        16, "channels of the generator's largest map, doubled when halved", basic=True
    )
    halvings: Parts = option(2, "number of times the generator halves its maps")
    dilations: tuple[Side, ...] = option(
        (1, 2, 4, 8, 1, 1), "dilation of each of the generator's residual blocks"
    )
    skips: bool = option(True, "add the encoder's maps to the decoder's maps of the same size")
    fill: FillName = option("smooth", "values that fill a hole in the generator's input")
    norm: NormName = option("none", "normalisation between the generator's layers")
    d_features: Count = option(16, "channels of the discriminator's first map")
    d_norm: NormName = option("instance", "normalisation between the discriminator's layers")
    shared: Parts = option(2, "halvings in the trunk shared by the discriminator's two heads")
    masks: tuple[MaskName, ...] = option(
        ("hole", "half", "strokes", "pixels"),
        "masks of missing pixels in training, drawn per example",
        basic=True,
    )
    mask_shares: tuple[Positive, ...] = option(
        (), "relative frequencies of these masks (default: equal)"
    )
    loss: LossName = option(
        "non_saturating", "adversarial loss of generator and discriminator", basic=True
    )
    l1_weight: AtLeastZero = option(1.0, "weight of the L1 distance on missing pixels")
    l2_weight: AtLeastZero = option(
        0.0, "weight of the squared distance on missing pixels: higher PSNR, more blur"
    )
    global_weight: AtLeastZero = option(
        0.0025, "weight of the generator's loss from the global head"
    )
    patch_weight: AtLeastZero = option(0.0025, "weight of the generator's loss from the patch head")
    lr: Positive = option(1e-3, "learning rate", basic=True)
    d_lr: Positive | None = option(2e-4, "discriminator's learning rate (none: --lr)", basic=True)
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)

    @property
    def plays(self) -> bool:
        """Whether there is a discriminator."""
        return self.global_weight > 0 or self.patch_weight > 0

    def dilated(self) -> DilatedOptions:
        return DilatedOptions(self.features, self.halvings, self.dilations, self.norm, self.skips)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or self._odd()

    def _odd(self) -> str | None:
        """Why the options do not go together; None where they do."""
        if not self.masks:
            return "masks is empty: name the masks used in training, such as hole"
        if self.mask_shares and len(self.mask_shares) != len(self.masks):
            return (
                f"{len(self.mask_shares)} mask_shares of {len(self.masks)} masks: give one for "
                "each, or none"
            )
        if not (self.l1_weight or self.l2_weight or self.plays):
            return "all weights of the generator's losses are 0: give at least one above 0"
        return odd_norm({"norm": self.norm, "d_norm": self.d_norm}) or odd_loss(self.loss)


class Filled(NamedTuple):
    """What the moves of a step share.

    real: images as a network sees them, (B, C, H, W); unknown: (B, 1, H, W), 1 where they were
    out: what the generator gives everywhere; fake: that where pixels were unknown, real elsewhere
    """

    real: Tensor
    unknown: Tensor
    out: Tensor
    fake: Tensor


class ContextGAN(ImageModel):
    """A generator that completes images, of which any pixels may be unknown, against a
    discriminator that rates the completed image and its patches."""

    any_size: ClassVar[bool] = True

    def __init__(
        self, spec: ImageSpec, config: ContextGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config, self.loss, self.fill = config, LOSSES[config.loss], FILLS[config.fill]
        channels, height, width = spec.scaled_shape
        shares = torch.tensor(config.mask_shares or [1.0] * len(config.masks))
        self.ends = shares.cumsum(0) / shares.sum()  # of the interval of [0, 1] for each mask
        self.generator = DilatedGenerator(channels + 1, channels, config.dilated())
        side = max(height, width)
        self.discriminator = TwoHeads(
            channels, side, config.shared, config.d_features, config.d_norm
        )
        self.batchwise = "batchwise" in NORMS[config.d_norm].traits

    # -- the game

    def holes(self, x: Tensor) -> Tensor:
        """What is unknown of each image x (B, C, H, W) in a step: (B, 1, H, W) of 0 and 1."""
        c, (n, _, h, w) = self.config, x.shape
        kind = (streams.uniform(n, 1, device=x.device) > on(self.ends, x.device)[:-1]).sum(1)
        every = torch.stack([area(name, n, h, w, x.device) for name in c.masks])
        return every[kind, torch.arange(n, device=x.device)][:, None].to(x.dtype)

    def generate(self, x: Tensor, known: Tensor) -> Tensor:
        """Images (B, C, H, W) as a network sees them, and which pixels are known, (B, 1, H, W) of 0
        and 1 -> what the generator gives everywhere."""
        start = self.fill.start(x, known)
        return self.fill.end(start, self.generator(torch.cat([start, known], 1)))

    def prepare(self, batch: Batch, clock: Clock) -> Filled:
        real = self.spec.scaled(batch.x)
        unknown = self.holes(real)
        with torch.set_grad_enabled("generator" in clock.movers):
            out = self.generate(real, 1 - unknown)
            return Filled(real, unknown, out, torch.where(unknown > 0, out, real))

    def generator_loss(self, batch: Batch, shared: Filled) -> Terms:
        c, gap = self.config, shared.out - shared.real
        terms = {}
        if c.l1_weight:
            terms["l1"] = c.l1_weight * mean_of_hole(gap.abs(), shared.unknown)
        if c.l2_weight:
            terms["l2"] = c.l2_weight * mean_of_hole(gap.square(), shared.unknown)
        if c.plays:
            on_fake = self.discriminator(shared.fake)
            on_real = self.discriminator(shared.real) if self.loss.compares else on_fake
            whole, patches = (
                per_example(self.loss.generator(f, r)[:, None])
                for f, r in zip(on_fake, on_real, strict=True)
            )
            terms["global"] = c.global_weight * whole
            terms["patch"] = c.patch_weight * patches
        return terms

    def discriminator_loss(self, batch: Batch, shared: Filled) -> Terms:
        on_real, on_fake = self.rated_both(shared.real, shared.fake.detach())
        whole = self.loss.discriminator(on_real.whole, on_fake.whole)
        patches = per_example(self.loss.discriminator(on_real.patches, on_fake.patches))
        real, fake = on_real.logits.detach(), on_fake.logits.detach()
        read = torch.sigmoid if self.loss.probability else torch.clone
        batch.logs["D(x)"], batch.logs["D(G(x))"] = read(real), read(fake)
        batch.logs["accuracy"] = accuracy(real, fake, self.loss.boundary)
        batch.logs[GAP] = real.mean() - fake.mean()
        return {"adversarial": (whole + patches) / 2}

    def rated_both(self, real: Tensor, fake: Tensor) -> tuple[HeadsOutput, HeadsOutput]:
        """Of real and of completed images: in one pass, where none depends on the others."""
        if self.batchwise:
            first = self.discriminator(real)
            return first, self.discriminator(fake)
        return self.discriminator(torch.cat([real, fake])).split(len(real))

    def game(self) -> Game[Filled]:
        c = self.config
        players = {"generator": Player((self.generator,), c.optimizer_factory())}
        moves = [Move("generator", self.generator_loss)]
        if c.plays:
            players["discriminator"] = Player((self.discriminator,), c.optimizer_factory(c.d_lr))
            moves.insert(0, Move("discriminator", self.discriminator_loss))
        monitor = GANMonitor(self.loss.probability) if c.plays else None
        return Game(players, tuple(moves), self.prepare, monitor=monitor)

    # -- capabilities

    def varied(self) -> bool:
        return False

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Images uint8 (B, C, H, W) of any height and width; all candidates are the same. A pixel
        of which one channel is unknown is completed without a look at the others."""
        spec, c = self.spec, self.spec.channels
        if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[1] != c:
            raise PthetaError(
                f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model completes uint8 "
                f"(B, {c}, H, W): convert the images"
            )
        there = known.expand(x.shape).all(1, keepdim=True)
        s = spec.scaled(x)
        start = self.fill.start(s, there.to(s.dtype))
        given = torch.cat([start, there.to(s.dtype)], 1)
        local = not NORMS[self.config.norm].of_maps
        out = self.by_tiles(given, ~there) if local else self.generator(given)
        return torch.where(known, x, spec.unscaled(self.fill.end(start, out)))

    def by_tiles(self, given: Tensor, unknown: Tensor) -> Tensor:
        """What the generator gives for planes (B, C + 1, H, W), in parts that fit into memory: each
        tile with all around it that it sees, so that no seam is left; 0 where nothing is unknown.
        """
        height, width = given.shape[2:]
        if max(height, width) <= TILE:
            return self.generator(given)
        multiple = self.generator.multiple
        margin = -(-self.config.dilated().reach // multiple) * multiple
        out = given.new_zeros(len(given), self.spec.channels, height, width)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                rows, columns = slice(top, top + TILE), slice(left, left + TILE)
                if not bool(unknown[..., rows, columns].any()):
                    continue
                above, before = max(0, top - margin), max(0, left - margin)
                part = given[..., above : top + TILE + margin, before : left + TILE + margin]
                made = self.generator(part)[..., top - above :, left - before :]
                out[..., rows, columns] = made[..., :TILE, :TILE]
        return out

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of both heads: (B,), logits where the loss makes them so."""
        return self.discriminator(self.spec.scaled(self.spec.check(x))).logits

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("k", "observed", f"known pixels of an {self.spec.one}"),
                Variable(r"\hat{x}", "deterministic", "that image, completed"),
            ),
            (Arrow("k", r"\hat{x}", law="G(k)"),),
        )


def mean_of_hole(each: Tensor, unknown: Tensor) -> Tensor:
    """The mean of numbers (B, C, H, W) over the unknown pixels, (B, 1, H, W) of 0 and 1: (B,)."""
    total = (each.mean(1, keepdim=True) * unknown).flatten(1).sum(1)
    return total / unknown.flatten(1).sum(1).clamp(min=1)


RECIPES: Recipes = {
    "default": {
        "about": "16 channels, for 32 to 64 pixels on a CPU; corrects a smooth fill",
        "model": {"l2_weight": 1.0},
        "train": {"batch_size": 8, "minutes": 10.0, "schedule": "cosine", "ema": 0.99},
    },
    "paper": {
        "about": "Demir & Unal 2018: 256 pixels, 64 channels, grey holes, batch norm",
        "model": {
            "features": 64,
            "halvings": 3,
            "dilations": (1, 2, 4, 8, 1, 2, 4, 8, 1),
            "skips": False,
            "fill": "grey",
            "norm": "batch",
            "d_features": 64,
            "d_norm": "batch",
            "shared": 3,
            "masks": ("hole",),
            "l1_weight": 0.995,
            "lr": 1e-4,
            "d_lr": None,
        },
        "train": {"batch_size": 16, "epochs": 200.0},
        "data": {"size": 256},
    },
}
