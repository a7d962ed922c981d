"""Vector-quantised variational autoencoder (van den Oord et al. 2017, arXiv:1711.00937)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from annotated_types import Ge, Le
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import MOST_PARTS, AtLeastZero, Count, Entry, OneOf, Positive, option
from ptheta.distributions.base import ElementDistribution
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.base import Model, whole
from ptheta.models.graph import EXAMPLES, Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.variational.codebook import Codebook, Seen, perplexity, used, whole_of
from ptheta.nets import grids
from ptheta.nets.heads import HeadOptions, Likelihood, Sigma, example_head, odd_likelihood
from ptheta.optimizers import Decay, OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, from_levels, full, to_levels

MOST_CODES = 256  # a map of codes is an image batch, of as many levels


@dataclass(frozen=True)
class CodebookKind(Entry):
    """learned: whether codes follow gradients of the squared distance to what is assigned to them,
    and not moving averages of it"""

    learned: bool = False


CODEBOOKS: dict[str, CodebookKind] = {
    "ema": CodebookKind(about="moving averages of what is assigned to them"),
    "gradient": CodebookKind(learned=True, about="gradients of the distance to it"),
}

CodebookName: TypeAlias = Annotated[str, OneOf(CODEBOOKS)]


@dataclass(frozen=True)
class VQVAEConfig(OptimizerConfig):
    codes: Annotated[int, Ge(2), Le(MOST_CODES)] = option(
        128, "codes of the codebook, 2 to 256", basic=True
    )
    dims: Count = option(16, "numbers of a code", basic=True)
    halvings: Annotated[int, Ge(0), Le(14)] = option(
        2, "times that an image is halved on the way to the grid of codes", basic=True
    )
    positions: Count = option(4, "codes of a vector", basic=True)
    features: Count = option(64, "channels of the maps (images)", basic=True)
    blocks: Annotated[int, Ge(0), Le(MOST_PARTS)] = option(
        2, "residual blocks at the grid (images)"
    )
    hidden: tuple[Count, ...] = option((256, 256), "units of the encoder's layers (vectors)")
    commitment: AtLeastZero = option(0.25, "weight of the encoder's distance to its code")
    codebook: CodebookName = option("ema", "how codes are learned")
    decay: Decay = option(0.99, "of the moving averages of codes and of their use")
    revive: AtLeastZero = option(
        0.1, "share of the mean use below which a code is dead and placed anew; 0: never"
    )
    likelihood: Likelihood = option(
        "auto",
        "p(x | codes) of a pixel or a column; auto: bernoulli for 2 levels, categorical up to 16, "
        "else logistic; gaussian for numbers",
        basic=True,
    )
    components: Count = option(1, "mixed in each pixel (logistic), or column of numbers")
    sigma: Sigma = option("pixel", "where the width comes from (gaussian)")
    scale: Positive = option(0.1, "width at the start, or fixed; white - black = 1 (gaussian)")
    lr: Positive = option(5e-4, "learning rate", basic=True)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_likelihood(
            spec, self.likelihood, self.sigma
        )


class VQVAE(Model):
    """A grid of codes for each example, each one of K, and p(x | codes) independent over pixels or
    columns. The loss of an example is (eq. 3)

        -log p(x | e_k) + commitment |z - sg(e_k)|^2  (+ |sg(z) - e_k|^2 with codebook = gradient)

    with z what the encoder gives, k the nearest code of each position, and sg without gradient. The
    decoder's gradient goes to the encoder as if z had not been rounded. It has no p(codes), and so
    draws nothing, until an autoregressive model of the maps of codes is fitted:
    `ptheta fit RUN --model pixelcnn`.
    """

    specs = (ImageSpec, VectorSpec)

    def __init__(
        self, spec: DataSpec, config: VQVAEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = c = config
        self.likelihood_head = example_head(
            spec, c.likelihood, HeadOptions(c.components, c.sigma, c.scale)
        )
        out = self.likelihood_head.out_shape
        self.encoder: nn.Module
        self.decoder: nn.Module
        if isinstance(spec, ImageSpec):
            sizes = grids.halved(spec.height, spec.width, c.halvings)
            self.grid = sizes[-1]
            self.encoder = grids.image_encoder(spec.channels, sizes, c.dims, c.features, c.blocks)
            self.decoder = grids.image_decoder(c.dims, sizes, out[0], c.features, c.blocks)
        else:
            self.grid = (1, c.positions)
            (inputs,) = spec.scaled_shape
            self.encoder = grids.vector_encoder(inputs, c.dims, c.positions, c.hidden)
            self.decoder = grids.vector_decoder(c.dims, c.positions, out, c.hidden)
        learned = CODEBOOKS[c.codebook].learned
        self.codebook = Codebook(c.codes, c.dims, decay=c.decay, least=c.revive, learned=learned)
        self.seen: Seen | None = None  # of the step at hand

    # -- codes

    def rows(self, x: Tensor) -> Tensor:
        """What the encoder gives at each position: (B, P, D)."""
        out = full(self.encoder(self.spec.scaled(whole(self.spec, x))))
        return out.flatten(2).transpose(1, 2)

    def numbers(self, rows: Tensor) -> Tensor:
        """The nearest codes: (B, P, D) -> int64 (B, P)."""
        return self.codebook.nearest(rows.flatten(0, 1)).view(rows.shape[:2])

    def of_rows(self, rows: Tensor) -> ElementDistribution:
        """p(x | codes) of vectors at each position: (B, P, D)."""
        maps = rows.transpose(1, 2).unflatten(2, self.grid).to(next(self.parameters()).dtype)
        return self.likelihood_head(full(self.decoder(maps)))

    def rounded(self, rows: Tensor) -> Tensor:
        """The nearest codes, with the gradient of rows: (B, P, D)."""
        e = self.code_vectors()[self.numbers(rows)].to(rows)
        return rows + (e - rows).detach()

    def code_spec(self) -> ImageSpec:
        return ImageSpec(1, *self.grid, self.config.codes)

    def code_map(self, x: Tensor) -> Tensor:
        k = self.numbers(self.rows(x)).view(-1, 1, *self.grid)
        return from_levels(k, self.config.codes)

    def of_code_map(self, m: Tensor) -> ElementDistribution:
        k = to_levels(self.code_spec().check(m), self.config.codes)
        return self.of_rows(self.code_vectors()[k.flatten(1)])

    def code_vectors(self) -> Tensor:
        return full(self.codebook.vectors.detach())

    @classmethod
    def usual_prior(cls) -> str:
        return "pixelcnn"

    # -- uses

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The vectors of its codes, one position after the other: (B, P D)."""
        return self.code_vectors()[self.numbers(self.rows(x))].flatten(1)

    def _at(self, z: Tensor) -> ElementDistribution:
        rows = z.unflatten(1, (-1, self.config.dims))
        return self.of_rows(self.rounded(rows))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of p(x | codes) at the codes nearest to z (B, P D)."""
        return self._at(z).mean_example()

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self._at(z).scaled_mean(self.spec)

    # -- learning

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        c, z = self.config, self.rows(batch.x)
        k = self.numbers(z)
        e = self.codebook.vectors[k].to(z)
        self.seen = whole_of(z, k)
        batch.logs["perplexity"] = perplexity(self.seen.k, c.codes)
        batch.logs["codes_used"] = used(self.seen.k, c.codes)
        log_p = self.of_rows(z + (e - z).detach()).log_prob_of_example(batch.x)
        distance = (z - e.detach()).square().flatten(1).sum(1)
        terms = {"reconstruction": -log_p, "commitment": c.commitment * distance}
        if self.codebook.learned:
            terms["codebook"] = (z.detach() - e).square().flatten(1).sum(1)
        return terms

    def start(self, batch: Batch) -> None:
        """Puts the codes where outputs of the first batch are."""
        self.codebook.start(self.rows(batch.x).flatten(0, 1))

    def after(self, step: int) -> None:
        """Moves the codes, and puts dead ones elsewhere."""
        if self.seen is not None:
            self.codebook.update(self.seen)
            self.seen = None

    def game(self) -> Game[None]:
        return Game(
            players={"vq-vae": Player((self,), self.config.optimizer_factory())},
            moves=(Move("vq-vae", self.loss),),
            start=self.start,
            after=self.after,
        )

    def graph(self) -> Graph:
        c = self.config
        places = f"{self.grid[0] * self.grid[1]} positions"
        return Graph(
            (
                Variable("k", "latent", f"one of {c.codes} codes", (EXAMPLES, places)),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("k", "x", law="p(x | k)"), Arrow("x", "k", "inference", "nearest code")),
        )


RECIPES: Recipes = {
    "default": {
        "about": "128 codes of 16 numbers, images halved twice",
        "model": {},
        "train": {"batch_size": 64, "epochs": 30.0},
    },
    "paper": {
        "about": "CIFAR-10 as in the paper but for 256 codes in the place of 512: 250,000 steps",
        "model": {"codes": 256, "dims": 64, "features": 256, "lr": 2e-4},
        "train": {"batch_size": 128, "steps": 250_000},
    },
    "digits": {
        "about": "digits of 2 levels: perplexity 49 of 64 codes, in two minutes of one core",
        "model": {"codes": 64, "features": 32, "lr": 1e-3},
        "train": {"batch_size": 64, "steps": 1200, "schedule": "cosine"},
        "data": {"levels": 2},
    },
    "points": {
        "about": "one of 64 codes, Gaussians about each: points in half a minute on one core",
        "model": {"codes": 64, "dims": 4, "positions": 1, "hidden": (128, 128), "lr": 1e-3},
        "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine"},
    },
}
