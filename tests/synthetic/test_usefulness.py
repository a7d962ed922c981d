"""What samples are good for: a perfect sampler is as good as real rows, and copies are found."""

from functools import cache

import numpy as np
import pytest
import torch

from ptheta.data.columns.arrays import rows_of
from ptheta.data.image_data import ImageDataset
from ptheta.data.vector_data import VectorDataset
from ptheta.measures.intervals import difference, widened
from ptheta.specs import ImageSpec
from ptheta.tasks.spread import spread_over
from ptheta.tasks.usefulness import (
    LEARNERS,
    RIVALS,
    SOURCES,
    TESTS,
    Examples,
    Known,
    usefulness,
)
from ptheta.tasks.usefulness.apart import classifier_auc, folds
from ptheta.tasks.usefulness.sources import gaussian_images

N, M = 300, 400
MEANS = torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0], [-1.0, 2.0, 1.0]])


def mixture(n, seed):
    """Three Gaussians, half, a third and a sixth of the rows, and which one each is of."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.multinomial(torch.tensor([3.0, 2.0, 1.0]), n, True, generator=generator)
    return Examples(MEANS[y] + torch.randn(n, 3, generator=generator), y)


def known(draw, train=None):
    train = mixture(N, 1) if train is None else train
    cells, spec = rows_of(train.x.numpy(), "the mixture")
    bank = VectorDataset("mixture", "train", cells, spec)
    return Known(spec, train, mixture(M, 2), bank, draw, ("a", "b", "c"))


def noise(n, seed):
    """Rows of no class."""
    some = mixture(n, 50 + seed)
    return Examples(torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) * 3, some.y)


def copying(n, seed):
    train = mixture(N, 1)
    return train.rows(spread_over(train.y, n, seed))


@cache
def found(draw):
    return usefulness(known(draw), repeats=2)


def perfect(n, seed):
    return mixture(n, 100 + seed)


@pytest.mark.parametrize("learner", ["logistic", "forest"])
def test_a_perfect_sampler_is_as_good_to_learn_from_as_real_rows(learner):
    of = found(perfect)
    for measure in ("accuracy", "balanced"):
        real, own = (of.of(source, learner) for source in ("real", "samples"))
        low, high = real.interval(measure)
        assert low <= own.values[measure].value <= high
        gap = difference(own.result(measure), real.result(measure))
        assert gap is not None
        assert abs(gap.value) < 0.05
        assert not gap.different


def test_what_is_shuffled_is_chance_and_noise_is_beaten_by_floors():
    of = found(noise)
    chance = of.of("shuffled labels", "logistic")
    assert abs(chance.values["balanced"].value - 1 / 3) < 0.07
    assert any("class copulas" in line and "beyond chance" in line for line in of.floors)
    assert of.of("samples", "logistic").values["balanced"].value < 0.5


def test_a_perfect_sampler_passes_for_real_and_noise_does_not():
    for test in ("AUC logistic", "AUC forest"):
        told = found(perfect).rival("samples").values[test]
        assert told.low - 0.03 < 0.5 < told.high + 0.03
    assert found(noise).rival("samples").values["AUC forest"].low > 0.7


def test_exact_copies_are_found_and_no_classifier_tells_them_from_training_rows():
    of = found(copying)
    assert of.rival("samples").values["copied"].value == 1
    assert of.rival("copies").values["copied"].value == 1
    assert found(perfect).rival("samples").values["copied"].value < 0.05
    train = mixture(N, 1)
    alike = known(copying)
    alike = Known(alike.spec, train, train, alike.bank, copying, alike.names)
    sets = [copying(N, seed) for seed in range(3)]
    for learner in ("logistic", "forest"):
        area = classifier_auc(learner, alike, sets, 0)
        assert abs(area.value - 0.5) < 0.05


def test_the_bootstrap_interval_is_as_wide_as_fresh_draws_are_spread():
    values, widths = [], []
    for seed in range(30):
        fresh = mixture(120, 1000 + seed)
        of = known(perfect)
        of = Known(of.spec, of.train, mixture(120, 2000 + seed), of.bank, perfect, of.names)
        area = classifier_auc("logistic", of, [Examples(fresh.x + 0.5, fresh.y)], seed)
        values.append(area.value)
        widths.append(area.high - area.low)
    spread = 2 * 1.96 * np.std(values)
    assert 0.6 < np.mean(widths) / spread < 1.6


def test_where_nothing_varies_the_interval_is_that_of_a_binomial():
    low, high = widened(1.0, 1.0, 15)
    assert low**15 == pytest.approx(0.025)
    assert high == 1
    assert sum(widened(0.0, 0.0, 15)) == pytest.approx(1 - low)
    assert widened(0.2, 0.4, 15) == (0.2, 0.4)


def test_equal_rows_are_in_one_fold_and_both_sides_in_every_fold():
    x = torch.arange(40.0).repeat(2)[:, None]
    y = torch.cat([torch.zeros(50), torch.ones(30)]).long()
    of = folds(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(of[:40], of[40:])
    assert all(0 < int(y[of == k].sum()) < int((of == k).sum()) for k in range(5))


def test_classes_are_drawn_in_their_shares():
    y = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    assert torch.equal(spread_over(y, 100, 3).sort().values, torch.arange(100))
    assert torch.bincount(y[spread_over(y, 1000, 0)]).tolist() == [500, 300, 200]
    assert torch.bincount(y[spread_over(y, 10, 0)]).tolist() == [5, 3, 2]


def test_the_same_seed_gives_the_same_numbers():
    a, b = (usefulness(known(perfect), n=60, repeats=1, seed=4) for _ in range(2))
    assert [one.values for one in a.learned] == [one.values for one in b.learned]
    assert [[told[:3] for told in one.values.values()] for one in a.passed] == [
        [told[:3] for told in one.values.values()] for one in b.passed
    ]


def test_the_gaussian_of_images_has_their_mean_and_the_variance_that_is_shrunk():
    spec = ImageSpec(1, 4, 4)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 1, generator=generator)
    x = (128 + 25 * z + 10 * torch.randn(400, 16, generator=generator)).round()
    drawn = gaussian_images(x.to(torch.uint8).view(400, 1, 4, 4), 4000, spec, 1).flatten(1).double()
    assert (drawn.mean(0) - x.double().mean(0)).abs().max() < 3
    wanted, of = torch.cov(x.double().T), torch.cov(drawn.T)
    assert (of - wanted).abs().max() < 0.15 * wanted.max()


def pictures(n, seed):
    """A bright row or a bright column somewhere, in noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, 8, 8, generator=generator) * 100
    y = torch.arange(n) % 2
    at = torch.randint(8, (n,), generator=generator)
    for i in range(n):
        line = x[i, 0, at[i]] if y[i] == 0 else x[i, 0, :, at[i]]
        line += 120
    return Examples(x.to(torch.uint8), y)


