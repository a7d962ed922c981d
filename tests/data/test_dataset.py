"""The data set type: binarisation, subsets, fingerprints, drawn scenes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from ptheta.data import open_images, shapes
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.specs import from_levels, quantise, to_levels


def constant(value: int, n: int = 40) -> Dataset:
    return ImageDataset("toy", "train", np.full((n, 1, 10, 10), value, dtype=np.uint8))


def test_levels_round_trip():
    for levels in (2, 3, 4, 16, 255, 256):
        k = torch.arange(levels)
        assert torch.equal(to_levels(from_levels(k, levels), levels), k)
        x = torch.arange(256, dtype=torch.uint8)
        assert len(quantise(x, levels).unique()) == levels
        assert (quantise(x, levels).int() - x.int()).abs().max() <= 255 / (levels - 1) / 2 + 0.5


@pytest.mark.parametrize("value", [0, 1, 64, 128, 254, 255])
@pytest.mark.parametrize("dynamic", [False, True])
def test_binarisation_is_unbiased(value, dynamic):
    x = constant(value).with_levels(2, dynamic).batch(slice(None)).x
    assert set(x.unique().tolist()) <= {0, 255}
    share, wanted = x.float().mean().item() / 255, value / 255
    assert abs(share - wanted) <= 4 * (wanted * (1 - wanted) / x.numel()) ** 0.5


def test_fixed_binarisation_is_of_the_image_and_the_seed():
    data = open_images("digits", "test", levels=2, seed=5)
    whole = data.batch(slice(0, 100)).x
    some = data.batch([70, 3, 99]).x
    assert torch.equal(some, whole[[70, 3, 99]])
    assert torch.equal(data.subset([70, 3]).batch([1]).x, whole[[3]])
    assert not torch.equal(open_images("digits", "test", levels=2, seed=6).batch([3]).x, whole[[3]])
    dynamic = data.with_levels(2, dynamic=True)
    assert not torch.equal(dynamic.batch([3]).x, dynamic.batch([3]).x)


def test_hold_out_is_disjoint_and_repeatable():
    data = open_images("digits", "test")
    rest, held = data.hold_out(300, seed=1)
    assert (len(rest), len(held)) == (1700, 300)
    assert rest.index is not None
    assert held.index is not None
    assert not set(rest.index) & set(held.index)
    again = data.hold_out(300, seed=1)[1].index
    assert again is not None
    assert np.array_equal(held.index, again)
    with pytest.raises(PthetaError, match="cannot hold out 2000"):
        data.hold_out(2000)


def test_fingerprint_changes_with_what_matters():
    data = open_images("digits", "test")
    prints = {
        data.fingerprint(),
        data.with_levels(2).fingerprint(),
        data.with_levels(2, seed=1).fingerprint(),
        data.subset(range(50)).fingerprint(),
        open_images("fashion", "test").fingerprint(),
    }
    assert len(prints) == 5
    assert open_images("digits", "test").fingerprint() == data.fingerprint()


def test_positions_count_from_the_end_or_fail():
    data = open_images("digits", "test", levels=2)
    for some in (data, data.subset(range(100, 300))):
        last = len(some) - 1
        assert torch.equal(some.batch([-1, 0]).x, some.batch([last, 0]).x)
        for outside in (last + 1, -last - 2):
            with pytest.raises(IndexError):
                some.batch([outside])


def test_dynamic_needs_two_levels():
    with pytest.raises(PthetaError, match="add --levels 2"):
        constant(3).with_levels(256, dynamic=True)


def test_scenes_are_the_same_bytes_for_the_same_index_and_seed():
    a = shapes.scenes(np.arange(50), seed=3)
    b = shapes.scenes(np.array([7, 49]), seed=3)
    assert np.array_equal(a.images[[7, 49]], b.images)
    assert np.array_equal(a.attributes[[7, 49]], b.attributes)
    assert not np.array_equal(shapes.scenes(np.arange(50), seed=4).images, a.images)
    assert np.array_equal(a.masks[[7, 49]], b.masks)
    assert b.captions == (a.captions[7], a.captions[49])
    for size, pinned in ((32, "6a660742938cb76f"), (64, "a9510d86b4e55c59")):
        some = shapes.scenes(np.arange(200), size=size)
        digest = hashlib.sha256(some.images.tobytes() + some.masks.tobytes()).hexdigest()
        assert digest[:16] == pinned, size


# mask pixels as a part of the bounding box
FULLNESS = {0: np.pi / 4, 1: 1.0, 2: 0.5, 3: 0.5}  # circle, square, triangle, diamond


def _fullness(inside: np.ndarray) -> float:
    ys, xs = np.nonzero(inside)
    return float(inside.sum() / (np.ptp(ys) + 1) / (np.ptp(xs) + 1))


def _inner(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(3, n): the pixels whose eight neighbours belong to the object, too: no outline."""
    deep = inside.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            deep &= np.roll(inside, (dy, dx), (0, 1))
    return image[:, deep]


