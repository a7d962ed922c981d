"""What was trained on is never held out: over folders, duplicates, and edits."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ptheta.data import describe, embedded, near, open_images, shapes
from ptheta.data.identity import groups, keys
from ptheta.data.image_data import ImageDataset
from ptheta.data.splits import FEW, held_out
from tests.data.makers import noise

KEYS = st.integers(0, 2**64 - 1)
LOW = st.integers(0, 2**64 // 10 - 1)  # such as are held out


@st.composite
def graphs(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Keys of images in the order in which they come, and which are near-duplicates."""
    few = draw(st.lists(KEYS | LOW, min_size=FEW + 1, max_size=FEW + 1, unique=True))
    more = draw(st.lists(KEYS | LOW | st.sampled_from(few), max_size=15))
    every = np.array([max(few), *few, *more], dtype=np.uint64)
    place = st.integers(0, len(every) - 1)
    return every, draw(st.lists(st.tuples(place, place), max_size=8))


def components(edges: Sequence[tuple[int, int]], every: np.ndarray) -> np.ndarray:
    """Equal keys are near-duplicates, too."""
    group = np.unique(every, return_inverse=True)[1]
    for a, b in edges:
        if max(a, b) < len(every):
            group[group == group[b]] = group[a]
    return group


@given(graphs())
def test_adding_images_holds_out_nothing_that_was_trained_on(graph):
    every, edges = graph
    before = None
    for n in range(FEW + 2, len(every) + 1):
        group = components(edges, every[:n])
        held = held_out(every[:n], group)
        assert all(len(set(held[group == g])) == 1 for g in set(group))  # one side for a group
        trained_before = np.zeros(0, dtype=bool) if before is None else ~before
        # were all of them low, none is held out: that is the one case that an image ends
        if before is not None and not (every[: n - 1] < 2**64 // 10).all():
            assert not (held[: n - 1] & trained_before).any()
        before = held


@given(st.lists(KEYS, min_size=30, max_size=60, unique=True), st.data())
def test_what_duplicates_nothing_moves_nobody(values, data):
    every = np.array([2**64 - 1, *values], dtype=np.uint64)  # never all of them low
    n = data.draw(st.integers(25, len(every)))
    low = every < 2**64 // 10
    held = held_out(every, np.arange(len(every)))
    assert low.sum() < 2 or np.array_equal(held, low)  # of each image alone
    assert held.sum() >= 2
    assert np.array_equal(held_out(every[::-1], np.arange(len(every)))[::-1], held)
    if low[:n].sum() >= 2:
        assert np.array_equal(held_out(every[:n], np.arange(n)), held[:n])


def test_nothing_can_be_held_out_of_one_group():
    every = np.arange(30, dtype=np.uint64) * np.uint64(2**58)
    assert not held_out(every, np.zeros(30)).any()


def textures(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Smooth grey pictures, uint8 (16, 16), that an encoder changes little."""
    return [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (4, 4), dtype=np.uint8)).resize(
                (16, 16), Image.Resampling.BICUBIC
            )
        )
        for _ in range(n)
    ]


def sides_of(folder: Path, cache: Path) -> dict[bytes, str]:
    """Image -> its split."""
    found: dict[bytes, str] = {}
    for split in describe(folder)["images"]:  # train alone where nothing can be held out
        for x in open_images(folder, split, cache_dir=cache).batch(slice(None)).x:
            assert found.setdefault(x.numpy().tobytes(), split) == split
    return found


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_files_come_and_go(tmp_path_factory, seed, kind):
    rng = np.random.default_rng(seed)
    root = tmp_path_factory.mktemp("edits")
    folder, cache = root / "f", root / "cache"
    folder.mkdir()
    for i, picture in enumerate(textures(rng, 24)):
        Image.fromarray(picture).save(folder / f"{i:02d}.png")
    first = sides_of(folder, cache)
    # others are added, and all are called otherwise
    for i, picture in enumerate(textures(rng, 6)):
        Image.fromarray(picture).save(folder / f"0{i}-new.png")
    for i, file in enumerate(rng.permutation(sorted(folder.iterdir()))):
        Path(file).rename(folder / f"renamed-{i}.png")
    more = sides_of(folder, cache)
    moved = {x for x in first if first[x] != more[x]}
    assert all(more[x] == "train" for x in moved)
    low = [x for x in first if first[x] == "test"]
    assert not moved or len(low) == 2  # only where the two with the smallest keys were taken
    # copies, and the same encoded anew
    for i, file in enumerate(sorted(folder.iterdir())[:10]):
        shutil.copy(file, folder / f"copy-{i}.png")
        with Image.open(file) as opened:
            opened.save(folder / f"again-{i}.{kind.lower()}", kind, quality=95)
    last = sides_of(folder, cache)
    assert not any(more[x] == "train" and last[x] == "test" for x in more)
    train = open_images(folder, cache_dir=cache)
    assert train.groups is not None
    trained = train.rows(slice(None))
    others = np.setdiff1d(np.arange(len(train.images)), trained)
    assert not set(train.groups[trained]) & set(train.groups[others])
    if kind != "PNG":
        assert len(set(train.groups)) <= 30  # every copy was known
    # what is a near-duplicate of nothing may go, and moves nobody
    alone = sorted(folder.glob("renamed-*"))[10]
    with Image.open(alone) as opened:
        gone = np.asarray(opened).tobytes()
    alone.unlink()
    if sum(side == "test" for side in last.values()) > 3:
        assert sides_of(folder, cache) == {x: s for x, s in last.items() if x != gone}


def encoded(image: np.ndarray, kind: str, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    plain = image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(plain).save(buffer, kind, quality=quality)
    with Image.open(buffer) as opened:
        back = np.asarray(opened.convert("L" if len(image) == 1 else "RGB"))
    return back[None] if len(image) == 1 else back.transpose(2, 0, 1)


@pytest.mark.parametrize("name", ["digits", "fashion", "shapes"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_what_is_encoded_anew_is_a_near_duplicate(name, kind):
    if name == "shapes":
        images = shapes.scenes(np.arange(60)).images
    else:
        images = embedded.load_embedded(name, "test").images[:60]
    for quality in (75, 85, 95):
        again = np.stack([encoded(image, kind, quality) for image in images])
        off = np.abs(images.astype(int) - again).reshape(len(images), -1).mean(1)
        found = near.near(images, again)
        assert not found[off > 3].any()
        assert (~found[off <= 3]).mean() <= 0.05 if (off <= 3).any() else True


def test_no_digit_is_a_near_duplicate_of_another():
    parts = [embedded.load_embedded("digits", split) for split in ("train", "test")]
    found = near.find_groups(*((d.images, np.arange(len(d))) for d in parts)).groups
    assert np.array_equal(found, np.arange(12_000))


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        "fashion",
        pytest.param("shapes", marks=pytest.mark.slow),
        pytest.param("shapes-64", marks=pytest.mark.slow),
        pytest.param("day-night", marks=pytest.mark.slow),
    ],
)
def test_what_is_known_of_embedded_sets_is_what_is_found(name):
    parts = [open_images(name, split) for split in ("train", "test")]
    found = near.find_groups(*((d.images, np.arange(len(d))) for d in parts)).groups
    n = len(parts[0])
    for part, own in zip(parts, (found[:n], found[n:]), strict=True):
        assert part.groups is not None
        assert np.array_equal(part.groups, own)
    assert np.array_equal(parts[1].repeated(), np.isin(found[n:], found[:n]))


def test_near_duplicates_are_found_across_tiles_as_by_comparing_all(monkeypatch):
    monkeypatch.setattr(near, "CHUNK", 7)
    monkeypatch.setattr(near, "TILE", 11)
    rng = np.random.default_rng(0)
    images = np.stack(textures(rng, 30))[:, None]
    both = np.concatenate([images, [encoded(x, "JPEG", 95) for x in images], images[:5]])
    found = near.find_groups((both, np.arange(len(both)))).groups
    alike = np.array([near.near(np.repeat(x[None], len(both), 0), both) for x in both])
    assert np.array_equal(found[:, None] == found, alike)  # no chains among these


def test_flat_and_nearly_black_images():
    flat = np.repeat(np.array([0, 2, 30, 31], dtype=np.uint8), 64).reshape(4, 1, 8, 8)
    found = near.find_groups((flat, np.arange(4))).groups
    assert found.tolist() == [0, 0, 2, 2]
    masks = (noise(40, 1, 16, 16) > 127).astype(np.uint8)  # of values 0 and 1
    assert near.find_groups((masks, np.arange(40))).groups.tolist() == list(range(40))


def test_a_reserve_shares_no_picture_with_what_is_trained_on():
    rng = np.random.default_rng(1)
    images = np.stack(textures(rng, 60))[:, None]
    again = np.stack([encoded(x, "JPEG", 95) for x in images])
    data = ImageDataset("toy", "train", np.concatenate([images, again]))
    number = groups(data)
    for seed in range(3):
        rest, held = (part.rows(slice(None)) for part in data.hold_out(21, seed))
        assert (len(held), len(rest)) == (20, 100)  # pairs, so one fewer
        assert not set(number[rest]) & set(number[held])
        assert np.array_equal(held, data.hold_out(21, seed)[1].rows(slice(None)))
    assert len(set(keys(data))) == 120


def test_test_images_that_repeat_training_images_are_known(tmp_path):
    rng = np.random.default_rng(2)
    images = np.stack(textures(rng, 20))[:, None]
    again = np.stack([encoded(x, "WEBP", 95) for x in images[:3]])
    np.savez(tmp_path / "a.npz", x_train=images[:15], x_test=np.concatenate([images[15:], again]))
    test = open_images(tmp_path / "a.npz", "test")
    assert test.repeated().tolist() == [False] * 5 + [True] * 3
    assert test.subset([6, 0]).repeated().tolist() == [True, False]
    assert any("3 of 8 test images repeat training images" in note for note in test.notes)
    assert not open_images(tmp_path / "a.npz").repeated().any()