def test_images_are_learned_by_pixels_and_by_convolutions():
    spec, train = ImageSpec(1, 8, 8), pictures(200, 0)
    bank = ImageDataset("pictures", "train", train.x.numpy())
    of = Known(
        *(spec, train, pictures(100, 1), bank),
        lambda n, seed: pictures(n, 100 + seed),
        ("row", "column"),
    )
    told = usefulness(of, repeats=1)
    assert told.of("samples", "convnet").interval("accuracy")[0] > 0.8
    assert told.of("shuffled labels", "convnet").interval("accuracy")[0] < 0.6
    assert told.rival("copies").values["copied"].value == 1
    assert told.rival("samples").values["copied"].value < 0.1
    assert {found.source for found in told.passed} == {"samples", "Gaussian", "copies"}


def test_a_source_of_one_class_and_rows_with_gaps_are_learned_from():
    train = mixture(N, 1)
    gaps = torch.rand(train.x.shape, generator=torch.Generator().manual_seed(0)) < 0.2
    train = Examples(train.x.masked_fill(gaps, torch.nan), train.y)
    drawn = []

    def draw(n, seed):
        some = mixture(n, seed)
        drawn.append(some)
        return Examples(some.x, torch.ones_like(some.y))

    told = usefulness(known(draw, train), repeats=1)
    one = told.of("samples", "forest").values["balanced"].value
    assert one == pytest.approx(1 / 3)
    assert drawn


def test_every_entry_says_what_it_is():
    for table in (LEARNERS, SOURCES, RIVALS, TESTS):
        assert all(entry.about for entry in table.values())
