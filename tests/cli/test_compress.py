"""`ptheta compress` and `ptheta decompress`: what goes in comes out, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ptheta
from ptheta.errors import PthetaError
from tests.cli.command import command
from tests.cli.test_chain import QUIET, said


@pytest.fixture(scope="module")
def runs(strokes: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("coders")
    ptheta.train("made", strokes, out / "made", levels=4, hidden=(20,), **QUIET)
    ptheta.train("made", strokes, out / "other", levels=4, hidden=(20,), seed=1, **QUIET)
    ptheta.train("made", strokes, out / "told", levels=4, condition="labels", **QUIET)
    ptheta.train("made", rows, out / "rows", hidden=(20,), label_column="label", **QUIET)
    ptheta.train("gaussian", strokes, out / "gaussian", epochs=1.0)
    return {name: out / name for name in ("made", "other", "told", "rows", "gaussian")}


@pytest.fixture(scope="module")
def coded(runs: dict[str, Path], strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("coded") / "new" / "x.ptc"
    ptheta.compress(runs["made"], strokes, out, split="test")
    return out


def test_what_went_in_comes_out_in_another_process(runs, strokes, tmp_path, coded):
    done = command("decompress", runs["made"], coded, "--out", tmp_path / "x.npy")
    assert (done.status, "23 images" in done.stdout) == (0, True)
    wanted = ptheta.Run.open(runs["made"]).other(strokes, "test").batch(slice(None)).x
    assert np.array_equal(np.load(tmp_path / "x.npy"), wanted.numpy())
    ptheta.decompress(runs["made"], coded, tmp_path / "folder")
    pictures = sorted((tmp_path / "folder").glob("*.png"))
    assert len(pictures) == 23
    assert np.array_equal(np.asarray(Image.open(pictures[3])), wanted[3, 0].numpy())
    with pytest.raises(PthetaError, match="already exists"):
        said("decompress", runs["made"], coded, "--out", tmp_path / "x.npy")
    said("decompress", runs["made"], coded, "--out", tmp_path / "x.npy", "--force")


def test_own_pictures_and_noise_are_compressed_and_the_table_says_how_far(runs, tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "mine"
    folder.mkdir()
    for i in range(3):
        picture = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    asked = ("compress", runs["made"], folder, "--out", tmp_path / "x.ptc")
    text = said(*asked, "--batch", 2)
    for words in ("bits/dim", "-log2 p", "PNG, each", "WebP, one sheet", "lzma", "16x16", "4 lev"):
        assert words in text
    with pytest.raises(PthetaError, match="already exists"):
        said(*asked)
    told = json.loads(said(*asked, "--json", "--force"))
    assert told["bytes"]["the file"] == (tmp_path / "x.ptc").stat().st_size
    rate = told["bits_per_dim"]
    assert rate["its code"] == pytest.approx(rate["the model, -log2 p"], rel=0.01)
    noise = rng.integers(0, 4, (9, 16, 16)).astype(np.uint8) * 85
    ptheta.compress(runs["made"], noise, tmp_path / "n.ptc")
    assert np.array_equal(ptheta.decompress(runs["made"], tmp_path / "n.ptc").x[:, 0], noise)


def damages(data: bytes) -> dict[str, bytes]:
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return {
        "is damaged": changed,
        "not whole": data[:-5],
        "is damaged, or not whole": data[:6],
        "was not written by `ptheta compress`": b"\x89PNG" + data,
        "written by another ptheta": data[:3] + b"7" + data[4:],
        "give a .ptc file": b"",
    }


def test_a_damaged_file_and_other_weights_are_refused(runs, coded, tmp_path):
    for words, data in damages(coded.read_bytes()).items():
        (tmp_path / "y.ptc").write_bytes(data)
        with pytest.raises(PthetaError, match=words) as error:
            said("decompress", runs["made"], tmp_path / "y.ptc", "--out", tmp_path / "y")
        assert "\n" not in str(error.value)
    with pytest.raises(PthetaError, match=r"was written with another run"):
        said("decompress", runs["other"], coded, "--out", tmp_path / "y")
    assert not (tmp_path / "y").exists()


REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "no steps": (("gaussian",), "this model cannot compress: it has no `conditionals`"),
    "labels": (("told",), "conditional on labels"),
    "rows": (("rows",), "compression is for images"),
    "suffix": (("made", "--out", "x.png"), "--out x.png: want .ptc"),
    "batch": (("made", "--batch", 0), "--batch 0: want 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_said_in_one_line(case, runs, strokes, tmp_path):
    (name, *options), words = REFUSED[case]
    with pytest.raises(PthetaError) as error:
        said("compress", runs[str(name)], strokes, "--out", tmp_path / "x.ptc", *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
