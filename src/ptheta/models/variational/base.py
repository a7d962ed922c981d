"""The base of models with codes, a Gaussian posterior and a likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition, repeated
from ptheta.conditions import ConditionSpec, word
from ptheta.config import Count, Parts, Positive, option
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.kl import kl_divergence
from ptheta.distributions.latents import LatentDistribution, Normal, StandardNormal
from ptheta.errors import PthetaError
from ptheta.games import Terms
from ptheta.models.base import Model, as_learned, refuse_missing
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.variational import completion
from ptheta.models.variational.priors import PRIORS, PriorName
from ptheta.nets.coders import CoderConfig, decoder_to, encoder, odd_net
from ptheta.nets.heads import HeadOptions, Likelihood, Sigma, example_head, odd_likelihood
from ptheta.optimizers import OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full

PIXELS_AT_ONCE = 2**22  # that a decoder gives: memory does not grow with the importance samples


@dataclass(frozen=True)
class VariationalConfig(CoderConfig, OptimizerConfig):
    likelihood: Likelihood = option(
        "auto",
        "p(x | z) per pixel or column; auto: bernoulli for 2 levels, categorical up to 16, else "
        "logistic; gaussian for numbers",
        basic=True,
    )
    components: Count = option(1, "mixture components per pixel (logistic) or numeric column")
    sigma: Sigma = option("pixel", "parametrisation of the width (gaussian)", basic=True)
    scale: Positive = option(0.1, "initial or fixed width, white - black = 1 (gaussian)")
    prior: PriorName = option("normal", "prior p(z)", basic=True)
    pseudo_inputs: Count = option(200, "number of pseudo-inputs (vamp)")
    transforms: Parts = option(2, "number of transformations of the flow prior (flow)", basic=True)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return (
            super().unsupported(spec, condition)
            or odd_net(spec, self.net)
            or odd_likelihood(spec, self.likelihood, self.sigma)
            or PRIORS[self.prior].missing()
        )


class Variational(Model):
    """q(z | x) is Gaussian, p(z) is set by the config, and p(x | z) is independent over pixels or
    columns. Missing columns of x are left out of p(x | z), which is exact, and their mask is an
    input of the encoder (Nazabal et al. 2020, arXiv:1807.03653; Mattei & Frellsen 2019,
    arXiv:1812.02633).

    Beta, its annealing and free bits belong to the training (`TrainSettings`), not to the model.
    """

    specs = (ImageSpec, VectorSpec)
    takes_missing = True

    pseudo: nn.Parameter  # of the prior "vamp": pseudo-inputs
    flow: nn.Module  # of the prior "flow"

    def __init__(
        self,
        spec: DataSpec,
        config: VariationalConfig,
        condition: ConditionSpec | None = None,
        *,
        planes: int = 0,
        cond_dim: int = 0,
        outputs: int = 2,
    ) -> None:
        """planes, cond_dim: input dimensions of the encoder and the decoder for a condition;
        outputs: encoder outputs per latent dimension."""
        super().__init__(spec, config, condition)
        self.config = config
        options = HeadOptions(config.components, config.sigma, config.scale)
        self.likelihood_head = example_head(spec, config.likelihood, options)
        self.encoder = encoder(spec, config, outputs * config.latent, planes)
        self.decoder = decoder_to(spec, config, self.likelihood_head.out_shape, cond_dim)
        for name, learned in PRIORS[config.prior].learned(spec, config).items():
            setattr(self, name, learned)

    # -- the distributions

    def infer(self, s: Tensor, condition: Condition | None = None) -> Normal:
        """q(z | x) of examples as the encoder sees them, (B, *scaled_shape)."""
        return Normal(*full(self.encoder(s)).chunk(2, 1))

    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        """q(z | x)"""
        return self.infer(self.spec.scaled(as_learned(self.spec, x)), condition)

    def prior(self, condition: Condition | None = None) -> LatentDistribution:
        """p(z)"""
        return PRIORS[self.config.prior].distribution(self)

    def likelihood(self, z: Tensor, condition: Condition | None = None) -> ElementDistribution:
        """p(x | z): z (B, L) -> distribution of the shape of x."""
        return self.likelihood_head(full(self.decoder(z)))

    # -- bounds

    def negative_elbo(
        self, x: Tensor, q: Normal, condition: Condition | None = None, draws: int = 1
    ) -> Terms:
        """The two terms of -ELBO in nats (Kingma & Welling 2014, eq. 7): reconstruction (B,), the
        mean over so many codes of each x, and kl (B, L), or (B, 1) where it has no closed form.
        q: q(z | x)"""
        every = None if condition is None else repeated(condition, draws)
        rows = draws * len(x)
        many, prior = q.expand(rows), self.prior(condition).expand(rows)
        z = many.sample()
        log_p = self.likelihood(z, every).log_prob_of_example(x).view(draws, -1)
        kl = kl_divergence(many, prior, z)
        return {"reconstruction": -log_p.mean(0), "kl": kl.unflatten(0, (draws, -1)).mean(0)}

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> Terms:
        terms = self.negative_elbo(x, self.posterior(x, condition), condition)
        return {"reconstruction": terms["reconstruction"], "kl": terms["kl"].sum(1)}

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        terms = self.bound_terms(x, condition)
        return -(terms["reconstruction"] + terms["kl"])

    def log_importance_weights(
        self,
        x: Tensor,
        z: Tensor,
        q: Normal,
        prior: LatentDistribution,
        condition: Condition | None,
    ) -> Tensor:
        """log p(x | z) p(z) / q(z | x) with k codes for each image: z (k B, L) -> (k, B) nats.

        q, prior: for the k B codes
        """
        k = len(z) // len(x)
        every = None if condition is None else repeated(condition, k)
        log_p = self.likelihood(z, every).log_prob_of_example(x)
        return (log_p + prior.log_prob(z) - q.log_prob(z)).view(k, len(x))

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        """log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x), z_i ~ q: (B,) nats.

        Burda et al. 2016, eq. 8 (arXiv:1509.00519). Its expectation grows with k to log p(x). The k
        samples go through the decoder a few at a time, so memory does not grow with k.
        """
        q, prior = self.posterior(x, condition), self.prior(condition)
        total = q.mean.new_full((len(x),), -math.inf)
        chunk = max(1, min(k, PIXELS_AT_ONCE // max(1, len(x) * self.spec.dims)))
        for done in range(0, k, chunk):
            rows = min(chunk, k - done) * len(x)
            many, wide_prior = q.expand(rows), prior.expand(rows)
            log_w = self.log_importance_weights(x, many.sample(), many, wide_prior, condition)
            total = torch.logaddexp(total, log_w.logsumexp(0))
        return total - math.log(k)

    def log_prior(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.prior(condition).log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.likelihood(z, condition).log_prob_of_example(x)

    # -- uses

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of q(z | x): (B, L)."""
        return self.posterior(x, condition).mean

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The mean of p(x | z): of pixels in 256 levels, of words the most likely."""
        return self.likelihood(z, condition).mean_example()

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.likelihood(z, condition).scaled_mean(self.spec)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.prior(condition).expand(n).sample()

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        """x ~ p(x | z) with z ~ p(z): its elements are drawn, not averaged (for means: decode)."""
        return self.likelihood(self.sample_latent(n, condition), condition).sample()

    def draws_elements(self) -> bool:
        return True

    def sample_at(self, n: int, temperature: float, condition: Condition | None = None) -> Tensor:
        """Sample with codes scaled by the temperature around the mean of a normal prior; elements
        are sampled from p(x | z) as usual."""
        prior = self.prior(condition).expand(n)
        if not isinstance(prior, StandardNormal | Normal):
            raise PthetaError(
                "this model cannot sample at a temperature: its prior is not Gaussian, so no noise "
                "can be scaled; train with --prior normal"
            )
        mean = prior.mean if isinstance(prior, Normal) else 0.0
        z = prior.sample()
        if temperature != 1.0:
            z = mean + temperature * (z - mean)
        return self.likelihood(z, condition).sample()

    @torch.no_grad()
    def complete(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """Sample the unknown elements of x given the known ones, by importance resampling of
        `candidates` codes; more codes are closer to exact (`completion`)."""
        x, known, found = self._candidates(x, known, condition, candidates)
        return torch.where(known, x, completion.drawn(found, x).to(x))

    @torch.no_grad()
    def conditional_mean(
        self, x: Tensor, known: Tensor, condition: Condition | None = None, candidates: int = 1
    ) -> Tensor:
        """The mean of the unknown elements given the known ones, by the same codes."""
        x, known, found = self._candidates(x, known, condition, candidates)
        return torch.where(known, x, completion.mean(found, self.spec).to(x))

    def _candidates(
        self, x: Tensor, known: Tensor, condition: Condition | None, candidates: int
    ) -> tuple[Tensor, Tensor, completion.Codes]:
        x, known = self.spec.check(x), known.expand(x.shape)
        refuse_missing(self.spec, x[known])
        return x, known, completion.codes(self, x, known, condition, candidates)

    def graph(self) -> Graph:
        c = self.config
        graph = Graph(
            (
                Variable("z", "latent", f"{c.latent} dimensions, p(z) {c.prior}"),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("z", "x", law="p(x | z)"), Arrow("x", "z", "inference", "q(z | x)")),
        )
        if self.condition is None:
            return graph
        prior = ("z",) if c.prior == "normal" and self.prior_depends() else ()
        return graph.given(word(self.condition), "x", *prior, inferred=["z"])

    def prior_depends(self) -> bool:
        """Whether p(z) depends on the condition."""
        return False