@pytest.mark.parametrize("size", [32, 64])
def test_captions_attributes_and_masks_say_what_is_drawn(size):
    s = shapes.scenes(np.arange(300), seed=1, size=size)
    column = {name: i for i, name in enumerate(shapes.ATTRIBUTES)}
    colours = set(shapes.COLOURS.values())
    papers = np.array(tuple(shapes.BACKGROUNDS.values()))
    for image, mask, row, text in zip(s.images, s.masks, s.attributes, s.captions, strict=True):
        count = int(row[column["objects"]])
        assert set(np.unique(mask)) == set(range(count + 1))
        assert text.count(" at the ") == count
        paper = papers[row[column["background"]]]
        outside = image[:, mask == 0].T.astype(float)
        assert np.median(np.abs(outside - paper).sum(1)) == 0
        for number, which in enumerate(("first", "second")[:count], start=1):
            at = {k: int(row[column[f"{which}_{k}"]]) for k in shapes.OBJECT}
            inside = mask == number
            ys, xs = np.nonzero(inside)
            centre = np.array([(ys.min() + ys.max() + 1) / 2, (xs.min() + xs.max() + 1) / 2]) / size
            wanted = (shapes.CENTRES[at["row"]], shapes.CENTRES[at["column"]])
            assert np.abs(centre - wanted).max() < 0.06
            found = {tuple(pixel) for pixel in image[:, inside].T.tolist()} & colours
            assert found == {tuple(shapes.COLOURS.values())[at["colour"]]}
            half = np.ptp(xs) / 2 / size
            assert (half > 0.117) == (at["size"] == 1)
            if size == 64:  # enough pixels for a texture to show inside
                textured = len({tuple(p) for p in _inner(image, inside).T.tolist()}) > 1
                assert textured == (at["fill"] > 0)
            assert _fullness(inside) == pytest.approx(FULLNESS[at["shape"]], abs=0.2)
            word = f"{tuple(shapes.SIZES)[at['size']]} {tuple(shapes.COLOURS)[at['colour']]}"
            assert word in text
            place = f"{shapes.ROWS[at['row']]} {shapes.COLUMNS[at['column']]}"
            assert shapes.SHAPES[at["shape"]] in text
            assert (place if place != "middle centre" else "the centre") in text


def test_objects_do_not_touch():
    s = shapes.scenes(np.arange(2000), seed=2)
    two = s.masks[s.attributes[:, 0] == 2]
    assert len(two) > 500
    for a, b in ((two[:, :-1], two[:, 1:]), (two[:, :, :-1], two[:, :, 1:])):
        assert not ((a == 1) & (b == 2)).any()
        assert not ((a == 2) & (b == 1)).any()


def test_shapes_as_a_data_set():
    data, train = open_images("shapes", "test"), open_images("shapes")
    pictures = {image.tobytes() for image in np.asarray(train.images)}
    assert len(pictures) == len(train) == 20_000
    assert not any(image.tobytes() in pictures for image in np.asarray(data.images))
    assert len(data) == 2000
    assert data.captions is not None
    assert data.masks is not None
    assert data.attributes is not None
    assert data.labels is not None
    alone = shapes.scenes(np.array([shapes.TRAIN + 11]))
    assert np.array_equal(data.images[11], alone.images[0])
    assert data.captions[11] == alone.captions[0]
    assert data.labels[11] == alone.attributes[0, 2]
