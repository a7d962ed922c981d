"""Scenes in two domains, and what is read off a picture of a scene."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from ptheta.data import ImageDataset, open_images, shapes
from ptheta.data.day_night import LOOKS
from ptheta.data.scene_reader import read_scenes
from ptheta.errors import PthetaError
from ptheta.measures.scenes import KINDS, agreement, alike

ALL = ("background", "place", *KINDS)
ROLES = {name: i for i, name in enumerate(shapes.ATTRIBUTES)}


def swapped(rows: np.ndarray) -> np.ndarray:
    """The same scenes, their objects named in the other order."""
    other = rows.copy()
    two = rows[:, 0] == 2
    other[two, 2:8], other[two, 8:14] = rows[two, 8:14], rows[two, 2:8]
    return other


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    soft = ndimage.gaussian_filter(images.astype(np.float64), (0, 0, sigma, sigma))
    return np.round(soft).astype(np.uint8)


@pytest.mark.parametrize(("size", "n"), [(32, 600), (64, 150), (40, 60)])
def test_scenes_are_read_rightly(size, n):
    drawn = shapes.scenes(np.arange(50_000, 50_000 + n), seed=1, size=size)
    read = read_scenes(torch.from_numpy(drawn.images))
    assert agreement(read.attributes, drawn.attributes).all_of(*ALL).mean() >= 0.99
    assert np.array_equal(read.attributes[:, 0], drawn.attributes[:, 0])
    assert read.error.max() < 12


@pytest.mark.parametrize(("sigma", "least"), [(0.5, 0.98), (0.6, 0.93)])
def test_a_slight_blur_leaves_scenes_legible(sigma, least):
    drawn = shapes.scenes(np.arange(250), seed=2)
    read = read_scenes(torch.from_numpy(blurred(drawn.images, sigma)))
    assert agreement(read.attributes, drawn.attributes).all_of(*ALL).mean() >= least


@pytest.mark.parametrize("deviation", [10, 30])
def test_noise_is_no_object(deviation):
    """Of a model that draws every pixel by itself."""
    drawn = shapes.scenes(np.arange(250), seed=2)
    noise = np.random.default_rng(0).normal(0, deviation, drawn.images.shape)
    noisy = (drawn.images + noise).clip(0, 255).astype(np.uint8)
    read = read_scenes(torch.from_numpy(noisy))
    assert agreement(read.attributes, drawn.attributes).all_of(*ALL).mean() >= 0.98


def test_what_is_alike_part_by_part():
    """An exchange of two colours changes no part by itself; a third object is counted."""
    drawn = shapes.scenes(np.arange(400), seed=3)
    rows = drawn.attributes
    two = rows[:, 0] == 2
    assert all((same == 1).all() for same in alike(swapped(rows), rows).values())
    exchanged = rows.copy()
    first, second = (ROLES[f"{which}_colour"] for which in ("first", "second"))
    exchanged[two, first], exchanged[two, second] = rows[two, second], rows[two, first]
    assert all((same == 1).all() for same in alike(exchanged, rows).values())
    assert not (agreement(exchanged, rows).colour == 1)[two].any()
    for part, column in (
        ("colour", "first_colour"),
        ("shape", "first_shape"),
        ("place", "first_row"),
    ):
        other = rows.copy()
        other[:, ROLES[column]] = (other[:, ROLES[column]] + 1) % 3
        found = alike(other[~two], rows[~two])
        assert {name for name, same in found.items() if (same == 0).all()} == {part}
    more = drawn.images[two]
    more = np.minimum(more, more[::-1])  # on white, the objects of two scenes
    assert read_scenes(torch.from_numpy(more)).attributes[:, 0].max() > 2


def test_nothing_is_read_off_an_empty_paper():
    flat = torch.tensor(list(shapes.BACKGROUNDS.values()), dtype=torch.uint8)
    read = read_scenes(flat[:, :, None, None].expand(3, 3, 40, 40).contiguous())
    assert read.attributes[:, 0].tolist() == [0, 0, 0]
    assert read.attributes[:, 1].tolist() == [0, 1, 2]
    assert (read.attributes[:, 2:] == -1).all()
    assert read.error.tolist() == [0, 0, 0]
    noise = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert (read_scenes(noise).error > 40).all()
    assert len(read_scenes(noise[:0]).attributes) == 0


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 3, 32, 40), (1, 3, 16, 16), (3, 32, 32)])
def test_what_holds_no_scene_is_refused(shape):
    with pytest.raises(PthetaError, match=r"scenes are recognised|scene recognition needs"):
        read_scenes(torch.zeros(shape, dtype=torch.uint8))


def test_agreement_says_what_agrees():
    rows = shapes.scenes(np.arange(200), seed=4).attributes
    same = agreement(swapped(rows), rows)
    assert all((values == 1).all() for values in dataclasses.asdict(same).values())
    for name in KINDS:
        other = rows.copy()
        other[:, ROLES[f"first_{name}"]] += 1
        off = dataclasses.asdict(agreement(other, rows))
        if off.pop("fills").min() < 1:
            assert name == "fill"
        assert np.allclose(off.pop(name), 1 - 1 / rows[:, 0])
        assert all((values == 1).all() for values in off.values())
    one = rows.copy()
    one[:, 0], one[:, 8:] = 1, -1  # the second object is missing
    for a, b in ((one, rows), (rows, one)):  # or was invented
        less = dataclasses.asdict(agreement(a, b))
        assert (less.pop("background") == 1).all()
        less.pop("fills")
        assert all(np.allclose(values, 1 / rows[:, 0]) for values in less.values())
    assert not agreement(one, rows).all_of("place")[rows[:, 0] == 2].any()


def test_partners_are_the_same_scene_in_the_other_domain():
    test = open_images("day-night", "test")
    assert test.partners is not None
    assert test.labels is not None
    assert test.attributes is not None
    assert np.array_equal(test.partners[test.partners], np.arange(len(test)))
    assert (test.labels[test.partners] == 1 - test.labels).all()
    same = agreement(test.attributes[test.partners], test.attributes)
    assert same.all_of("place", "shape", "colour", "size").all()
    assert not same.background.any()
    assert not same.fill.any()
    for number, look in enumerate(LOOKS.values()):
        rows = test.attributes[test.labels == number]
        assert np.array_equal(rows, look.of(rows))


def shown(data: ImageDataset, domain: int) -> set[bytes]:
    """What tells the scenes of one domain apart, whatever their look."""
    assert data.masks is not None
    assert data.labels is not None
    assert data.attributes is not None
    rows = LOOKS["day"].of(data.attributes)
    which = np.flatnonzero(data.labels == domain)
    return {data.masks[row].tobytes() + rows[row].tobytes() for row in which}


def test_the_domains_of_the_training_part_show_different_scenes():
    train, test = (open_images("day-night", split) for split in ("train", "test"))
    assert train.partners is None
    days, nights = (shown(train, number) for number in (0, 1))
    assert len(days) > 4990
    assert len(nights) > 4990
    assert not days & nights
    assert not (days | nights) & shown(test, 0)
    some = test.subset(slice(0, 2000, 10))
    assert some.attributes is not None
    read = read_scenes(some.batch(slice(None)).x)
    assert agreement(read.attributes, some.attributes[::10]).all_of(*ALL).all()
