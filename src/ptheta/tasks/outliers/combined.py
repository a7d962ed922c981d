"""A combined score: the sum of several, each standardised by training examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ptheta.batch import Condition
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.specs import VectorSpec
from ptheta.tasks.outliers.known import Known, Scorer, scored

Make = Callable[[Known], Scorer]
REFERENCE = 1000  # maximum number of training examples for standardisation, at most a tenth
LEAST = 20  # minimum number of training examples


def combined(of_images: Mapping[str, Make], of_vectors: Mapping[str, Make]) -> Make:
    """The sum over scores s_i of (log s_i - mean_i) / deviation_i.

    Mean and deviation are those of training examples that are removed from the bank, so that no
    example is compared with itself. Scores are non-negative distances with skewed distributions;
    the logarithm makes them comparable.
    of_images, of_vectors: scorers by name, each with one or more scores (B, m)
    """

    def make(known: Known) -> Scorer:
        n = len(known.bank)
        if n < LEAST:
            raise PthetaError(f"{n} training examples: the combined score needs {LEAST} or more")
        order = np.random.default_rng(0).permutation(n)
        count = min(REFERENCE, n // 10)
        rest = replace(known, bank=known.bank.subset(np.sort(order[count:])), made={})
        reference = known.bank.subset(np.sort(order[:count]))
        parts = of_vectors if isinstance(known.spec, VectorSpec) else of_images
        made = [_standardised(score(rest), rest, reference, name) for name, score in parts.items()]
        return lambda x, y: torch.cat([of(x, y) for of in made], 1).sum(1)

    return make


def _standardised(scorer: Scorer, known: Known, reference: Dataset, name: str) -> Scorer:
    """Log-scores (B, m), standardised by those of the reference examples."""
    distances = scored(scorer, known.model, reference, known.seed, name)
    least = _least(distances)
    found = distances.maximum(least).log()
    mean, deviation = found.mean(0), found.std(0)
    deviation = torch.where(deviation > 1e-9, deviation, torch.ones_like(deviation))  # all copies

    def of(x: Tensor, y: Condition | None, /) -> Tensor:
        return (scorer(x, y).cpu().double().maximum(least).log() - mean) / deviation

    return of


def _least(distances: Tensor) -> Tensor:
    """The least non-zero value of each of m distances (N, m): (m,). Distances are clamped to it, as
    the logarithm of a zero distance (a copy) would dominate the deviation."""
    found = distances.masked_fill(distances <= 0, torch.inf).amin(0)
    return torch.where(found.isinf(), torch.ones_like(found), found)
