"""Losses of pairs of an image and a caption: what a discriminator pays that is to tell real pairs
from others, and penalties on its gradient in both.

d: outputs (B,) of a discriminator d(x, e) of images x (B, C, H, W) and sentences e (B, W).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ptheta.losses.adversarial import AdversarialLoss
from ptheta.losses.penalties import OWN_OUTPUT, zero_centred

POWER = 6.0  # of the sum of both norms, 2008.05865 section 3.2


def matching_aware(
    loss: AdversarialLoss,
    right: Tensor,
    wrong: Tensor,
    fake: Tensor,
    *,
    share: float,
    differs: Tensor,
) -> Tensor:
    """(1 - share) L(d(x, e), d(G(z, e), e)) + share L(d(x, e), d(x, e')): (B,).

    With share = 1/2 and the cross-entropy it is Reed et al. 2016, algorithm 1, lines 6 to 10
    (arXiv:1605.05396): log d(x, e) + (log(1 - d(x, e')) + log(1 - d(G(z, e), e))) / 2, negated.

    Args:
        loss: L, of outputs for what is real and what is not.
        right: d(x, e), of images and their own captions, (B,).
        wrong: d(x, e'), of the same images and captions of others, (B,).
        fake: d(G(z, e), e), of images made of the captions, (B,).
        share: of the loss that is paid for wrong captions, 0 to 1.
        differs: bool (B,), where e' is another caption than e: nothing is to be told elsewhere.
    """
    of_fake = (1 - share) * loss.discriminator(right, fake)
    return of_fake + share * differs.to(wrong.dtype) * loss.discriminator(right, wrong)


@dataclass(frozen=True)
class PairPenalty:
    """cost: |grad_x d|^2 and |grad_e d|^2 at real images and their own captions, (B,) each -> (B,)
    weight: the default
    formula: for pages and help
    excludes: trait of another part -> why the penalty does not go with it
    """

    cost: Callable[[Tensor, Tensor], Tensor]
    weight: float
    formula: str
    paper: str
    excludes: Mapping[str, str] = field(default_factory=lambda: {"batchwise": OWN_OUTPUT})
    traits: frozenset[str] = frozenset()

    @property
    def about(self) -> str:
        return f"{self.formula} ({self.paper})"


def both_norms(of_image: Tensor, of_sentence: Tensor) -> Tensor:
    """(|grad_x d| + |grad_e d|)^6: smooth where a gradient is 0."""
    norms = (of_image + 1e-12).sqrt() + (of_sentence + 1e-12).sqrt()
    return norms**POWER


def of_image_alone(of_image: Tensor, of_sentence: Tensor) -> Tensor:
    """|grad_x d|^2 / 2"""
    return zero_centred(of_image)


PAIR_PENALTIES: dict[str, PairPenalty] = {
    "matching": PairPenalty(
        both_norms, 2.0, "(|grad_x d(x, e)| + |grad_e d(x, e)|)^6", "arXiv:2008.05865"
    ),
    "r1": PairPenalty(of_image_alone, 10.0, "|grad_x d(x, e)|^2 / 2", "arXiv:1801.04406"),
}


def pair_penalty(penalty: PairPenalty, d: Tensor, x: Tensor, e: Tensor) -> Tensor:
    """The penalty at pairs x, e that outputs d (B,) were computed of, without its weight: (B,)."""
    grads = torch.autograd.grad(d.sum(), (x, e), create_graph=True)
    of_image, of_sentence = (g.float().square().flatten(1).sum(1) for g in grads)
    return penalty.cost(of_image, of_sentence)
