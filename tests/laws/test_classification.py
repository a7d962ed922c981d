"""Classification by Bayes' rule: against enumeration and quadrature, and calibrated on what a model
itself draws; and the measures of probabilities, against their definitions."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm, sem, t
from sklearn.metrics import log_loss as by_sklearn

from ptheta import tasks
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.measures import classification as measures
from ptheta.specs import ImageSpec
from ptheta.tasks.classify import FLOORS, Labelled, log_prior
from tests.conftest import VECTORS, examples, tiny
from tests.laws.test_outliers import dataset

SPEC = ImageSpec(1, 2, 3, 2)
PRIOR = torch.tensor([0.5, 0.3, 0.2]).double().log()


def of(x: torch.Tensor) -> ImageDataset:
    return ImageDataset("all", "test", x.numpy(), levels=2)


def every_image() -> torch.Tensor:
    on = torch.tensor(list(itertools.product((0, 255), repeat=6)), dtype=torch.uint8)
    return on.view(-1, *SPEC.shape)


def distinct_names(name: str, **options: object) -> torch.nn.Module:
    """A tiny model with random weights, that makes something of its labels."""
    model: torch.nn.Module = tiny(name, SPEC, classes=3, **options).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            weight.mul_(1 if "encoder" in key else 3)
    return model


@pytest.mark.parametrize("name", ["nade", "fvsbn", "made"])
def test_probabilities_are_those_of_enumeration(name):
    """They sum to 1, and by p(x) = sum_y p(x | y) p(y) over all x have the prior as their mean."""
    model, x = distinct_names(name), every_image()
    log_p = tasks.classify(model, of(x), prior=PRIOR).log_p
    with torch.no_grad():
        given = [model.log_prob(x, torch.full((len(x),), k)).double() for k in range(3)]  # type: ignore[operator]
    joint = torch.stack(given, 1).exp() * PRIOR.exp()
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(64).double())
    torch.testing.assert_close(log_p.exp(), joint / joint.sum(1, keepdim=True), atol=1e-6, rtol=0)
    p_x = joint.sum(1, keepdim=True)
    torch.testing.assert_close((p_x * log_p.exp()).sum(0), PRIOR.exp(), atol=1e-5, rtol=0)
    even = tasks.classify(model, of(x)).log_p + PRIOR
    torch.testing.assert_close(even.log_softmax(1), log_p)


def test_an_importance_bound_goes_to_the_integral_over_codes():
    model, x = distinct_names("cvae", latent=1), every_image()[::7]
    found = tasks.classify(model, of(x), prior=PRIOR, samples=2000)
    z = torch.linspace(-6, 6, 2001)
    weight = torch.from_numpy(norm.logpdf(z.numpy())) + math.log(12 / 2000)
    joint = []
    with torch.no_grad():
        for k in range(3):
            p = model.likelihood(z[:, None], torch.full((len(z),), k))  # type: ignore[operator]
            rows = [p.log_prob(one.expand(len(z), *SPEC.shape)).flatten(1).sum(1) for one in x]
            joint.append(torch.stack([(r.double() + weight).logsumexp(0) for r in rows]))
    wanted = (torch.stack(joint, 1) + PRIOR).softmax(1)
    assert found.how == "by importance bound, k = 2000"
    assert (found.log_p.exp() - wanted).abs().max() < 0.05


def test_probabilities_of_what_the_model_itself_draws_are_calibrated():
    model, n = distinct_names("nade"), 4000
    draw = torch.Generator().manual_seed(0)
    y = torch.multinomial(PRIOR.exp(), n, replacement=True, generator=draw)
    x = tasks.sample(model, n, condition=y, seed=1)
    found = measures.measured(tasks.classify(model, of(x), prior=PRIOR).log_p, y)
    assert found.slope is not None
    assert found.slope.low < 1 < found.slope.high
    assert found.slope.high - found.slope.low < 0.3
    assert found.calibration_error is not None
    assert found.by_chance is not None
    assert found.calibration_error < 1.5 * found.by_chance[1]
    assert found.accuracy.low > 0.5
    sure = measures.slope((2 * tasks.classify(model, of(x), prior=PRIOR).log_p).log_softmax(1), y)
    assert sure is not None
    assert sure.value == pytest.approx(found.slope.value / 2, rel=1e-4)


def test_what_is_drawn_does_not_depend_on_the_examples_beside_and_all_specs_are_classified():
    x = every_image()
    model = tiny("cvae", SPEC, classes=3).eval()
    whole = tasks.classify(model, of(x), samples=3, seed=4).log_p
    assert torch.equal(whole, tasks.classify(model, of(x), samples=3, seed=4).log_p)
    assert not torch.equal(whole, tasks.classify(model, of(x), samples=3, seed=5).log_p)
    rows = dataset(examples(VECTORS, 5))
    for name in ("nade", "cvae"):
        found = tasks.classify(tiny(name, VECTORS, classes=2).eval(), rows, samples=2)
        torch.testing.assert_close(found.log_p.exp().sum(1), torch.ones(5).double())


def test_what_cannot_classify_is_told_why():
    data = of(every_image()[:4])
    with pytest.raises(PthetaError, match="cannot classify: it has no `bound_terms`"):
        tasks.classify(tiny("gan", SPEC, net="mlp").eval(), data)
    for name, words in {
        "vae": "cannot classify: it takes no labels; models that can: cvae, .*nade",
        "nade": "learned p.x. without labels.*train it with --condition labels",
    }.items():
        with pytest.raises(PthetaError, match=words):
            tasks.classify(tiny(name, SPEC).eval(), data)
    with pytest.raises(PthetaError, match="samples = 0"):
        tasks.classify(tiny("cvae", SPEC).eval(), data, samples=0)


# -- measures


def some(n: int = 300, k: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(2)
    logs = (2 * torch.randn(n, k, generator=draw).double()).log_softmax(1)
    return logs, torch.multinomial(logs.exp(), 1, generator=draw)[:, 0]


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (3, 10), (10, 10), (501, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits, n):
    told = measures.wilson(hits, n)
    wanted = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert told == pytest.approx((hits / n, wanted.low, wanted.high))


def test_measures_are_their_definitions():
    log_p, y = some()
    found = measures.measured(log_p, y)
    p = log_p.exp().numpy()
    assert found.log_loss is not None
    assert found.log_loss.value == pytest.approx(by_sklearn(y.numpy(), p))
    top, right = p.max(1), p.argmax(1) == y.numpy()
    error = 0.0
    for b in range(10):
        mine = (top >= b / 10) & (top < (b + 1) / 10)
        if mine.any():
            error += mine.mean() * abs(right[mine].mean() - top[mine].mean())
    assert found.calibration_error == pytest.approx(error)
    assert sum(one.examples for one in measures.reliability(log_p, y)) == 300
    matrix = measures.confusion(log_p, y)
    assert int(matrix.diagonal().sum()) == right.sum()
    assert matrix.sum(1).tolist() == torch.bincount(y).tolist()
    assert found.slope is not None
    grid = np.linspace(0.8, 1.2, 81)
    logs = [by_sklearn(y.numpy(), (a * log_p).softmax(1).numpy()) for a in grid]
    assert found.slope.value == pytest.approx(grid[int(np.argmin(logs))], abs=5e-3)
    sure = torch.full((4, 2), -torch.inf).double()
    sure[:, 0] = 0.0
    assert measures.log_loss(sure, torch.tensor([0, 0, 0, 1])) is None
    assert measures.slope(sure, torch.tensor([0, 0, 0, 0])) is None


def test_floors_are_what_they_say():
    x = torch.zeros(60, 1, 4, 4, dtype=torch.uint8)
    y = torch.arange(60) % 3
    for image, label in zip(x, y, strict=True):
        image[0, int(label)] = 200 + 5 * int(label)
    known, spec = Labelled(x, y), ImageSpec(1, 4, 4)
    new = x[:6].clone()
    new[..., 3] = 40
    for name, floor in FLOORS.items():
        log_p = floor.fit(spec, known, 4, new)
        assert log_p.shape == (6, 4)
        torch.testing.assert_close(log_p.exp().sum(1), torch.ones(6).double())
        if name == "most common":
            torch.testing.assert_close(log_p[0], log_prior(y, 4))
        else:
            assert torch.equal(log_p.argmax(1), y[:6]), name
    torch.testing.assert_close(log_prior(y, 4).exp()[3], torch.tensor(1 / 64).double())


def test_the_mean_of_few_losses_has_the_interval_of_student_and_of_one_none_that_json_lacks():
    log_p = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]).double().log()
    y = torch.tensor([0, 0, 1])
    told = measures.log_loss(log_p, y)
    assert told is not None
    each = -np.log([0.9, 0.5, 0.8])
    wanted = t.interval(0.95, 2, each.mean(), sem(each))
    assert (told.low, told.high) == pytest.approx((max(0.0, wanted[0]), wanted[1]))
    alone = measures.measured(log_p[:1], y[:1]).to_json()
    assert json.loads(json.dumps(alone, allow_nan=False))["log_loss"]["high"] is None
