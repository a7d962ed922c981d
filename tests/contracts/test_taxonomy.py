"""The tree of models, and the kinds of log p that a result may be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ptheta.cli import main
from ptheta.data.image_data import ImageDataset
from ptheta.distributions.partition import LogPartition
from ptheta.metrics.likelihood import likelihood
from ptheta.metrics.selection import Selection
from ptheta.models import registry
from ptheta.models.base import Model
from ptheta.models.taxonomy import leaves, place
from ptheta.report.comparison import BOUND, DENSITY, ESTIMATE, EXACT, density
from ptheta.specs import ImageSpec, VectorSpec
from tests.conftest import MODELS, examples, tiny

SPEC = ImageSpec(1, 2, 2, 2)


class Uniform(Model):
    """Every image of `SPEC` is as probable: log Z = 4 log 2, said with an error."""

    effort: float = math.nan

    def energy(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x))

    def log_partition(self, effort: float = 1.0) -> LogPartition:
        self.effort = effort
        z = 4 * math.log(2)
        return LogPartition(z - 0.1, z + 0.3, (0.03, 0.04), "a guess")


def test_every_model_stands_at_one_leaf():
    found = [name for leaf in leaves() for names in leaf.models.values() for name in names]
    assert sorted(found) == sorted(MODELS)
    for leaf in leaves():
        for names in leaf.models.values():
            assert all(place(registry.entry(name).load_model()) == leaf.path for name in names)


def test_the_tree_is_printed_whole(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--tree"])
    text = capsys.readouterr().out
    for leaf in leaves():
        assert all(name in text for name in leaf.path)
        assert all(name in text for names in leaf.models.values() for name in names)
    with pytest.raises(SystemExit, match="2"):
        main(["models", "--tree", "--tasks"])


def test_an_estimate_has_two_sides_and_the_error_that_all_examples_share():
    data = ImageDataset("bits", "test", examples(SPEC, 50).numpy(), levels=2)
    model = Uniform(SPEC, None)
    found = likelihood(model, data)
    assert found is not None
    assert found.relation == "~"
    assert found.nats == pytest.approx(4 * math.log(2) + 0.1)
    assert found.partition is not None
    share = 0.4 / 12**0.5  # log Z may be anywhere between both sides
    assert found.partition.error == pytest.approx(math.hypot(0.025, share))
    assert model.effort == 1.0
    assert Selection(data)(model) is None  # it is not to choose weights by
    assert model.effort == 0.0


def test_kinds_of_density():
    real = VectorSpec.of(2)
    assert density(Uniform(SPEC, None), True) == ESTIMATE
    assert density(tiny("gaussian", SPEC), True) == BOUND
    assert density(tiny("gaussian", real), False) == DENSITY
    assert density(tiny("made", SPEC), True) == EXACT
    assert density(tiny("made", real), False) == DENSITY
