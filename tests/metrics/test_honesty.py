"""Nothing flatters: what is no probability, no valid sample or no number is refused or said."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ptheta.conditions import Labels
from ptheta.data import open_images
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.measures.intervals import difference
from ptheta.measures.kernel import kernel_distance
from ptheta.measures.memorisation import copied_share, nearest, ratio_of_medians
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.evaluate import evaluate, real_baseline
from ptheta.metrics.likelihood import likelihood
from ptheta.metrics.speed import of_times, sampling_speed
from ptheta.specs import ImageSpec


def digits(n: int, split: str = "test", levels: int = 256) -> ImageDataset:
    return open_images("digits", split, levels=levels).subset(slice(0, n))


class Toy(nn.Module):
    """A model of one method, the same for all images."""

    def __init__(self, spec: ImageSpec, condition: Labels | None = None) -> None:
        super().__init__()
        self.spec, self.condition = spec, condition


class Scores(Toy):
    """log p is the given number."""

    def __init__(self, spec: ImageSpec, log_p: float, condition: Labels | None = None) -> None:
        super().__init__(spec, condition)
        self.log_p = log_p

    def log_prob(self, x: Any, condition: Any = None) -> torch.Tensor:
        return torch.full((len(x),), self.log_p)


class Noise(Toy):
    """Uniform grey values, whatever the levels."""

    def sample(self, n: int, condition: Any = None) -> torch.Tensor:
        return torch.randint(0, 256, (n, *self.spec.shape), dtype=torch.uint8)


class Slow(Noise):
    calls = 0

    def sample(self, n: int, condition: Any = None) -> torch.Tensor:
        self.calls += 1
        return super().sample(n)


@pytest.mark.parametrize(
    ("log_p", "words"), [(500.0, "have probabilities"), (math.nan, "NaN for 20 of 20 images")]
)
def test_what_is_no_log_probability_is_refused(log_p, words):
    data = digits(20)
    with pytest.raises(PthetaError, match=words):
        likelihood(Scores(data.spec, log_p), data)


def test_an_impossible_image_leaves_the_likelihood_undefined(tmp_path):
    data = digits(20)
    result = evaluate(Scores(data.spec, -math.inf), data, data, n=20)
    bits = result.get("bits_per_dim")
    assert bits is not None
    assert bits.text() == "not defined (-log p is infinite for 20 of 20 images)"
    result.write(tmp_path / "e.json")
    assert Evaluation.read(tmp_path / "e.json").to_json() == result.to_json()


def test_a_likelihood_given_the_label_has_another_name():
    data = digits(20)
    result = evaluate(Scores(data.spec, -700.0, Labels(data.classes)), data, data, n=20)
    assert result.get("bits_per_dim") is None
    given = result.get("nll_given_label")
    assert given is not None
    assert given.value == pytest.approx(700)
    bare = dataclasses.replace(data, labels=None)
    with pytest.raises(PthetaError, match="has no labels"):
        evaluate(Scores(data.spec, -700.0, Labels(data.classes)), bare, data, n=20)


def test_every_run_is_scored_on_the_same_pixels():
    data = digits(50, levels=2)

    class White(Toy):
        def log_prob(self, x: Any, condition: Any = None) -> torch.Tensor:
            return -(x > 0).flatten(1).sum(1).float()

    found = [
        likelihood(White(data.spec), data.with_levels(2, dynamic=dynamic, seed=seed))
        for seed, dynamic in ((0, False), (7, False), (3, True))
    ]
    assert found[0] == found[1] == found[2]


def test_images_that_do_not_fit_are_one_line():
    data, binary = digits(50), digits(50, levels=2)
    colour = open_images("shapes", "test").subset(slice(0, 50))
    for call, words in (
        (lambda: evaluate(Noise(binary.spec), binary, binary, n=20), "not among the 2 levels"),
        (lambda: evaluate(Noise(ImageSpec(1, 16, 16)), data, data, n=20), "model is for 1x16x16"),
        (lambda: evaluate(Noise(data.spec), data, colour, n=20), "shapes"),
        (
            lambda: evaluate(Noise(data.spec), data, data, n=20, samples=data.batch([0, 1]).x),
            "2 samples for n = 20",
        ),
        (lambda: nearest(data.batch([0]).x, colour), "no distance"),
    ):
        with pytest.raises(PthetaError, match=words) as error:
            call()
        assert "\n" not in str(error.value)


def test_a_tenth_of_copies_is_seen_where_the_median_is_not_moved():
    train = open_images("digits")
    new = open_images("digits", "test")
    real = nearest(new.batch(slice(0, 500)).x, train)[1]
    fresh = nearest(new.batch(slice(500, 950)).x, train)[1]
    mixed = torch.cat([nearest(train.batch(slice(0, 50)).x, train)[1], fresh])
    assert copied_share(fresh, real)[0] < 0.04
    assert copied_share(mixed, real)[0] == pytest.approx(0.1, abs=0.03)
    assert ratio_of_medians(mixed, real)[0] > 0.9  # the median alone would miss it
    assert copied_share(torch.zeros(5), real) == (1.0, 0.0)


def test_speed_leaves_the_random_stream_alone_and_keeps_its_budget():
    model = Slow(ImageSpec(1, 2, 2))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert sampling_speed(model, None, seconds=0.0).about["repeats"] == 1
    assert model.calls == 1
    assert torch.rand(1) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40))
def test_no_speed_is_printed_with_an_error_beyond_a_quarter_of_it(times):
    found = of_times(times, 64).named("sampling_speed")
    if found.value is None:
        assert "the machine was busy" in found.reason
        assert "+-" not in found.text()
    else:
        assert 0.1 * found.value - 1e-9 <= (found.error or 0) <= 0.25 * found.value


def test_draws_that_the_machine_held_up_do_not_make_the_speed():
    def speed(times: list[float]) -> Result:
        return of_times(times, 64).named("sampling_speed")

    steady = speed([0.1] * 20)
    held_up = speed([0.1] * 16 + [3.0, 5.0, 0.001, 9.0])
    assert steady.value == held_up.value == pytest.approx(640)
    assert steady.error == held_up.error
    # what one machine varies is no difference
    for times, different in ((1.2, False), (2.0, True)):
        gap = difference(steady, speed([0.1 / times] * 20))
        assert gap is not None
        assert gap.different == different
    assert speed([0.01, 1.0, 0.02, 2.0]).value is None


def test_kernel_error_between_equal_sets_is_not_too_small():
    found = []
    for seed in range(40):
        g = torch.Generator().manual_seed(seed)
        x, y = torch.randn(2, 100, 16, generator=g, dtype=torch.double)
        found.append(kernel_distance(x, y))
    values, errors = torch.tensor(found).unbind(1)
    assert errors.mean() > values.std()


def test_results_refuse_what_is_no_number():
    for value, error, reason in (
        (math.nan, None, ""),
        (math.inf, None, ""),
        (1.0, math.nan, ""),
        (0.0, None, "cannot"),
        (None, None, ""),
    ):
        with pytest.raises(PthetaError, match="give"):
            Result("a", value, error=error, reason=reason)
    assert Result("parameters", 12_345_678).text() == "12,345,678"
    for error, shown in ((431.0, "431"), (99.6, "100"), (99.4, "99"), (0.0134, "0.013")):
        assert Result("a", 0.5, error=error).text() == f"0.5 +- {shown}"
    with pytest.raises(PthetaError, match="did you mean 'value'"):
        Result.from_json({"metric": "a", "valu": 1})
    broken: list[Any] = [[], {}, {"results": []}]
    for values in broken:
        with pytest.raises(PthetaError, match="not an evaluation"):
            Evaluation.from_json(values)


@pytest.mark.filterwarnings("ignore:100 samples")
def test_the_floor_is_that_of_the_same_pixels_for_every_seed_of_a_run():
    test, train = digits(200, levels=2), digits(200, "train", levels=2)
    a = real_baseline(test, train, n=100)
    b = real_baseline(test.with_levels(2, seed=9), train.with_levels(2, dynamic=True), n=100)
    assert [r.value for r in a.results] == [r.value for r in b.results]
