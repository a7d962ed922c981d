"""Conditioning augmentation: sampling around a caption embedding (Zhang et al. 2017, section 3.2,
arXiv:1612.03242)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ptheta.distributions.latents import Normal
from ptheta.specs import full

LOG_VARIANCES = (-10.0, 10.0)


class ConditioningAugmentation(nn.Module):
    """Sentences (B, W) -> q(c | sentence), Gaussian; mean and log-variance are (B, A)."""

    if TYPE_CHECKING:

        def __call__(self, sentence: Tensor) -> Normal: ...

    def __init__(self, sentence: int, numbers: int) -> None:
        super().__init__()
        self.of = nn.Linear(sentence, 2 * numbers)

    def forward(self, sentence: Tensor) -> Normal:
        mean, log_var = full(self.of(sentence)).chunk(2, 1)
        return Normal(mean, log_var.clamp(*LOG_VARIANCES))
