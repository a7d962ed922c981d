"""Networks of several domains: one per domain, or one that is conditional on the domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ptheta.nets.modules import Modules
from ptheta.nets.translation.ends import End
from ptheta.nets.translation.patch import PatchDiscriminator, PatchOptions
from ptheta.specs import ImageSpec, full


class Carriers(nn.Module):
    """Images as a network sees them, (B, C, H, W), and the domain of each, int64 (B,) -> what each
    becomes there, (B, C, H, W).

    make(numbers of a code): a generator that is given so many; end: what becomes of what it makes
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, to: Tensor) -> Tensor: ...


class OneForEach(Carriers):
    """A generator into each domain."""

    def __init__(self, domains: int, make: Callable[[int], nn.Module], end: End) -> None:
        super().__init__()
        self.end, self.into = end, Modules(make(0) for _ in range(domains))

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        made = by_domain(lambda k, rows: self.into[k](rows), x, to, len(self.into))
        return self.end.image(x, made)


class OneForAll(Carriers):
    """One generator, with the domain as additional input planes (Choi et al. 2018, section 3.2,
    arXiv:1711.09020)."""

    def __init__(self, domains: int, make: Callable[[int], nn.Module], end: End) -> None:
        super().__init__()
        self.domains, self.end, self.into = domains, end, make(domains)

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        made: Tensor = self.into(x, one_hot(to, self.domains).to(x.dtype))
        return self.end.image(x, full(made))


class Rated(NamedTuple):
    """logits: of "real" for each patch, (B, P); classes: logits of the domains, (B, K), or None"""

    logits: Tensor
    classes: Tensor | None

    def split(self, n: int) -> tuple[Rated, Rated]:
        """Of the first n images, and of the others."""
        classes = self.classes
        if classes is None:
            return Rated(self.logits[:n], None), Rated(self.logits[n:], None)
        return Rated(self.logits[:n], classes[:n]), Rated(self.logits[n:], classes[n:])


class Judges(nn.Module):
    """Images as a network sees them, (B, C, H, W), and the domain that each is taken for."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, of: Tensor) -> Rated: ...


class JudgeForEach(Judges):
    """A discriminator of each domain."""

    def __init__(self, domains: int, spec: ImageSpec, options: PatchOptions) -> None:
        super().__init__()
        c, height, width = spec.scaled_shape
        side = max(height, width)
        self.of = Modules(PatchDiscriminator(c, side, options) for _ in range(domains))

    def forward(self, x: Tensor, of: Tensor) -> Rated:
        logits = by_domain(lambda k, rows: self.of[k](rows).logits, x, of, len(self.of))
        return Rated(logits.flatten(1), None)


class JudgeForAll(Judges):
    """One discriminator with an additional domain classifier (arXiv:1711.09020, section 3.1): the
    real/fake output is independent of the domain."""

    def __init__(self, domains: int, spec: ImageSpec, options: PatchOptions) -> None:
        super().__init__()
        c, height, width = spec.scaled_shape
        self.trunk = PatchDiscriminator(c, max(height, width), options)
        with torch.no_grad():
            last = self.trunk(torch.zeros(1, c, height, width)).features[-1]
        self.classifier = nn.Linear(last.numel(), domains)

    def forward(self, x: Tensor, of: Tensor) -> Rated:
        found = self.trunk(x)
        classes = self.classifier(found.features[-1].flatten(1))
        return Rated(full(found.logits).flatten(1), full(classes))


def by_domain(net: Callable[[int, Tensor], Tensor], x: Tensor, of: Tensor, domains: int) -> Tensor:
    """net(k, the rows of x that are of domain k) for every k that occurs, in the order of x."""
    order = of.argsort(stable=True)
    counts = of.bincount(minlength=domains).tolist()
    parts = x[order].split(counts)
    made = [full(net(k, part)) for k, part in enumerate(parts) if len(part)]
    return torch.cat(made)[order.argsort()]
