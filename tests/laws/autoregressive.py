"""What the laws of the autoregressive family need: its members, and who sees whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ptheta.models import registry
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.specs import ImageSpec, from_levels
from tests.conftest import MODELS, tiny

FAMILY = [m for m in MODELS if issubclass(registry.entry(m).load_model(), Autoregressive)]


@contextmanager
def double() -> Iterator[None]:
    """Inside, torch works in double precision: what is not seen changes nothing at all."""
    torch.set_default_dtype(torch.double)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float)


def lively(name: str, spec: ImageSpec, factor: float = 1.0, **options: Any) -> Any:
    """A tiny model whose biases, embeddings and zero starts are drawn as well."""
    model = tiny(name, spec, **options).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(factor).add_(0.3 * torch.randn(p.shape, generator=generator))
    return model


def random_images(spec: ImageSpec, n: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return from_levels(torch.randint(spec.levels, (n, *spec.shape), generator=draw), spec.levels)


def all_images(spec: ImageSpec) -> torch.Tensor:
    """Every image there is."""
    grid = itertools.product(range(spec.levels), repeat=spec.dims)
    return from_levels(torch.tensor(list(grid)), spec.levels).view(-1, *spec.shape)


@torch.no_grad()
def influence(model: Any, bases: int = 6) -> torch.Tensor:
    """How much the conditional of sub-pixel i moves when sub-pixel j is changed: (D, D), in the
    order of the factorisation, the most over some images. The Jacobian by finite steps, through
    the uint8 boundary that users see."""
    spec: ImageSpec = model.spec
    target = random_images(spec, 1, 99)
    pixels = torch.tensor(model.order)

    def by_order(x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2)[:, :, pixels].transpose(1, 2).flatten(1)  # (B, D)

    most = torch.zeros(spec.dims, spec.dims)
    for x in random_images(spec, bases):
        j = torch.arange(spec.dims)
        changed = x.expand(spec.dims, *spec.shape).clone()
        flat = changed.permute(0, 2, 3, 1).reshape(spec.dims, -1, spec.channels)[:, pixels]
        flat = flat.flatten(1)
        flat[j, j] = 255 - flat[j, j]
        back = torch.empty_like(flat).view(spec.dims, -1, spec.channels)
        back[:, pixels] = flat.view(spec.dims, -1, spec.channels)
        changed = back.view(spec.dims, spec.height, spec.width, spec.channels)
        changed = changed.permute(0, 3, 1, 2).contiguous()
        scores = model.conditionals(changed).log_prob(target.expand_as(changed))
        base = model.conditionals(x[None]).log_prob(target)
        most = torch.maximum(most, (by_order(scores) - by_order(base)).abs().t())
    return most


def naive(
    model: Any,
    u: torch.Tensor,
    condition: torch.Tensor | None = None,
    given: torch.Tensor | None = None,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """The sampler by definition: all conditionals anew for each sub-pixel."""
    spec: ImageSpec = model.spec
    x = torch.zeros(u.shape, dtype=torch.uint8)
    if given is not None and known is not None:
        x = given * known
    with torch.no_grad():
        for p in model.order:
            i, j = divmod(p, spec.width)
            for c in range(spec.channels):
                drawn = model.conditionals(x, condition).icdf(u)[:, c, i, j]
                if known is not None:
                    drawn = torch.where(known[:, c, i, j], x[:, c, i, j], drawn)
                x[:, c, i, j] = drawn
    return x
