"""Several scores as one: each in deviations from what training examples have."""

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
REFERENCE = 1000  # training examples by which mean and deviation are known, a tenth at most
LEAST = 20  # training examples


def combined(of_images: Mapping[str, Make], of_vectors: Mapping[str, Make]) -> Make:
    """The sum over scores s_i of (log s_i - mean_i) / deviation_i.

    Mean and deviation are those of training examples that are taken out of the bank for it, so that
    no score is of an example that it knows. Scores are distances, 0 or more, whose law is skewed;
    the logarithm makes several more alike.
    of_images, of_vectors: by name what gives such scores, one or more at once (B, m)
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
    """The logarithms of scores (B, m) in deviations from those of the reference examples."""
    distances = scored(scorer, known.model, reference, known.seed, name)
    least = _least(distances)
    found = distances.maximum(least).log()
    mean, deviation = found.mean(0), found.std(0)
    deviation = torch.where(deviation > 1e-9, deviation, torch.ones_like(deviation))  # all copies

    def of(x: Tensor, y: Condition | None, /) -> Tensor:
        return (scorer(x, y).double().cpu().maximum(least).log() - mean) / deviation

    return of


def _least(distances: Tensor) -> Tensor:
    """The least of each kind (N, m) that is not 0, (m,): nearer than that counts as much, for the
    logarithm of a copy's distance, minus infinity, would decide alone what a deviation is."""
    found = distances.masked_fill(distances <= 0, torch.inf).amin(0)
    return torch.where(found.isinf(), torch.ones_like(found), found)
