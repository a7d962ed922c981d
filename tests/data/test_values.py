"""Which value is white: one answer for a collection, whatever it is stored as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import ptheta
from ptheta.api.origin import made_and_real
from ptheta.data import describe, open_images
from ptheta.data.sources import open_image_set
from ptheta.data.values import KINDS, USUAL, White, by_itself, merged, to_bytes
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from tests.data.makers import idx_bytes

# 30 different masks of 8x8, about a third of their pixels set
MASKS = (np.random.default_rng(3).random((30, 8, 8)) < 0.3).astype(np.uint8)


def pngs(root: Path, images: np.ndarray, suffix: str = "png") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(root / f"{i:02}.{suffix}")
    return root


def saved(path: Path, images: np.ndarray) -> Path:
    np.save(path.with_suffix(".npy"), images)
    return path.with_suffix(".npy")


def as_idx(path: Path, images: np.ndarray) -> Path:
    file = path.with_name("some-images-idx3-ubyte")
    file.write_bytes(idx_bytes(images))
    return file


def tiffs(path: Path, images: np.ndarray) -> Path:
    return pngs(path, images, "tif")


BYTES, WORDS, FLOATS = np.uint8, np.uint16, np.float32
STORED: dict[str, tuple[Callable[[Path, np.ndarray], Path], type, float]] = {
    "array of 0 and 1": (saved, BYTES, 1),
    "array of 0 and 255": (saved, BYTES, 255),
    "pictures of 0 and 1": (pngs, BYTES, 1),
    "IDX of 0 and 1": (as_idx, BYTES, 1),
    "16-bit pictures of 0 and 1": (pngs, WORDS, 1),
    "16-bit pictures holding 8 bits": (pngs, WORDS, 255),
    "16-bit pictures holding 10 bits": (pngs, WORDS, 1023),
    "16-bit pictures holding 12 bits": (pngs, WORDS, 4095),
    "16-bit pictures": (pngs, WORDS, 65535),
    "16-bit array holding 12 bits": (saved, WORDS, 4095),
    "64-bit array of 0 and 1": (saved, np.int64, 1),
    "floats up to 1": (tiffs, FLOATS, 1),
    "floats up to 255": (tiffs, FLOATS, 255),
    "array of floats up to 255": (saved, np.float64, 255),
}


USUALLY = ["array of 0 and 255", "16-bit pictures", "floats up to 1"]  # nothing is said of these


@pytest.mark.parametrize("stored", STORED)
def test_white_is_white_in_whatever_it_is_stored(stored, tmp_path):
    write, dtype, white = STORED[stored]
    source = write(tmp_path / "a", MASKS.astype(dtype) * dtype(white))
    found = open_image_set(source)
    assert set(found.images.unique().tolist()) == {0, 255}
    assert found.images.float().mean() / 255 == pytest.approx(MASKS.mean(), abs=1e-6)
    about = describe(source)
    assert any("--levels 2" in line for line in about["suggestions"])
    said = any(f"values reach {white:g}: {white:g} is" in line for line in about["notes"])
    assert said == (stored not in USUALLY)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_value_of_a_collection_decides(kind):
    for white in KINDS[kind].whites:
        assert by_itself(kind, white) == white
    assert by_itself(kind, 0) == USUAL[kind]  # all black
    tops = {kind: KINDS[kind].whites[0]}
    whites = [White().of(merged([tops, {kind: top}]))[kind] for top in KINDS[kind].whites]
    assert whites == sorted(KINDS[kind].whites)


@given(st.floats(1e-3, 70000), st.integers(1, 50))
def test_values_keep_their_order_and_white_its_place(white, n):
    values = np.linspace(0, white, n + 1)
    scaled = to_bytes(values, white).astype(int)
    assert (np.diff(scaled) >= 0).all()
    assert scaled[0] == 0
    assert scaled[-1] == 255
    assert np.abs(scaled - 255 * values / white).max() <= 0.5 + 1e-3


def test_all_parts_of_a_collection_share_their_white(tmp_path):
    for part, top in (("train", 200), ("test", 4000)):
        pngs(tmp_path / "bits" / part, MASKS[:15].astype(np.uint16) * top)
    for part, top in (("train", 1), ("val", 1), ("test", 40)):
        pngs(tmp_path / "bytes" / part, MASKS[:15] * np.uint8(top))
    np.savez(tmp_path / "f.npz", x_train=MASKS * 0.5, x_test=MASKS[:5] * 200.0)
    for name, white in (("bits", 4095), ("bytes", 255), ("f.npz", 255)):
        for split in ("train", "test"):
            assert set(open_images(tmp_path / name, split).whites.values()) == {white}, (
                name,
                split,
            )
    assert np.max(open_images(tmp_path / "bits").images) == round(200 * 255 / 4095)
    assert np.max(open_images(tmp_path / "bits", "test").images) == round(4000 * 255 / 4095)


def test_a_dark_picture_stays_darker_than_the_others(tmp_path):
    values = MASKS.astype(np.float32) * np.linspace(0.1, 1, 30, dtype=np.float32)[:, None, None]
    for source in (tiffs(tmp_path / "a", values * 255), saved(tmp_path / "b", values * 255)):
        found = open_image_set(source).images.amax((1, 2, 3)).tolist()
        assert found == pytest.approx(values.max((1, 2)) * 255, abs=0.51)


def test_dark_bytes_are_left_alone_and_named(tmp_path):
    """Four bits in eight may be that, or photographs of the night."""
    source = pngs(tmp_path / "a", MASKS * np.uint8(15))
    assert open_image_set(source).images.max() == 15
    advice = " ".join(describe(source)["suggestions"])
    assert "--white 15" in advice
    assert "--levels" not in advice
    assert np.max(open_images(source, white=15).images) == 255
    assert "dark" not in " ".join(describe(source, white=15).get("suggestions", []))


def test_what_cannot_be_told_is_asked_for(tmp_path):
    between = tiffs(tmp_path / "a", MASKS.astype(np.float32) * 7)
    with pytest.raises(PthetaError, match=r"values reach 7, and the value of white .* --white"):
        open_images(between)
    assert np.max(open_images(between, white=7).images) == 255
    with pytest.raises(PthetaError, match="values reach 7, above --white 6: give at least 7"):
        open_images(between, white=6)
    with pytest.raises(PthetaError, match="white = -1: choose a number above 0"):
        open_images(between, white=-1)


def test_a_run_keeps_its_white_for_other_data(tmp_path):
    bits = MASKS.astype(np.uint16)
    own = pngs(tmp_path / "own", bits * 4095)
    run = ptheta.train("vae", own, tmp_path / "run", steps=1, hidden=(4,), latent=2)
    assert run.about.dataset.white == {"integer": 4095}
    dim = pngs(tmp_path / "dim", bits[:, ::-1] * 200)  # alone, of 8 bits
    with pytest.warns(UserWarning, match="values reach 200, and 4095 is white, as in training"):
        assert np.max(Run.open(run.path).data("test", dim).stored) == round(200 * 255 / 4095)
    with pytest.raises(PthetaError, match=r"values reach 60000, but white is 4095 in"):
        run.data("test", pngs(tmp_path / "bright", bits * 60000))
    told = run.data("test", pngs(tmp_path / "bytes", MASKS * np.uint8(255)))  # of another kind
    assert np.max(told.stored) == 255
    dark = pngs(tmp_path / "masks", MASKS)
    binary = ptheta.train("vae", tmp_path / "bytes", tmp_path / "b", steps=1, hidden=(4,), latent=2)
    with pytest.warns(UserWarning, match="values reach 1, and 255 is white, as in training"):
        assert np.max(binary.data("test", dark).stored) == 1
    with pytest.raises(PthetaError, match=r"white = 255.0, but the run was started with None"):
        ptheta.train("vae", own, run.path, resume=True, steps=2, white=255)


def test_images_that_are_measured_have_the_white_of_the_real_ones(tmp_path):
    bits = MASKS.astype(np.uint16)
    real, made = pngs(tmp_path / "real", bits * 4095), pngs(tmp_path / "made", bits[::-1] * 200)
    dim = made_and_real(made, real)[0]
    assert dim.max() == round(200 * 255 / 4095)
    masks = pngs(tmp_path / "masks", MASKS)
    assert made_and_real(masks, real)[0].max() == 255
