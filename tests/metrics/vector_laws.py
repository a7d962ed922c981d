"""What every metric of vectors must hold: `VECTOR_LAWS`, part of the laws of test_table.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ptheta.data.points.parts import Gaussian
from ptheta.data.points.toys import Toy, mixture
from ptheta.data.vector_data import VectorDataset
from ptheta.extractors.table import choose_extractor
from ptheta.measures.results import Result
from ptheta.metrics.context import Context
from ptheta.metrics.table import METRICS
from ptheta.specs import VectorSpec


def rows(toy: Toy | None, split: str = "test", n: int = 200, seed: int = 0) -> VectorDataset:
    """Points of a toy, or of N(0, I) in two numbers of which no density is known."""
    source = toy or mixture([Gaussian((0.0, 0.0), 1.0)])
    x, labels = source.sample(n, np.random.default_rng([seed, len(split)]))
    return VectorDataset(
        "points",
        split,
        x.astype(np.float32),
        VectorSpec.of(source.dims),
        labels=labels,
        classes=source.names,
        truth=toy,
    )


class Points(nn.Module):
    """A model that is a toy: it draws from it, and knows its density."""

    condition = None

    def __init__(self, toy: Toy) -> None:
        super().__init__()
        self.toy, self.spec = toy, VectorSpec.of(toy.dims)
        self.weight = nn.Parameter(torch.zeros(3))

    def sample(self, n: int, condition: Any = None) -> Tensor:
        seed = int(torch.randint(2**31, ()))
        return torch.from_numpy(self.toy.sample(n, np.random.default_rng(seed))[0]).float()

    def log_prob(self, x: Tensor, condition: Any = None) -> Tensor:
        return self.toy.log_density(x)


class Sampler(nn.Module):
    """It draws the rows that it is given, and can do nothing else."""

    condition = None

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x, self.spec = x.float(), VectorSpec.of(x.shape[1])

    def sample(self, n: int, condition: Any = None) -> Tensor:
        return self.x[torch.arange(n) % len(self.x)]


def context(model: nn.Module, test: VectorDataset, n: int = 120) -> Context:
    by, _ = choose_extractor(test, None)
    return Context(test, by, model=model, train=rows(toy_of(test), "train"), n=n)


def toy_of(test: VectorDataset) -> Toy | None:
    return test.truth if isinstance(test.truth, Toy) else None


def result(name: str, model: nn.Module, test: VectorDataset) -> Result:
    (found,) = METRICS[name].results(context(model, test))
    return found


def value(name: str, model: nn.Module, test: VectorDataset) -> float:
    found = result(name, model, test)
    assert found.value is not None, found.reason
    return found.value


STANDARD = mixture([Gaussian((0.0, 0.0), 1.0)])
MOVED = mixture([Gaussian((0.6, 0.8), 1.0)])  # by 1
WIDE = mixture([Gaussian((0.0, 0.0), 2.0)])
FOUR = mixture([Gaussian((5.0 * x, 5.0 * y), 0.1) for x in (0, 1) for y in (0, 1)])


def divergence(name: str, to_wide: float, to_moved: float) -> Callable[[], None]:
    """Of N(0, I) and, in two dimensions, N(0, 4 I), and N(m, I) with |m| = 1."""

    def check() -> None:
        data = rows(STANDARD)
        assert value(name, Points(STANDARD), data) == pytest.approx(0, abs=1e-5)
        assert value(name, Points(WIDE), data) == pytest.approx(to_wide, rel=0.01)
        found = result(name, Points(MOVED), data)
        assert found.value == pytest.approx(to_moved, rel=0.01)
        assert found.error is not None
        assert found.error < 0.01

    return check


def distinct_names(name: str) -> Callable[[], None]:
    """1/2 within its error for the same distribution, 1 far away."""

    def check() -> None:
        data = rows(STANDARD)
        same = result(name, Points(STANDARD), data)
        assert same.value == pytest.approx(0.5, abs=3 * (same.error or 0))
        assert value(name, Points(mixture([Gaussian((30.0, 0.0), 1.0)])), data) == 1

    return check


def kernels_tell_apart() -> None:
    data = rows(STANDARD)
    same, moved, far = (
        result("mmd", Points(mixture([Gaussian((by, 0.0), 1.0)])), data) for by in (0, 1.5, 5)
    )
    assert same.value == pytest.approx(0, abs=3 * (same.error or 0))
    assert (same.value or 0) < (moved.value or 0) < (far.value or 0)
    assert far.note == "p = 0.005"  # none of 200 permutations


def some_modes_are_found() -> None:
    data = rows(FOUR)
    found = result("modes_found", Sampler(data.batch(slice(0, 200)).x), data)
    assert (found.value, found.note) == (4, "of 4")
    three = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.1, 5.1]])
    found = result("modes_found", Sampler(three), data)
    assert (found.value, found.note) == (3, "of 4; not 3")


def samples_are_near_modes() -> None:
    half = torch.tensor([[0.0, 0.2], [2.5, 2.5], [5.0, 5.0], [5.0, 5.4]])
    assert value("good_samples", Sampler(half), rows(FOUR)) == 0.5
    found = result("good_samples", Points(FOUR), rows(FOUR))
    assert found.value == pytest.approx(1 - math.exp(-4.5), abs=0.04)


def modes_have_their_shares() -> None:
    data = rows(FOUR)
    two = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    assert value("mode_balance", Sampler(two), data) == pytest.approx(math.log(2))
    assert 0 <= value("mode_balance", Points(FOUR), data) < 0.1


VECTOR_LAWS: dict[str, Callable[[], None]] = {
    "kl": divergence("kl", 2 * math.log(2) - 0.75, 0.5),
    "reverse_kl": divergence("reverse_kl", 3 - 2 * math.log(2), 0.5),
    # where N(0, I) is denser than N(0, 4 I), r^2 < 8/3 log 4: exp(-r^2 / 8) - exp(-r^2 / 2)
    "total_variation": divergence(
        "total_variation", 4 ** (-1 / 3) - 4 ** (-4 / 3), 2 * norm.cdf(0.5) - 1
    ),
    "two_sample_auc": distinct_names("two_sample_auc"),
    "two_sample_accuracy": distinct_names("two_sample_accuracy"),
    "mmd": kernels_tell_apart,
    "modes_found": some_modes_are_found,
    "good_samples": samples_are_near_modes,
    "mode_balance": modes_have_their_shares,
}
