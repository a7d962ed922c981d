"""Batches with equally many images of each domain, and what is set aside of them."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from ptheta.data.image_data import ImageDataset
from ptheta.data.near import first_groups
from ptheta.errors import PthetaError
from ptheta.models.base import Model
from ptheta.training.group import Group
from ptheta.training.sampler import BalancedSampler, BatchSampler, Sampler, sampler_for

NAMES = ("day", "dusk", "night")
COUNTS = [(40, 40, 40), (50, 7, 3), (5, 64, 1), (2, 1, 1)]


def labels_of(counts: tuple[int, ...], seed: int = 5) -> np.ndarray:
    """So many of each, mixed."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(labels)


def order_of(sampler: Sampler, labels: np.ndarray, domain: int, steps: int) -> np.ndarray:
    """The images of one domain in the order they come in, as numbers within the domain."""
    within = np.flatnonzero(labels == domain)
    seen = np.concatenate([sampler.batch(step) for step in range(1, steps + 1)])
    return np.searchsorted(within, seen[labels[seen] == domain])


@pytest.mark.parametrize("counts", COUNTS)
def test_every_batch_and_every_share_is_balanced(counts: tuple[int, ...]):
    labels = labels_of(counts)
    for size in (1, 2):
        shares = [BalancedSampler(labels, NAMES, 6, 1, rank, size) for rank in range(size)]
        for step in range(1, 30):
            for share in shares:
                times = np.bincount(labels[share.indices(step)], minlength=3)
                assert len(set(times)) == 1


@pytest.mark.parametrize("counts", COUNTS)
def test_the_images_of_a_domain_come_equally_often_within_its_epochs(counts: tuple[int, ...]):
    labels = labels_of(counts)
    sampler = BalancedSampler(labels, NAMES, 12, seed=2)
    for domain, n in enumerate(counts):
        order = order_of(sampler, labels, domain, steps=60)
        epochs = order[: len(order) // n * n].reshape(-1, n)
        assert len(epochs) > 1
        assert (np.sort(epochs, 1) == np.arange(n)).all()
        if n > 5:
            assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_an_epoch_is_one_of_the_largest_domain():
    labels = labels_of((50, 7, 3))
    sampler = BalancedSampler(labels, NAMES, 12, seed=2)
    assert sampler.per_epoch == 13
    assert set(order_of(sampler, labels, 0, steps=13)) == set(range(50))


def test_the_order_of_a_domain_depends_on_no_other():
    found = []
    for counts in ((9, 30, 4), (9, 30, 200), (11, 30, 4)):
        labels = labels_of(counts)
        found.append(order_of(BalancedSampler(labels, NAMES, 6, seed=7), labels, 1, steps=40))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    other = order_of(BalancedSampler(labels, NAMES, 6, seed=8), labels, 1, steps=40)
    assert not np.array_equal(found[0], other)
    same = labels_of((30, 30, 30))
    sampler = BalancedSampler(same, NAMES, 6, seed=7)
    assert not np.array_equal(order_of(sampler, same, 0, 15), order_of(sampler, same, 1, 15))


def test_the_batches_are_a_function_of_seed_and_step():
    labels = labels_of((50, 7, 3))
    a, b = (BalancedSampler(labels, NAMES, 9, seed=1) for _ in range(2))
    forward = [a.indices(step) for step in range(1, 40)]
    backward = [b.indices(step) for step in range(39, 0, -1)][::-1]
    assert all(np.array_equal(x, y) for x, y in zip(forward, backward, strict=True))


@pytest.mark.parametrize("size", [2, 4])
def test_the_shares_together_are_the_batch_of_one_process(size: int):
    labels = labels_of((50, 17, 13))
    alone = BalancedSampler(labels, NAMES, 24, seed=3)
    shares = [BalancedSampler(labels, NAMES, 24, 3, rank, size) for rank in range(size)]
    for step in (1, 2, 9, 30):
        whole = np.empty(24, dtype=np.int64)
        for rank, share in enumerate(shares):
            whole[rank::size] = share.indices(step)
        assert np.array_equal(whole, alone.batch(step))


@pytest.mark.parametrize(
    ("counts", "batch", "size", "says"),
    [
        ((5, 0, 9), 6, 1, "'dusk' has no training image"),
        ((5, 5, 9), 16, 1, "equally among 3 domains: give --batch-size 15 or 18"),
        ((5, 5, 9), 9, 2, "among 3 domains on 2 processes: give --batch-size 6 or 12"),
        ((5, 5, 9), 2, 1, "among 3 domains: give --batch-size 3"),
        ((5, 5, 9), 60, 2, "give --batch-size 24, or fewer processes"),
    ],
)
def test_what_cannot_be_balanced_is_refused(
    counts: tuple[int, ...], batch: int, size: int, says: str
):
    with pytest.raises(PthetaError, match=says):
        BalancedSampler(labels_of(counts), NAMES, batch, 0, 0, size)


def test_few_images_make_a_small_batch():
    assert len(BalancedSampler(labels_of((2, 1, 1)), NAMES, 60, seed=0).batch(3)) == 6


class Plain(Model):
    def __init__(self) -> None:
        nn.Module.__init__(self)


class Balanced(Plain):
    balanced = True


def images(labels: np.ndarray | None) -> ImageDataset:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4), np.uint8)
    return ImageDataset("made", "train", pictures, labels=labels, classes=NAMES)


def test_the_model_says_which_order_it_is_trained_in():
    data = images(labels_of((50, 7, 3)))
    assert isinstance(sampler_for(Plain(), data, 6, 0, Group()), BatchSampler)
    assert isinstance(sampler_for(nn.Linear(1, 1), data, 6, 0, Group()), BatchSampler)
    some = data.subset(range(10, 60))
    found = sampler_for(Balanced(), some, 6, 0, Group())
    assert some.batch(found.batch(1)).extra["labels"].bincount().tolist() == [2, 2, 2]
    with pytest.raises(PthetaError, match="made has no labels"):
        sampler_for(Balanced(), images(None), 6, 0, Group())


def test_what_is_held_out_by_label_leaves_every_label_its_share():
    labels = labels_of((50, 7, 3))
    for n in (6, 30, 59):
        rest, held = images(labels).hold_out(n, seed=1, by_label=True)
        counts = [np.bincount(labels[part.rows(slice(None))], minlength=3) for part in (rest, held)]
        assert counts[1].tolist() == [n * count // 60 for count in (50, 7, 3)]
        assert counts[0].min() > 0


def test_near_duplicates_across_labels_are_held_out_together_or_not_at_all():
    labels, groups = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 3, 0, 0, 0, 1])
    assert first_groups(groups, 4, labels).tolist() == [0, 1, 1, 0, 0, 0, 0, 1]
