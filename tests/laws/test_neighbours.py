"""Laws of `neighbours`: what is nearest, and what is a copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.extractors.classifiers import Pixels
from ptheta.measures.memorisation import nearest
from ptheta.measures.nearest import Nearest, search
from ptheta.tasks.neighbours import (
    COPIES,
    LEAST,
    NOISY,
    OTHERS,
    SAMPLES,
    UNSEEN,
    Directions,
    Moves,
    Numbers,
    Searched,
    nearest_pairs,
    neighbours,
)


def drawn(n: int, seed: int) -> Tensor:
    """Smooth images 1x8x8 of six numbers each: p(x) of a toy."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 6, generator=generator)
    basis = torch.randn(6, 64, generator=torch.Generator().manual_seed(7))
    return (128 + 22 * z @ basis).clamp(0, 255).byte().view(n, 1, 8, 8)


def data(x: Tensor) -> Dataset:
    return ImageDataset("some", "train", x.numpy())


TRAIN, TEST = drawn(1500, 0), drawn(400, 1)


def found(samples: Tensor, **how) -> Searched:
    train = data(TRAIN)
    return neighbours(samples, train, data(TEST), {"pixels": Numbers(train)}, **how)["pixels"]


# -- what is nearest


@pytest.mark.parametrize("block", [1, 7, 50, 4000])
def test_the_nearest_rows_are_those_of_the_whole_table_whatever_the_block(block):
    torch.manual_seed(0)
    h, rows = torch.randn(9, 5), torch.randn(50, 5)
    got = search([h], rows.__getitem__, 50, 4, block=block)
    wanted = torch.cdist(h.double(), rows.double()).sort(1)
    assert torch.equal(got.places, wanted.indices[:, :4])
    torch.testing.assert_close(got.distances.double(), wanted.values[:, :4])


def test_what_does_not_count_is_left_out_and_all_else_stays():
    torch.manual_seed(0)
    rows = torch.randn(40, 3)
    whole = search([rows], rows.__getitem__, 40, 5, block=6)
    assert torch.equal(whole.places[:, 0], torch.arange(40))
    assert (whole.distances[:, 0] == 0).all()
    others = search([rows], rows.__getitem__, 40, 4, but=torch.arange(40), block=6)
    assert torch.equal(others.places, whole.places[:, 1:])


def test_of_several_moves_the_nearest_counts():
    torch.manual_seed(0)
    h, rows = torch.randn(6, 3), torch.randn(30, 3)
    moved = [h, -h, h + 1]
    wanted = torch.stack([torch.cdist(one, rows) for one in moved]).amin(0).sort(1)
    got = search(moved, rows.__getitem__, 30, 3, block=8)
    assert torch.equal(got.places, wanted.indices[:, :3])
    torch.testing.assert_close(got.distances, wanted.values[:, :3])


def test_memory_does_not_grow_with_what_is_searched():
    seen = list[int]()

    def rows(at: slice | Tensor) -> Tensor:
        part = torch.zeros(4000, 2)[at]
        seen.append(len(part))
        return part

    search([torch.zeros(100_000, 2)], rows, 400, 1)
    assert max(seen) * 100_000 <= 2**28  # of the looks by block, and of those at what was found
    assert max(seen[:2]) * 100_000 <= 2**24


def test_one_neighbour_is_the_first_of_several_and_the_closest_have_the_least_distance():
    places, distances = nearest(TEST[:60], data(TRAIN))
    pairs = nearest_pairs(TEST[:60], data(TRAIN), 5)
    order = np.argsort(distances.numpy(), kind="stable")[:5]
    assert torch.equal(pairs[:, 0], TEST[:60][order.tolist()])
    assert torch.equal(pairs[:, 1], TRAIN[places[order]])
    random = nearest_pairs(TEST[:3], data(TRAIN))
    assert torch.equal(random[:, 0], TEST[:3])  # in their own order: uncurated


