"""A comparison that says "different" is right: a small cell for every ranked metric of the table
that `benchmarks/calibration.py` makes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ptheta.conditions import Labels
from ptheta.data import open_data
from ptheta.extractors.table import load_extractor
from ptheta.measures.results import Evaluation
from ptheta.metrics import path_length, speed
from ptheta.metrics.calibration import (
    CALIBRATED,
    EQUAL,
    EXACT,
    EXPERIMENTS,
    World,
    called,
    family,
)
from ptheta.metrics.evaluate import evaluate
from ptheta.metrics.table import METRICS

pytestmark = pytest.mark.slow
REPETITIONS = 20
MOST = 4  # alarms: of 20 at 5 % no more than 4 come in 99.7 % of such cells
SIZES = {"speeds": 20}  # draws of a speed; of all others 60 images


@pytest.fixture(scope="module")
def alarms() -> dict[str, Counter[str]]:
    """experiment -> how often equal models were called different, of `REPETITIONS`."""
    by, test = load_extractor("digits"), open_data("digits", "test").subset(slice(0, 300))
    world = World.of(open_data("digits").subset(slice(0, 2200)), test, by, training=200)
    found: dict[str, Counter[str]] = {name: Counter() for name in EXPERIMENTS}
    for name, experiment in EXPERIMENTS.items():
        for seed in range(REPETITIONS):
            a, b = (experiment(world, SIZES.get(name, 60), seed, model) for model in EQUAL)
            found[name].update({family(m): alarm for m, alarm in called(a, b).items()})
    return found


@pytest.mark.parametrize("metric", CALIBRATED)
def test_equal_models_are_seldom_called_different(alarms, metric):
    assert alarms[CALIBRATED[metric]][metric] <= MOST


def test_every_experiment_measures_what_it_is_said_to(alarms):
    for experiment, found in alarms.items():
        assert set(found) == {m for m, of in CALIBRATED.items() if of == experiment}


class Everything(nn.Module):
    """A model that can do all that a ranked metric asks for."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.spec = open_data("digits", levels=2).spec
        self.condition = Labels(tuple(map(str, range(labels)))) if labels else None
        self.scale = nn.Parameter(torch.ones(1))

    def sample(self, n: int, condition: Any = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def sample_latent(self, n: int, condition: Any = None) -> Tensor:
        return torch.randn(n, 4)

    def decode(self, z: Tensor, condition: Any = None) -> Tensor:
        return (z.sum(1)[:, None, None, None] > 0).to(torch.uint8).expand(-1, 1, 28, 28) * 255

    def log_prior(self, z: Tensor, condition: Any = None) -> Tensor:
        return -0.5 * z.square().sum(1)

    def log_likelihood(self, x: Tensor, z: Tensor, condition: Any = None) -> Tensor:
        return -700.0 + z.sum(1) * self.scale

    def log_prob(self, x: Tensor, condition: Any = None) -> Tensor:
        return torch.full((len(x),), -700.0)

    def cluster(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1).long() % 10


@pytest.mark.filterwarnings("ignore:60 samples")
@pytest.mark.parametrize(("name", "labels"), [("digits", 10), ("pixels", 0)])
def test_every_ranked_metric_is_calibrated(name, labels, monkeypatch):
    """A new ranked metric needs an experiment; what cannot be tested is not ranked."""
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    monkeypatch.setattr(path_length, "PATHS", 40)
    data = open_data("digits", "test", levels=2).subset(slice(0, 80))
    model, by = Everything(labels), load_extractor(name)
    found: Evaluation = evaluate(model, data, data, n=60, ais_images=4, extractor=by)
    ranked = [r for r in found.results if r.better]
    assert {family(r.metric) for r in ranked} <= CALIBRATED.keys()
    assert [r.metric for r in ranked if r.value is not None and r.error is None] == []


def test_no_ranked_metric_is_left_out():
    ranked = {metric.family for metric in METRICS.values() if metric.better}
    assert ranked == CALIBRATED.keys() | EXACT
