"""A sampler for autoencoders: a Gaussian mixture fitted to the codes of trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import (
    Decodes,
    Encodes,
    Generates,
    condition_of,
    device_of,
    some_conditions,
)
from ptheta.conditions import word
from ptheta.distributions.latents import GaussianMixture
from ptheta.errors import PthetaError
from ptheta.models.base import EVERY_KIND, Model
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@runtime_checkable
class Coder(Encodes, Decodes, Protocol):
    """A module that encodes and decodes, to which a prior can be fitted."""

    spec: DataSpec

    def parameters(self) -> Iterator[nn.Parameter]: ...


def as_coder(model: nn.Module) -> Coder:
    """The model itself. Raises PthetaError where it has no codes or makes no images of them."""
    if not isinstance(model, Coder):
        raise PthetaError("this model has no codes to fit: it lacks `encode` or `decode`")
    return model


class Fitted(Model):
    """A model that encodes and decodes, with a mixture of Gaussians as its prior.

    Density estimation of codes after training (Ghosh et al. 2020, arXiv:1903.12436). All other
    capabilities are those of the wrapped model.

    weights: (K,); means: (K, L); factors: lower Cholesky factors of the covariances, (K, L, L)
    """

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    takes_missing = True  # where the model does

    def __init__(self, model: Coder, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        super().__init__(model.spec, None, condition_of(model))
        self.model: Coder = model
        self.weights: Tensor
        self.means: Tensor
        self.factors: Tensor
        # sums are of 32 bits or more; what was fitted comes in float64
        kind = next((full(p).dtype for p in model.parameters()), torch.float32)
        self.register_buffer("weights", weights.to(kind))
        self.register_buffer("means", means.to(kind))
        self.register_buffer("factors", factors.to(kind))

    @classmethod
    def of(cls, model: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> Fitted:
        """The model with the mixture that a file holds. Raises PthetaError where it holds none, or
        one of codes of another size."""
        coder = as_coder(model)
        fault = _fault(tensors) or _other_size(coder, some_conditions(model, 1), tensors["means"])
        if fault:
            raise PthetaError(f"{file}: {fault}; fit a prior again with `ptheta fit`")
        return cls(coder, **tensors)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.model.encode(x, condition)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.model.decode(z, condition)

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        if not isinstance(self.model, Generates):
            raise PthetaError("this model cannot decode with gradients: it has no `generated`")
        return self.model.generated(z, condition)

    def prior(self) -> GaussianMixture:
        """p(z), the mixture."""
        return GaussianMixture(self.weights, self.means, self.factors)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z): (B, L) -> (B,) nats."""
        return self.prior().log_prob(z)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.prior().expand(n).sample()

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        # an autoencoder defines no distribution to sample: its outputs, rounded to valid values
        x = self.decode(self.sample_latent(n, condition), condition)
        return self.spec.rounded(x)

    def graph(self) -> Graph:
        graph = Graph(
            (
                Variable("k", "latent", f"one of {len(self.weights)} Gaussians"),
                Variable("z", "latent", f"code of {self.means.shape[1]} dimensions"),
                Variable("x", "observed", self.spec.one),
            ),
            (
                Arrow("k", "z", law="fitted"),
                Arrow("z", "x", law="decoder"),
                Arrow("x", "z", "inference", "encoder"),
            ),
        )
        if self.condition is None:
            return graph
        return graph.given(word(self.condition), "x", inferred=["z"])


def _fault(tensors: Mapping[str, Tensor]) -> str:
    """Why these are not weights, means and factors of a mixture; empty where they are."""
    shapes = {"weights": "(K,)", "means": "(K, L)", "factors": "(K, L, L)"}
    if tensors.keys() != shapes.keys():
        return f"holds {', '.join(sorted(tensors)[:5]) or 'nothing'}, not {', '.join(shapes)}"
    k = tensors["weights"].shape[0] if tensors["weights"].ndim == 1 else 0
    size = tensors["means"].shape[1] if tensors["means"].ndim == 2 else 0
    sizes = {"weights": (k,), "means": (k, size), "factors": (k, size, size)}
    for name, tensor in tensors.items():
        if not (k and size) or tuple(tensor.shape) != sizes[name]:
            return f"{name} has the shape {tuple(tensor.shape)}, want {shapes[name]}"
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            return f"{name} contains NaN or infinity"
    if (tensors["weights"] < 0).any() or not tensors["weights"].sum() > 0:
        return "weights are not probabilities"
    if not (tensors["factors"].diagonal(dim1=1, dim2=2) > 0).all():
        return "factors are not Cholesky factors"
    return ""


@torch.no_grad()
def _other_size(model: Coder, condition: Condition | None, means: Tensor) -> str:
    """Why the mixture is not of this model's codes; empty where it is. condition: of one example"""
    blank = model.spec.unscaled(torch.zeros(1, *model.spec.scaled_shape))
    device = device_of(model) if isinstance(model, nn.Module) else None
    size = model.encode(blank.to(device), condition).shape[1]
    return "" if size == means.shape[1] else f"codes of {means.shape[1]} dimensions, want {size}"
