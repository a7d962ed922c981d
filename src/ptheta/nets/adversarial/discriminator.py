"""The discriminator of a GAN and its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ptheta.batch import Condition
from ptheta.nets.adversarial.config import NetConfig, network_of
from ptheta.nets.adversarial.equalised import equalise
from ptheta.nets.adversarial.generator import norm_of
from ptheta.nets.condition import ConditionVector, LabelEmbedding, VectorEmbedding
from ptheta.nets.minibatch import minibatch
from ptheta.nets.norms import norm_entry
from ptheta.nets.text import TextEncoder
from ptheta.specs import DataSpec, full


class DiscriminatorOutput(NamedTuple):
    """logits: (B,) outputs d, logits of "real" where the loss makes them so
    features: (B, F); aux: (B, A), the auxiliary output, where there is one
    """

    logits: Tensor
    features: Tensor
    aux: Tensor | None

    def split(self, n: int) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Split into the first n examples and the others."""
        first, rest = (None, None) if self.aux is None else (self.aux[:n], self.aux[n:])
        return (
            DiscriminatorOutput(self.logits[:n], self.features[:n], first),
            DiscriminatorOutput(self.logits[n:], self.features[n:], rest),
        )


class Projection(LabelEmbedding):
    """Features (B, F) and labels (B,) -> (B,): the inner product with the label's embedding.

    Miyato & Koyama 2018, eq. 3 (arXiv:1802.05637).
    """

    def forward(self, features: Tensor, labels: Condition) -> Tensor:  # type: ignore[override]
        return (super().forward(labels) * features).sum(1)


class VectorProjection(VectorEmbedding):
    """Features (B, F) and conditions of any kind -> (B,): the inner product with the condition's
    embedding."""

    def forward(self, features: Tensor, condition: Condition) -> Tensor:  # type: ignore[override]
        return (super().forward(condition) * features).sum(1)


class Discriminator(nn.Module):
    """Examples as a network sees them, (B, *scaled_shape), and numbers (B, K), -> a
    `DiscriminatorOutput`.

    cond_dim: K, dimensions of its conditional input
    aux_dim: size of its auxiliary output (class logits, InfoGAN's codes)
    logit_term(F): a layer of features (B, F) and conditions -> (B,), that is added to the logits
    autoencoding: d is minus the mean absolute reconstruction error with a code of `autoencoding`
        dimensions (Berthelot et al. 2017, arXiv:1703.10717), 0 for a linear output
    reference_images, reference_numbers: the reference batch of virtual batch normalisation
    vectors: the embedding of conditions for this network, if it has a conditional input

    The names of `tell`, `project` and `reference_numbers` are those of weights in run folders.
    """

    reference_images: Tensor | None
    reference_numbers: Tensor | None

    if TYPE_CHECKING:  # as `forward`: torch leaves it open

        def __call__(
            self, images: Tensor, cond: Tensor | None = None, condition: Condition | None = None
        ) -> DiscriminatorOutput: ...

    def __init__(
        self,
        spec: DataSpec,
        config: NetConfig,
        norm: str,
        *,
        cond_dim: int = 0,
        aux_dim: int = 0,
        logit_term: Callable[[int], nn.Module | None] = lambda width: None,
        autoencoding: int = 0,
    ) -> None:
        super().__init__()
        network = network_of(config, spec)
        trunk = network.trunk(spec, config, cond_dim, norm_of(norm, config))
        self.trunk, width = trunk.body, trunk.width
        self.code = nn.Linear(width, autoencoding) if autoencoding else None
        no_norm = norm_of("none", config)
        self.rebuild = (
            network.generator(spec, config, autoencoding, no_norm) if autoencoding else None
        )
        self.minibatch = None if trunk.has_statistics else minibatch(config.minibatch, width)
        with_batch = width if self.minibatch is None else self.minibatch.width
        self.vectors: ConditionVector | None = None
        self.output = None if autoencoding else nn.Linear(with_batch, 1)
        self.tell = nn.Linear(width, aux_dim) if aux_dim else None
        self.project = logit_term(width)
        self._refer(spec, config.reference if norm_entry(norm).refers else 0, cond_dim)
        if config.equalised:
            equalise(self)
        if config.spectral_norm:
            normalise_spectrally(self)

    def _refer(self, spec: DataSpec, n: int, cond_dim: int) -> None:
        """Allocate a reference batch of n examples."""
        x = torch.rand(n, *spec.scaled_shape) * 2 - 1 if n else None
        self.register_buffer("reference_images", x)
        self.register_buffer(
            "reference_numbers", torch.zeros(n, cond_dim) if n * cond_dim else None
        )

    def features(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """(B, F)"""
        if self.reference_images is None:
            return full(self.trunk(x, cond))
        if cond is not None and self.reference_numbers is not None:
            cond = torch.cat([self.reference_numbers.to(cond.dtype), cond])
        both = self.trunk(torch.cat([self.reference_images.to(x.dtype), x]), cond)
        return full(both[len(self.reference_images) :])

    def forward(
        self, x: Tensor, cond: Tensor | None = None, condition: Condition | None = None
    ) -> DiscriminatorOutput:
        """condition: of each example, for a discriminator with a `logit_term`."""
        features = self.features(x, cond)
        aux = None if self.tell is None else full(self.tell(features))
        logits = self._logits(x, features)
        if self.project is not None and condition is not None:
            logits = logits + self.project(features, condition)
        return DiscriminatorOutput(logits, features, aux)

    def _logits(self, x: Tensor, features: Tensor) -> Tensor:
        """The outputs of these features, (B,), before any label."""
        if self.code is not None and self.rebuild is not None:
            rebuilt = full(self.rebuild(self.code(features)))
            return -(x - rebuilt).abs().flatten(1).mean(1)
        assert self.output is not None
        given = features if self.minibatch is None else self.minibatch(features)
        return full(self.output(given)).squeeze(1)


def _seeing(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all in it that no caption goes through."""
    if isinstance(module, TextEncoder):
        return
    yield module
    for part in module.children():
        yield from _seeing(part)


def normalise_spectrally(module: nn.Module) -> None:
    """Divides every weight by its largest singular value (Miyato et al. 2018), but for those that
    read captions: what is bounded is how fast the output changes with the image."""
    layers = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
    for layer in [m for m in _seeing(module) if isinstance(m, layers)]:
        spectral_norm(layer, dim=1 if isinstance(layer, nn.ConvTranspose2d) else 0)