def test_a_shifted_or_mirrored_copy_is_known_where_it_is_asked_for():
    train = torch.zeros(20, 1, 12, 12, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(3)
    inner = torch.randint(0, 256, (20, 1, 6, 6), generator=generator, dtype=torch.uint8)
    train[:, :, 3:9, 3:9] = inner
    shifted = train.roll((1, -1), (2, 3))
    space = Numbers(data(train))
    plain = space.nearest(Moves()(shifted), 1)
    assert (plain.distances > 0).all()
    known = space.nearest(Moves(shifts=1)(shifted), 1)
    assert (known.distances == 0).all()
    assert torch.equal(known.places[:, 0], torch.arange(20))
    mirrored = space.nearest(Moves(mirror=True)(train.flip(3)), 1)
    assert (mirrored.distances == 0).all()
    assert (space.nearest(Moves(shifts=2)(train.roll(3, 2)), 1).distances > 0).all()
    assert len(Moves(1, True)(train)) == 18


def test_directions_are_angles():
    train = data(TRAIN)
    got = Directions(train, Pixels()).nearest([TEST[:30]], 3)
    h, known = (Pixels()(x)[0].double() for x in (TEST[:30], TRAIN))
    cosine = torch.nn.functional.cosine_similarity(h[:, None], known[None], dim=2)
    wanted = (2 - 2 * cosine.sort(1, descending=True).values[:, :3]).sqrt()
    torch.testing.assert_close(got.distances.double(), wanted, rtol=1e-3, atol=1e-4)


# -- what is a copy


def test_copies_are_known_and_new_samples_are_none():
    """The models that the verb is for: a bootstrap, a kernel of small width, and p(x) itself."""
    rng = torch.Generator().manual_seed(2)
    some = TRAIN[torch.randint(len(TRAIN), (400,), generator=rng)]
    noise = 4 * torch.randn(some.shape, generator=rng)
    kernel = (some.float() + noise).round().clamp(0, 255).byte()
    for copies in (some, kernel):
        of = found(copies)
        assert of.copies
        assert of.alone[SAMPLES].value > 0.9
        assert of.near[SAMPLES].value > 0.9
    new = found(drawn(400, 3))
    assert not new.copies
    assert not new.near[SAMPLES].beyond


def test_a_tenth_of_copies_is_enough():
    mixed = torch.cat([TRAIN[:40], drawn(360, 4)])
    of = found(mixed)
    assert of.copies
    assert 0.08 < of.alone[SAMPLES].value < 0.16


def test_false_alarms_are_rare():
    alarms = [found(drawn(300, 100 + seed), seed=seed).copies for seed in range(20)]
    assert sum(alarms) <= 3  # 2.5 % are asked for; P(more than 3 of 20) = 0.1 %


def test_blurred_samples_are_near_to_many_alike_and_no_copies():
    """Means of neighbours: nearer to the training set than any real image, yet to several."""
    near = Numbers(data(TRAIN)).nearest([TEST], 6).places
    blurred = TRAIN[near].float().mean(1).round().byte()
    of = found(blurred)
    assert of.near[SAMPLES].beyond
    assert not of.copies


def test_rivals_are_what_they_are_called():
    of = found(TEST[:50], seed=5)
    assert (of.sides[COPIES].distances[:, 0] == 0).all()
    assert of.near[COPIES].value == of.alone[COPIES].value == 1
    assert of.near[COPIES].low > 0.98
    assert torch.equal(of.sides[COPIES].distances[:, 1:], of.sides[OTHERS].distances)
    assert (of.sides[OTHERS].distances[:, 0] > 0).all()
    assert 0 < of.sides[NOISY].distances[:, 0].median() < 30  # of 0.1 x 255
    assert of.near[UNSEEN].value == pytest.approx(0.01, abs=0.003)
    again = found(TEST[:50], seed=5)
    assert torch.equal(again.sides[NOISY].distances, of.sides[NOISY].distances)


def test_the_share_of_unseen_that_are_as_near_is_a_p_value():
    of = found(TRAIN[:50])
    assert torch.allclose(of.p_values, torch.full((50,), 1 / 401, dtype=torch.float64))
    ranked = found(drawn(400, 9)).p_values
    assert 0.4 < ranked.mean() < 0.6


def test_equal_rows_stand_out_from_nothing():
    twice = Nearest(torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0]]), torch.zeros(3, 2).long())
    assert twice.alone.tolist() == [1.0, 0.0, 0.5]


def test_too_few_tell_nothing():
    train = data(TRAIN)
    for samples, unseen in ((TEST[: LEAST - 1], TEST), (TEST, TEST[: LEAST - 1])):
        with pytest.raises(PthetaError, match=r"9 .*: copies can be detected with 10"):
            neighbours(samples, train, data(unseen), {"pixels": Numbers(train)})
